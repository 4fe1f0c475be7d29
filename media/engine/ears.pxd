"""Detectors on the decoded audio of a leg."""

from libc.stdint cimport int16_t, uint32_t

from media.engine.types cimport Leg, Loop

cdef void listen(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil
cdef void* open_ears(uint32_t rate, int wants) noexcept nogil
cdef void close_ears(void* ears) noexcept nogil
