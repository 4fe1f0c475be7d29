"""RTP timestamps on a wall-clock time line.

Audio is placed by its RTP timestamp, so that jitter moves nothing, but the sender's clock is not ours: the
least (arrival - predicted) of every two seconds, which is free of queueing delay, says how far the two have
drifted apart, and the mapping is corrected a sample at a time. A jump of the timestamps (new source, restarted
sender, hold) starts the mapping again at the packet's arrival.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from media.engine.rtp cimport ts_diff

DEF WINDOW_S = 2
# Disagreement below which the two clocks count as equal, in milliseconds.
DEF DEAD_ZONE_MS = 2
DEF JUMP_MS = 400


cdef void reset_timeline(Timeline* line, uint32_t clock, uint32_t rate) noexcept nogil:
    memset(line, 0, sizeof(Timeline))
    line.clock = clock
    line.rate = rate


cdef inline void _anchor(Timeline* line, uint32_t ssrc, uint32_t ts, int64_t arrival) noexcept nogil:
    line.valid = 1
    line.ssrc = ssrc
    line.base_ts = ts
    line.base_pos = arrival
    line.window_min = 1 << 30
    line.window_end = arrival + WINDOW_S * line.rate
    line.slew = 0


cdef int64_t place_packet(Timeline* line, uint32_t ssrc, uint32_t ts, int64_t arrival, int* stretch) noexcept nogil:
    """Sample position of the packet with timestamp `ts` that arrived at position `arrival`.

    `stretch` is set to 1 when one sample more than usual lies between this packet and the one before
    (repeat the last one there), to 0 otherwise.
    """
    cdef int32_t delta
    cdef int64_t position, late
    cdef int64_t jump = <int64_t>line.rate * JUMP_MS // 1000
    cdef int64_t quiet = <int64_t>line.rate * DEAD_ZONE_MS // 1000
    stretch[0] = 0
    if not line.valid or line.ssrc != ssrc:
        _anchor(line, ssrc, ts, arrival)
        return arrival
    delta = ts_diff(ts, line.base_ts)
    if line.clock == line.rate:
        position = line.base_pos + delta
    else:
        position = line.base_pos + (<int64_t>delta * line.rate) // line.clock
    late = arrival - position
    if late > jump or late < -jump:
        _anchor(line, ssrc, ts, arrival)
        return arrival
    if late < line.window_min:
        line.window_min = late
    if arrival >= line.window_end:
        if line.window_min > quiet or line.window_min < -quiet:
            line.slew = line.window_min
        line.window_min = 1 << 30
        line.window_end = arrival + WINDOW_S * line.rate
    if delta > 0:
        if line.slew > 0:
            line.slew -= 1
            position += 1
            stretch[0] = 1
            if line.window_min < (1 << 30):
                line.window_min -= 1
        elif line.slew < 0:
            line.slew += 1
            position -= 1
            if line.window_min < (1 << 30):
                line.window_min += 1
        line.base_ts = ts
        line.base_pos = position
    return position


cdef class WallClockLine:
    """The mapping for tests and tools: the engine's own code, driven by hand in virtual time."""

    cdef Timeline line

    def __init__(self, clock: int = 8000, rate: int = 8000) -> None:
        reset_timeline(&self.line, clock, rate)

    def place(self, ssrc: int, ts: int, arrival: int) -> int:
        """Position of a packet, in samples of the recorder's rate."""
        cdef int stretch
        return place_packet(&self.line, ssrc, ts & 0xFFFFFFFF, arrival, &stretch)
