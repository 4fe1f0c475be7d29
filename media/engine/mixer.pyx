"""The mixer.

Once a tick every leg whose audio is wanted gives a frame of 20 ms (`take_frame`), then every listener adds up
what it hears (`mix_leg`). A gain that changed is reached over one tick, a source that came fades in and one that
left fades out over the same tick: no click. Sums are 32 bits wide and saturate once.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memmove, memset

from media.engine.companding cimport compress
from media.engine.ears cimport listen
from media.engine.jitter cimport pull_frame
from media.engine.output cimport send_frame
from media.engine.player cimport fill_samples
from media.engine.recorder cimport record_samples
from media.engine.tap cimport write_tap
from media.engine.types cimport (
    FRAME_MAX,
    HEADROOM,
    Hearing,
    KIND_L16,
    KIND_OPUS,
    KIND_PCMA,
    Leg,
    Loop,
    Pair,
)

# Half-band low-pass, 23 taps, unity at DC, about 55 dB down above 0.31 of the higher rate; odd taps only
# (the even ones are zero but for the middle, which is a half). Q15.
DEF HALF_TAPS = 6
cdef int32_t[6] HALF = [10362, -3170, 1596, -855, 421, -162]


cdef void _halve(Leg* leg, const int16_t* samples, int count, int16_t* out) noexcept nogil:
    """16 kHz to 8 kHz."""
    cdef int16_t line[384]
    cdef int i, k, centre
    cdef int32_t total
    memcpy(line, leg.down_state, 22 * 2)
    memcpy(line + 22, samples, count * 2)
    for i in range(count // 2):
        centre = 2 * i + 11
        total = 16384 * <int32_t>line[centre]
        for k in range(HALF_TAPS):
            total += HALF[k] * (<int32_t>line[centre - 2 * k - 1] + line[centre + 2 * k + 1])
        total = (total + (1 << 14)) >> 15
        out[i] = <int16_t>(32767 if total > 32767 else (-32768 if total < -32768 else total))
    memcpy(leg.down_state, line + count, 22 * 2)


cdef void _double(Leg* leg, const int16_t* samples, int count, int16_t* out) noexcept nogil:
    """8 kHz to 16 kHz."""
    cdef int16_t line[384]
    cdef int i, k
    cdef int32_t total
    memcpy(line, leg.up_state, 12 * 2)
    memcpy(line + 12, samples, count * 2)
    for i in range(count):
        out[2 * i] = line[i + 5]
        total = 0
        for k in range(HALF_TAPS):
            total += HALF[k] * (<int32_t>line[i + 5 - k] + line[i + 6 + k])
        total = (total + (1 << 13)) >> 14
        out[2 * i + 1] = <int16_t>(32767 if total > 32767 else (-32768 if total < -32768 else total))
    memcpy(leg.up_state, line + count, 12 * 2)


cdef void take_frame(Loop* loop, Leg* leg) noexcept nogil:
    """The leg's 20 ms for this tick, at the rate of its codec."""
    cdef uint32_t rate = leg.config.codecs[0].pcm_rate
    cdef int count = rate // 50
    cdef int i
    if leg.jitter == NULL or not leg.config.receive:
        leg.frame_ready = 0
        return
    leg.frame_rate = rate
    leg.frame_ready = count if pull_frame(leg, leg.frame, count) else 0
    leg.frame_other_ready = 0
    if leg.tap != NULL:
        write_tap(loop, leg, leg.frame, count)
    if leg.ears != NULL:
        # Silence is heard too: it is what ends a word.
        listen(loop, leg, leg.frame, count)
    if leg.recorders and leg.config.codecs[0].kind > KIND_PCMA and leg.frame_ready:
        for i in range(leg.recorders):
            record_samples(leg.recorder[i], 0, leg.handle, <uint32_t>(loop.ticks * count), rate, leg.frame, count, rate,
                           loop.now)


cdef const int16_t* _frame_at(Leg* leg, uint32_t rate) noexcept nogil:
    """The leg's frame at the listener's rate, NULL when it is silent."""
    if leg.frame_ready == 0:
        return NULL
    if leg.frame_rate == rate:
        return leg.frame
    if not leg.frame_other_ready:
        if rate > leg.frame_rate:
            _double(leg, leg.frame, leg.frame_ready, leg.frame_other)
        else:
            _halve(leg, leg.frame, leg.frame_ready, leg.frame_other)
        leg.frame_other_ready = 1
    return leg.frame_other


cdef void _add(int32_t* total, const int16_t* samples, int count, float gain, float current) noexcept nogil:
    cdef int i
    cdef float step
    if gain == 1.0 and current == 1.0:
        for i in range(count):
            total[i] += samples[i]
        return
    step = (gain - current) / count
    for i in range(count):
        current += step
        total[i] += <int32_t>(samples[i] * current)


cdef void merge_hearing(Hearing* fresh, Hearing* old) noexcept nogil:
    """Carry reached gains over to a new table; what is gone stays for one tick to fade out."""
    cdef int i, k
    cdef bint found
    if old == NULL:
        return
    for k in range(old.count):
        if old.pairs[k].source == NULL:
            continue
        found = False
        for i in range(fresh.count):
            if fresh.pairs[i].source == old.pairs[k].source:
                fresh.pairs[i].current = old.pairs[k].current
                found = True
                break
        if not found and fresh.count < fresh.capacity and old.pairs[k].gain != 0:
            fresh.pairs[fresh.count] = old.pairs[k]
            fresh.pairs[fresh.count].gain = 0
            fresh.count += 1


cdef void forget_source(Hearing* hearing, Leg* source) noexcept nogil:
    """The source is about to be freed: a fade-out may still point to it."""
    cdef int i = 0
    if hearing == NULL:
        return
    while i < hearing.count:
        if hearing.pairs[i].source == source:
            hearing.count -= 1
            hearing.pairs[i] = hearing.pairs[hearing.count]
        else:
            i += 1


cdef void encode_and_send(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil:
    """One frame at the leg's rate into its codec and onto the wire."""
    cdef uint8_t* payload = loop.packet + HEADROOM
    cdef uint8_t kind = leg.config.codecs[0].kind
    cdef int size, i
    if kind <= KIND_PCMA:
        compress(kind, samples, count, payload)
        size = count
    elif kind == KIND_L16:
        for i in range(count):
            payload[2 * i] = <uint8_t>(<int>samples[i] >> 8)
            payload[2 * i + 1] = <uint8_t>(samples[i] & 0xFF)
        size = 2 * count
    elif leg.config.coder != NULL and leg.config.coder.encode != NULL:
        size = leg.config.coder.encode(leg.config.coder.encoder, samples, count, payload, 1400)
        if size <= 0:
            return
    else:
        return
    send_frame(loop, leg, payload, size, leg.config.codecs[0].clock_rate // 50)
    if leg.recorders and kind > KIND_PCMA:
        for i in range(leg.recorders):
            record_samples(leg.recorder[i], 1, leg.outgoing.ssrc, leg.outgoing.last_ts,
                           leg.config.codecs[0].clock_rate, samples, count, leg.config.codecs[0].pcm_rate, loop.now)


cdef void mix_leg(Loop* loop, Leg* leg) noexcept nogil:
    """What the leg hears in this tick: its bridge, and its player on top or instead."""
    cdef int32_t total[320]
    cdef int16_t samples[320]
    cdef const int16_t* heard
    cdef uint32_t rate = leg.config.codecs[0].pcm_rate
    cdef int count = rate // 50
    cdef int i, k
    cdef int32_t value
    cdef Hearing* hearing = leg.hearing
    cdef Pair* pair
    cdef bint anything = False
    memset(total, 0, count * 4)
    if hearing != NULL and (leg.player == NULL or leg.player.mixed):
        i = 0
        while i < hearing.count:
            pair = &hearing.pairs[i]
            heard = _frame_at(pair.source, rate) if pair.source != NULL else NULL
            if heard != NULL:
                _add(total, heard, count, pair.gain, pair.current)
            pair.current = pair.gain
            if pair.gain == 0 and pair.current == 0:
                hearing.count -= 1
                hearing.pairs[i] = hearing.pairs[hearing.count]
                continue
            i += 1
        anything = hearing.count > 0
    if leg.player != NULL and not leg.player.paused:
        anything = True
        fill_samples(loop, leg, samples, count)
        for k in range(count):
            total[k] += samples[k]
    if not anything:
        return
    for k in range(count):
        value = total[k]
        samples[k] = <int16_t>(32767 if value > 32767 else (-32768 if value < -32768 else value))
    encode_and_send(loop, leg, samples, count)
