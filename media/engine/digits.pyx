"""Telephone events, RFC 4733.

In: an event is known by its RTP timestamp. The first packet that arrives of it, whichever that is, reports the
digit; all others of the same timestamp are repetitions, older timestamps are reordered leftovers. A segment of a
long event (section 2.5.1.3) begins where the last one ended and is no new digit.

Out: 20 ms updates with one timestamp, the marker on the first, the end packet three times (section 2.5.1.4),
then a gap. Audio of the leg rests meanwhile.
"""

from libc.math cimport M_PI, sin
from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from media.engine.companding cimport compress
from media.engine.output cimport output_time, send_datagram, send_event_packet, send_frame
from media.engine.rings cimport push_event
from media.engine.rtp cimport Packet, read_u16, seq_diff, ts_diff, write_header, write_u16
from media.engine.types cimport DigitIn, DigitOut, EV_DIGITS_SENT, HEADROOM, KIND_PCMA, Leg, Loop

cdef char* CHARACTERS = b"0123456789*#ABCD"
cdef double[4] LOW = [697.0, 770.0, 852.0, 941.0]
cdef double[4] HIGH = [1209.0, 1336.0, 1477.0, 1633.0]
# Row and column of each event code.
cdef uint8_t[16] ROW = [3, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 0, 1, 2, 3]
cdef uint8_t[16] COLUMN = [1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2, 3, 3, 3, 3]

# Some senders move the timestamp with every packet of one event. Growing duration, no end and a short
# silence between the packets give them away.
DEF SAME_EVENT_NS = 60000000
DEF END_PACKETS = 3
DEF VOLUME = 10


cdef char digit_character(int code) noexcept nogil:
    return CHARACTERS[code & 15]


cdef int receive_event(Leg* leg, Packet* packet, int64_t now) noexcept nogil:
    """The code (0-15) of a digit that this packet is the first of, else -1."""
    cdef DigitIn* state = &leg.digit_in
    cdef uint8_t code
    cdef uint8_t ended
    cdef uint32_t duration
    cdef bint known
    if packet.size < 4:
        return -1
    code = packet.payload[0]
    if code > 15:
        return -1
    ended = packet.payload[1] >> 7
    duration = read_u16(packet.payload + 2)
    if state.seen:
        known = packet.ts == state.ts
        if not known and ts_diff(packet.ts, state.ts) < 0 and ts_diff(packet.ts, state.ts) > -400000:
            return -1
        if not known and code == state.code and not state.ended:
            if state.duration >= 0xFFFF - 800 and packet.ts - state.ts - state.duration <= 800:
                known = True
            elif not packet.marker and duration > state.duration and now - state.last_ns < SAME_EVENT_NS \
                    and packet.ts - state.ts <= 1600:
                known = True
        if known:
            if packet.ts != state.ts:
                state.ts = packet.ts
                state.duration = duration
            elif duration > state.duration:
                state.duration = duration
            state.ended |= ended
            state.last_ns = now
            return -1
    state.seen = 1
    state.ts = packet.ts
    state.code = code
    state.duration = duration
    state.ended = ended
    state.last_ns = now
    return code


cdef void relay_beside(Loop* loop, Leg* source, Leg* sink, Packet* packet, int payload_type) noexcept nogil:
    """Pass a packet that is no audio (telephone-event, comfort noise) to a listener under its payload type, on the
    time line of the audio. `payload_type` -1: the listener does not take it."""
    cdef uint16_t seq
    cdef uint8_t copy[128]
    cdef uint8_t* data
    if payload_type < 0 or not sink.config.send or sink.sending_digits or packet.size > 32:
        return
    if sink.player != NULL and not sink.player.paused:
        return
    if sink.outgoing.source != source.handle or sink.outgoing.source_ssrc != packet.ssrc:
        sink.outgoing.source = source.handle
        sink.outgoing.source_ssrc = packet.ssrc
        sink.outgoing.first_seq = packet.seq
        sink.outgoing.seq_offset = <uint16_t>(sink.outgoing.next_seq - packet.seq)
        sink.outgoing.ts_offset = output_time(sink, loop.now) - packet.ts
    elif seq_diff(packet.seq, sink.outgoing.first_seq) < 0:
        return
    seq = <uint16_t>(packet.seq + sink.outgoing.seq_offset)
    data = copy + 12
    memcpy(data + 12, packet.payload, packet.size)
    write_header(data, <uint8_t>payload_type, packet.marker, seq, packet.ts + sink.outgoing.ts_offset,
                 sink.outgoing.ssrc)
    if seq_diff(seq, sink.outgoing.next_seq) >= 0:
        sink.outgoing.next_seq = <uint16_t>(seq + 1)
    sink.outgoing.started = 1
    send_datagram(loop, sink, data, 12 + packet.size)


