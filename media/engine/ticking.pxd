"""The list of legs that have work on every tick."""

from media.engine.types cimport Leg, Loop


cdef inline void update_ticking(Loop* loop, Leg* leg) noexcept nogil:
    """Put the leg on the list of those with work on every tick, or take it off."""
    cdef bint wanted = leg.decoding or leg.mixing or leg.player != NULL or leg.digit_out.active
    cdef Leg* moved
    if wanted and leg.ticking < 0:
        leg.ticking = loop.ticking_count
        loop.ticking[loop.ticking_count] = leg
        loop.ticking_count += 1
    elif not wanted and leg.ticking >= 0:
        loop.ticking_count -= 1
        moved = loop.ticking[loop.ticking_count]
        loop.ticking[leg.ticking] = moved
        moved.ticking = leg.ticking
        leg.ticking = -1
