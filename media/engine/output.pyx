"""The outgoing stream of a leg (RFC 3550 section 5.1, RFC 3551 section 4.1).

Two kinds of feed share it. A *relayed* packet keeps its payload and the distances of its sequence number and
timestamp from its neighbours (a loss upstream stays visible as a loss); only the offsets change with the source.
A *made* frame (player, mix, digit) takes the next numbers. At every change the timestamp moves on by the time
that passed on the wall clock, and the first packet carries the marker.
"""

from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from media.engine.companding cimport cross_map
from media.engine.recorder cimport record_codes
from media.engine.rtp cimport Packet, seq_diff, ts_diff, write_header
from media.engine.srtp cimport protect_rtp
from media.engine.types cimport KIND_PCMA, KIND_PCMU, Leg, Loop


cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT


cdef extern from *:
    """
    #include <sys/syscall.h>
    #include <sys/socket.h>
    #include <unistd.h>
    /* The C library's send is a cancellation point: in a process of several threads that costs as much as it does. */
    static inline long tandem_sendto(int fd, const void *data, size_t size, int flags, const void *to, unsigned length)
    {
        return syscall(SYS_sendto, fd, data, size, flags, to, length);
    }
    """
    ssize_t c_sendto "tandem_sendto"(int fd, const void* data, size_t size, int flags, const void* to,
                                     unsigned int length) noexcept nogil


DEF MAX_STEP_S = 2


cdef void open_output(Leg* leg, uint32_t ssrc, uint16_t seq, uint32_t ts) noexcept nogil:
    leg.outgoing.ssrc = ssrc
    leg.outgoing.next_seq = seq
    leg.outgoing.last_ts = ts
    leg.outgoing.clock = 8000
    leg.outgoing.marker_next = 1


cdef uint32_t output_time(Leg* leg, int64_t now) noexcept nogil:
    """The timestamp of audio sent now by a new feed: the wall clock's advance, and never less than the last span."""
    cdef int64_t passed
    if not leg.outgoing.started:
        return leg.outgoing.last_ts
    passed = (now - leg.outgoing.last_ns) * leg.outgoing.clock // 1000000000
    if passed < leg.outgoing.last_span:
        passed = leg.outgoing.last_span
    return leg.outgoing.last_ts + <uint32_t>passed


cdef int send_datagram(Loop* loop, Leg* leg, uint8_t* data, int size) noexcept nogil:
    """Send one finished RTP packet, protected when the leg has keys. Returns 1 when the kernel took it."""
    cdef ssize_t done
    if leg.config.srtp_send != NULL:
        size = protect_rtp(leg.config.srtp_send, data, size)
        if size <= 0:
            leg.send_failures += 1
            return 0
    if leg.connected:
        done = c_sendto(leg.rtp_fd, data, size, MSG_DONTWAIT, NULL, 0)
        if done < 0 and errno == ECONNREFUSED:
            # The report of an earlier packet's fate (ICMP); it has been taken off the socket now.
            done = c_sendto(leg.rtp_fd, data, size, MSG_DONTWAIT, NULL, 0)
    elif leg.config.remote_port:
        done = c_sendto(leg.rtp_fd, data, size, MSG_DONTWAIT, &leg.config.remote, leg.config.remote_length)
    else:
        return 0
    if done < 0:
        leg.send_failures += 1
        return 0
    leg.outgoing.packets += 1
    leg.outgoing.octets += size - 12
    return 1


cdef inline void _anchor(Leg* source, Leg* sink, Packet* packet, int64_t now) noexcept nogil:
    sink.outgoing.source = source.handle
    sink.outgoing.source_ssrc = packet.ssrc
    sink.outgoing.first_seq = packet.seq
    sink.outgoing.seq_offset = <uint16_t>(sink.outgoing.next_seq - packet.seq)
    sink.outgoing.ts_offset = output_time(sink, now) - packet.ts
    sink.outgoing.marker_next = 1