cdef void _finish(Loop* loop, Leg* leg) noexcept nogil:
    leg.digit_out.active = 0
    leg.sending_digits = 0
    leg.outgoing.source = 0
    leg.outgoing.marker_next = 1
    push_event(&loop.events, EV_DIGITS_SENT, leg.handle, leg.digit_out.batch, 0, 0, NULL)


cdef void _next_digit(Loop* loop, Leg* leg) noexcept nogil:
    cdef DigitOut* out = &leg.digit_out
    out.position += 1
    out.elapsed = 0
    out.phase = 0
    out.first = 1
    out.ends = 0
    if out.position >= out.count:
        _finish(loop, leg)


cdef void _send_tone(Loop* loop, Leg* leg, DigitOut* out) noexcept nogil:
    """20 ms of the digit's two tones, or of the silence behind it, as G.711."""
    cdef int16_t samples[160]
    cdef int i
    cdef uint8_t code = out.queue[out.position]
    cdef double low = 2.0 * M_PI * LOW[ROW[code]] / 8000.0
    cdef double high = 2.0 * M_PI * HIGH[COLUMN[code]] / 8000.0
    cdef uint8_t* payload = loop.packet + HEADROOM
    for i in range(160):
        if out.phase == 0 and out.elapsed + i < out.duration:
            samples[i] = <int16_t>(5200.0 * sin(out.angle_low) + 6500.0 * sin(out.angle_high))
            out.angle_low += low
            out.angle_high += high
        else:
            samples[i] = 0
    compress(leg.config.codecs[0].kind, samples, 160, payload)
    send_frame(loop, leg, payload, 160, 160)


cdef void send_digit_tick(Loop* loop, Leg* leg) noexcept nogil:
    """One tick's worth of the digits queued on the leg."""
    cdef DigitOut* out = &leg.digit_out
    cdef uint8_t* payload = loop.packet + HEADROOM
    cdef uint32_t step = leg.outgoing.clock // 50
    cdef bint inband = out.inband or leg.config.dtmf_pt < 0
    cdef int i
    if inband:
        if leg.config.codecs[0].kind > KIND_PCMA:
            _next_digit(loop, leg)
            return
        if out.elapsed == 0:
            out.angle_low = 0
            out.angle_high = 0
        _send_tone(loop, leg, out)
        out.elapsed += 160
        if out.elapsed >= out.duration + out.gap:
            _next_digit(loop, leg)
        return
    if out.phase == 0:
        if out.first:
            out.ts = output_time(leg, loop.now)
        out.elapsed += step
        payload[0] = out.queue[out.position]
        payload[1] = VOLUME
        if out.elapsed >= out.duration:
            out.elapsed = out.duration
            payload[1] = VOLUME | 0x80
        write_u16(payload + 2, <uint16_t>out.elapsed)
        if payload[1] & 0x80 and not out.first:
            for i in range(END_PACKETS):
                payload[1] = VOLUME | 0x80
                payload[0] = out.queue[out.position]
                write_u16(payload + 2, <uint16_t>out.elapsed)
                send_event_packet(loop, leg, payload, 4, out.ts, False)
            out.phase = 2
            leg.outgoing.last_ts = out.ts
            leg.outgoing.last_span = out.elapsed
            leg.outgoing.last_ns = loop.now - <int64_t>out.elapsed * 1000000000 // leg.outgoing.clock
            out.elapsed = 0
            return
        send_event_packet(loop, leg, payload, 4, out.ts, out.first)
        if payload[1] & 0x80:
            # A digit of one tick: begun and ended at once; the end packets follow in the next tick.
            out.elapsed = out.duration - 1 if out.duration > 0 else 0
        out.first = 0
        return
    out.elapsed += step
    if out.elapsed >= out.gap:
        _next_digit(loop, leg)
