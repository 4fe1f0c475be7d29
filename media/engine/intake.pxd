"""What a leg receives."""

from media.engine.types cimport Leg, Loop

cdef void receive_rtp(Loop* loop, Leg* leg) noexcept nogil
cdef void collect_rtp(Loop* loop, Leg* leg) noexcept nogil
cdef void receive_guard(Loop* loop, Leg* leg) noexcept nogil
cdef void receive_control(Loop* loop, Leg* leg) noexcept nogil
