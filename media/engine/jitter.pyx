"""Adaptive jitter buffer with concealment.

Packets wait in slots by sequence number; a tick takes 20 ms. The depth adapts by itself: a packet that is not
there in time is concealed and *waited for*, which makes the buffer one packet deeper; when for two seconds
there was always a packet to spare, one is taken out, faded over its neighbour. A hole with later packets behind
it is taken for a loss: concealed, and not waited for; should the packet come after all, the buffer gets deeper. A talkspurt after silence starts at the smallest depth again.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from media.codecs.opus cimport opus_recover
from media.dsp.comfort cimport comfort_generate, comfort_reset, comfort_set
from media.dsp.plc cimport plc_good, plc_lost, plc_reset
from media.engine.companding cimport expand
from media.engine.rtp cimport Packet, seq_diff
from media.engine.types cimport (
    Coder,
    JITTER_BYTES,
    JITTER_SLOTS,
    Jitter,
    JitterSlot,
    KIND_L16,
    KIND_OPUS,
    KIND_PCMA,
    Leg,
)

DEF FIFO_CAPACITY = 2560
DEF SPARE_TICKS = 100
DEF GIVE_UP_TICKS = 10


cdef void reset_jitter(Jitter* jitter) noexcept nogil:
    cdef int i
    for i in range(JITTER_SLOTS):
        jitter.slots[i].used = 0
    jitter.held = 0
    jitter.started = 0
    jitter.fifo_count = 0
    jitter.lossrun = 0
    jitter.surplus = 0
    jitter.grow = 0
    jitter.fill_ticks = 0


cdef void put_packet(Jitter* jitter, Packet* packet, uint8_t kind) noexcept nogil:
    """Keep a packet until its turn. One that is late, repeated, too long or far off is counted and dropped."""
    cdef JitterSlot* slot
    cdef int distance
    if packet.size > JITTER_BYTES or packet.size == 0:
        return
    if jitter.ssrc != packet.ssrc:
        reset_jitter(jitter)
        jitter.ssrc = packet.ssrc
    if jitter.started or jitter.held:
        distance = seq_diff(packet.seq, jitter.next_seq)
        if distance < 0 and distance > -200 and jitter.started:
            jitter.late += 1
            jitter.grow = 1
            return
        if distance >= JITTER_SLOTS or distance <= -JITTER_SLOTS:
            reset_jitter(jitter)
        elif distance < 0:
            # Not started yet: an earlier packet overtaken by the first one.
            if seq_diff(jitter.newest_seq, packet.seq) >= JITTER_SLOTS:
                return
            jitter.next_seq = packet.seq
    slot = &jitter.slots[packet.seq & (JITTER_SLOTS - 1)]
    if slot.used and slot.seq == packet.seq:
        return
    if not slot.used:
        jitter.held += 1
    if not jitter.started and jitter.held == 1:
        jitter.next_seq = packet.seq
        jitter.newest_seq = packet.seq
        jitter.fill_ticks = 0
    if seq_diff(packet.seq, jitter.newest_seq) > 0:
        jitter.newest_seq = packet.seq
    jitter.comforting = 0
    slot.used = 1
    slot.seq = packet.seq
    slot.ts = packet.ts
    slot.kind = kind
    slot.size = <uint16_t>packet.size
    memcpy(slot.data, packet.payload, packet.size)


cdef int _decode(Leg* leg, JitterSlot* slot, int16_t* out, int capacity) noexcept nogil:
    cdef int i, count
    cdef Coder* coder = leg.config.coder
    leg.jitter.last_kind = slot.kind
    if slot.kind <= KIND_PCMA:
        count = slot.size if slot.size < capacity else capacity
        expand(slot.kind, slot.data, count, out)
        return count
    if slot.kind == KIND_L16:
        count = slot.size // 2
        if count > capacity:
            count = capacity
        for i in range(count):
            out[i] = <int16_t>((slot.data[2 * i] << 8) | slot.data[2 * i + 1])
        return count
    if coder != NULL and coder.kind == slot.kind and coder.decode != NULL:
        count = coder.decode(coder.decoder, slot.data, slot.size, out, capacity)
        return count if count > 0 else 0
    return 0


cdef void _conceal(Leg* leg, int16_t* out, int count) noexcept nogil:
    """Audio in place of what did not come: Opus has its own ways (and may carry the lost packet in the next)."""
    cdef Jitter* jitter = leg.jitter
    cdef Coder* coder = leg.config.coder
    cdef JitterSlot* following
    cdef int made
    jitter.concealed += 1
    if jitter.last_kind == KIND_OPUS and coder != NULL and coder.kind == KIND_OPUS:
        following = &jitter.slots[<uint16_t>(jitter.next_seq + 1) & (JITTER_SLOTS - 1)]
        if following.used and following.seq == <uint16_t>(jitter.next_seq + 1):
            made = opus_recover(coder.decoder, following.data, following.size, out, count)
        else:
            made = opus_recover(coder.decoder, NULL, 0, out, count)
        if made < count:
            memset(out + (made if made > 0 else 0), 0, (count - (made if made > 0 else 0)) * 2)
        return
    plc_lost(&jitter.plc, out, count)


cdef int _rest(Jitter* jitter, int16_t* out, int count) noexcept nogil:
    """Between two talkspurts: the noise the peer described, or silence."""
    if jitter.comforting:
        comfort_generate(&jitter.comfort, out, count)
        return 1
    memset(out, 0, count * 2)
    return 0


cdef void put_comfort(Jitter* jitter, Packet* packet) noexcept nogil:
    """The peer stops sending audio and says what its silence sounds like (RFC 3389)."""
    if not jitter.comforting:
        comfort_reset(&jitter.comfort, packet.ssrc)
    jitter.comforting = comfort_set(&jitter.comfort, packet.payload, packet.size)


cdef int pull_frame(Leg* leg, int16_t* out, int count) noexcept nogil:
    """Fill `out` with the next `count` samples. Returns 0 when the leg is silent (out is then zeroed)."""
    cdef Jitter* jitter = leg.jitter
    cdef JitterSlot* slot
    cdef int made
    cdef bint fresh
    if not jitter.started:
        if jitter.held == 0:
            return _rest(jitter, out, count)
        jitter.fill_ticks += 1
        if jitter.held < jitter.target and jitter.fill_ticks < 4:
            memset(out, 0, count * 2)
            return 0
        jitter.started = 1
        if jitter.plc.rate != count * 50:
            plc_reset(&jitter.plc, count * 50)
        jitter.surplus = 0
        jitter.lossrun = 0
    while jitter.fifo_count < count:
        slot = &jitter.slots[jitter.next_seq & (JITTER_SLOTS - 1)]
        if jitter.grow and jitter.held > 0 and jitter.lossrun == 0:
            # Deeper by one frame, where a frame is made up once instead of many being late.
            jitter.grow = 0
            jitter.inserted += 1
            _conceal(leg, jitter.fifo + jitter.fifo_count, count)
            jitter.fifo_count += count
            jitter.lossrun = 1
            jitter.surplus = 0
            continue
        if slot.used and slot.seq == jitter.next_seq:
            made = _decode(leg, slot, jitter.fifo + jitter.fifo_count, FIFO_CAPACITY - jitter.fifo_count)
            slot.used = 0
            jitter.held -= 1
            jitter.next_seq += 1
            if made == 0:
                continue
            jitter.lossrun = 0
            if jitter.last_kind != KIND_OPUS:
                plc_good(&jitter.plc, jitter.fifo + jitter.fifo_count, made)
            jitter.fifo_count += made
            continue
        fresh = jitter.held > 0
        if not fresh and (jitter.comforting or jitter.lossrun >= GIVE_UP_TICKS):
            reset_jitter(jitter)
            return _rest(jitter, out, count)
        _conceal(leg, jitter.fifo + jitter.fifo_count, count)
        if fresh:
            jitter.next_seq += 1
        else:
            jitter.inserted += 1
        jitter.fifo_count += count
        jitter.lossrun += 1
        jitter.surplus = 0
    memcpy(out, jitter.fifo, count * 2)
    jitter.fifo_count -= count
    if jitter.fifo_count:
        memmove(jitter.fifo, jitter.fifo + count, jitter.fifo_count * 2)
    if jitter.held > 0:
        jitter.surplus += 1
        if jitter.surplus >= SPARE_TICKS:
            jitter.surplus = 0
            _shrink(leg, out, count)
    else:
        jitter.surplus = 0
    return 1


cdef void _shrink(Leg* leg, int16_t* out, int count) noexcept nogil:
    """Take the next packet out of the buffer: fade from this frame into it."""
    cdef Jitter* jitter = leg.jitter
    cdef JitterSlot* slot = &jitter.slots[jitter.next_seq & (JITTER_SLOTS - 1)]
    cdef int made, i
    cdef int16_t* next
    if not slot.used or slot.seq != jitter.next_seq or jitter.fifo_count:
        return
    made = _decode(leg, slot, jitter.fifo, FIFO_CAPACITY)
    slot.used = 0
    jitter.held -= 1
    jitter.next_seq += 1
    jitter.shrunk += 1
    if made < count:
        return
    next = jitter.fifo
    if jitter.last_kind != KIND_OPUS:
        plc_good(&jitter.plc, next, made)
    for i in range(count):
        out[i] = <int16_t>((<int32_t>out[i] * (count - i) + <int32_t>next[i] * i) // count)
    if made > count:
        jitter.fifo_count = made - count
        memmove(jitter.fifo, jitter.fifo + count, jitter.fifo_count * 2)


cdef class JitterBench:
    """The buffer of a G.711 leg driven by hand, for tests and tables: no sockets, no clock."""

    cdef Leg* _leg

    def __cinit__(self, int law=0):
        self._leg = <Leg*>calloc(1, sizeof(Leg))
        if self._leg == NULL:
            raise MemoryError
        self._leg.jitter = <Jitter*>calloc(1, sizeof(Jitter))
        if self._leg.jitter == NULL:
            raise MemoryError
        self._leg.jitter.target = 2

    def __dealloc__(self):
        if self._leg != NULL:
            free(self._leg.jitter)
            free(self._leg)

    def put(self, int seq, uint32_t ts, bytes payload, int law=0) -> None:
        """A packet arrives."""
        cdef Packet packet
        cdef bytes kept = payload
        packet.payload_type = 0
        packet.marker = 0
        packet.seq = <uint16_t>seq
        packet.ts = ts
        packet.ssrc = 1
        packet.payload = <uint8_t*><char*>kept
        packet.size = len(payload)
        put_packet(self._leg.jitter, &packet, <uint8_t>law)

    def pull(self) -> bytes:
        """The next 20 ms as 160 host-order samples."""
        cdef int16_t[160] out
        pull_frame(self._leg, out, 160)
        return (<char*>out)[:320]

    @property
    def counts(self):
        """(late, concealed, waited for, taken out, held)"""
        cdef Jitter* jitter = self._leg.jitter
        return jitter.late, jitter.concealed, jitter.inserted, jitter.shrunk, jitter.held
