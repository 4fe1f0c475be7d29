"""RTCP sender and receiver reports (RFC 3550 section 6)."""

from libc.stdint cimport int64_t, uint8_t

from media.engine.types cimport Leg, Loop

cdef void receive_rtcp(Loop* loop, Leg* leg, const uint8_t* data, int size) noexcept nogil
cdef void send_report(Loop* loop, Leg* leg, bint goodbye) noexcept nogil
cdef int64_t packets_lost(Leg* leg) noexcept nogil
