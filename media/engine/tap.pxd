"""A leg's decoded audio for the control side."""

from libc.stdint cimport int16_t

from media.engine.types cimport Leg, Loop, Tap

cdef void write_tap(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil
cdef bytes read_tap(Tap* tap)