cdef void relay_packet(Loop* loop, Leg* source, Leg* sink, Packet* packet, uint8_t kind) noexcept nogil:
    """Pass one audio packet on. The header is written over the incoming one; the payload is not touched
    unless the two legs speak different laws of G.711 (then each code is replaced)."""
    cdef uint16_t seq
    cdef uint32_t ts
    cdef uint8_t* data
    cdef uint8_t other[1500]
    cdef const uint8_t* map
    cdef int64_t expected
    cdef int32_t step
    cdef int i
    cdef uint8_t* payload = packet.payload
    cdef uint8_t wanted = sink.config.codecs[0].kind
    if not sink.config.send or sink.sending_digits or (sink.player != NULL and not sink.player.paused):
        return
    if wanted != kind:
        if wanted > KIND_PCMA or kind > KIND_PCMA or packet.size > 1400:
            return
        map = cross_map(kind)
        for i in range(packet.size):
            other[64 + i] = map[payload[i]]
        payload = other + 64
    if sink.outgoing.source != source.handle or sink.outgoing.source_ssrc != packet.ssrc:
        _anchor(source, sink, packet, loop.now)
    elif seq_diff(packet.seq, sink.outgoing.first_seq) < 0:
        if seq_diff(packet.seq, sink.outgoing.first_seq) > -100:
            return
        _anchor(source, sink, packet, loop.now)
    seq = <uint16_t>(packet.seq + sink.outgoing.seq_offset)
    ts = packet.ts + sink.outgoing.ts_offset
    step = ts_diff(ts, sink.outgoing.last_ts)
    if sink.outgoing.started:
        expected = (loop.now - sink.outgoing.last_ns) * sink.outgoing.clock // 1000000000
        if step - expected > MAX_STEP_S * <int64_t>sink.outgoing.clock or \
                expected - step > MAX_STEP_S * <int64_t>sink.outgoing.clock:
            _anchor(source, sink, packet, loop.now)
            seq = <uint16_t>(packet.seq + sink.outgoing.seq_offset)
            ts = packet.ts + sink.outgoing.ts_offset
            step = 1
        elif seq_diff(packet.seq, sink.outgoing.first_seq) > 20000:
            # Keep the distance to the first packet well inside half the number space.
            sink.outgoing.first_seq = <uint16_t>(sink.outgoing.first_seq + 10000)
    data = payload - 12
    write_header(data, sink.config.codecs[0].payload_type, packet.marker | sink.outgoing.marker_next, seq, ts,
                 sink.outgoing.ssrc)
    sink.outgoing.marker_next = 0
    if step > 0 or not sink.outgoing.started:
        sink.outgoing.started = 1
        sink.outgoing.last_ts = ts
        sink.outgoing.last_ns = loop.now
        sink.outgoing.last_span = packet.size if kind <= KIND_PCMA else sink.outgoing.clock // 50
        if seq_diff(seq, sink.outgoing.next_seq) >= 0:
            sink.outgoing.next_seq = <uint16_t>(seq + 1)
    if sink.recorders and kind <= KIND_PCMA:
        for i in range(sink.recorders):
            record_codes(sink.recorder[i], 1, wanted, sink.outgoing.ssrc, ts, payload, packet.size, loop.now)
    if sink.config.srtp_send != NULL:
        # Protection lengthens the packet and works in place: other listeners need the original.
        if payload != other + 64:
            if packet.size > 1400:
                return
            memcpy(other + 52, data, 12 + packet.size)
        data = other + 52
    send_datagram(loop, sink, data, 12 + packet.size)


cdef void send_frame(Loop* loop, Leg* leg, uint8_t* payload, int size, uint32_t span) noexcept nogil:
    """Send one made frame of `span` timestamp units. There are at least 12 free bytes before `payload`
    and room for an SRTP trailer behind it."""
    cdef uint32_t ts
    cdef uint8_t marker = leg.outgoing.marker_next
    cdef int64_t passed
    cdef int i
    if not leg.config.send:
        return
    if leg.outgoing.source != 0 or not leg.outgoing.started:
        ts = output_time(leg, loop.now)
        leg.outgoing.source = 0
        marker = 1
    else:
        ts = leg.outgoing.last_ts + leg.outgoing.last_span
        passed = loop.now - leg.outgoing.last_ns
        if passed > 100000000:
            # Silent for a while: the time line goes on, a new talkspurt begins.
            ts = output_time(leg, loop.now)
            marker = 1
    write_header(payload - 12, leg.config.codecs[0].payload_type, marker, leg.outgoing.next_seq, ts, leg.outgoing.ssrc)
    leg.outgoing.marker_next = 0
    leg.outgoing.next_seq += 1
    leg.outgoing.started = 1
    leg.outgoing.last_ts = ts
    leg.outgoing.last_ns = loop.now
    leg.outgoing.last_span = span
    if leg.recorders and leg.config.codecs[0].kind <= KIND_PCMA:
        for i in range(leg.recorders):
            record_codes(leg.recorder[i], 1, leg.config.codecs[0].kind, leg.outgoing.ssrc, ts, payload, size, loop.now)
    send_datagram(loop, leg, payload - 12, size + 12)


cdef void send_event_packet(Loop* loop, Leg* leg, uint8_t* payload, int size, uint32_t ts, bint marker) noexcept nogil:
    """Send one telephone-event packet (RFC 4733); its timestamp is that of the event's beginning."""
    cdef int payload_type = leg.config.dtmf_pt
    if not leg.config.send or payload_type < 0:
        return
    write_header(payload - 12, <uint8_t>payload_type, marker, leg.outgoing.next_seq, ts, leg.outgoing.ssrc)
    leg.outgoing.next_seq += 1
    leg.outgoing.source = 0
    leg.outgoing.started = 1
    send_datagram(loop, leg, payload - 12, size + 12)
