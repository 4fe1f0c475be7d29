"""Mixing on the tick: who hears whom, with what gain."""

from libc.stdint cimport int16_t

from media.engine.types cimport Hearing, Leg, Loop

cdef void take_frame(Loop* loop, Leg* leg) noexcept nogil
cdef void mix_leg(Loop* loop, Leg* leg) noexcept nogil
cdef void merge_hearing(Hearing* fresh, Hearing* old) noexcept nogil
cdef void forget_source(Hearing* hearing, Leg* source) noexcept nogil
cdef void encode_and_send(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil
