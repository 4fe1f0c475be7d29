"""A leg's decoded audio, handed to the control side through a ring without locks.

The engine writes 20 ms a tick and says so every 100 ms; the control side reads when it gets to it. One that stays away
for longer than the ring holds misses what came meanwhile: the engine waits for nobody.
"""

from libc.stdint cimport int16_t, uint64_t
from libc.string cimport memcpy

from media.engine.rings cimport load_acquire, push_event, store_release
from media.engine.types cimport EV_TAP, Leg, Loop, TAP_SAMPLES, Tap

DEF TELL_TICKS = 5


cdef void write_tap(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil:
    """Engine thread: take in one frame."""
    cdef Tap* tap = leg.tap
    cdef uint64_t at = tap.head & (TAP_SAMPLES - 1)
    cdef int first
    if tap.head + count - load_acquire(&tap.tail) > TAP_SAMPLES:
        tap.lost += count
    else:
        first = count if at + count <= TAP_SAMPLES else <int>(TAP_SAMPLES - at)
        memcpy(&tap.samples[at], samples, first * sizeof(int16_t))
        memcpy(&tap.samples[0], samples + first, (count - first) * sizeof(int16_t))
        store_release(&tap.head, tap.head + count)
    tap.ticks += 1
    if tap.ticks >= TELL_TICKS:
        tap.ticks = 0
        push_event(&loop.events, EV_TAP, leg.handle, 0, 0, 0, NULL)


cdef bytes read_tap(Tap* tap):
    """Control side: all that was written since the last time."""
    cdef uint64_t tail = tap.tail
    cdef uint64_t head = load_acquire(&tap.head)
    cdef uint64_t at = tail & (TAP_SAMPLES - 1)
    cdef uint64_t first = min(head - tail, TAP_SAMPLES - at)
    cdef bytes out = (<char*>&tap.samples[at])[:first * sizeof(int16_t)]
    if head - tail > first:
        out += (<char*>&tap.samples[0])[:(head - tail - first) * sizeof(int16_t)]
    store_release(&tap.tail, head)
    return out
