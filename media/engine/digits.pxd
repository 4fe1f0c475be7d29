"""Telephone events (RFC 4733): one digit in is one digit, digits out."""

from libc.stdint cimport int64_t

from media.engine.rtp cimport Packet
from media.engine.types cimport Leg, Loop

cdef int receive_event(Leg* leg, Packet* packet, int64_t now) noexcept nogil
cdef char digit_character(int code) noexcept nogil
cdef void relay_beside(Loop* loop, Leg* source, Leg* sink, Packet* packet, int payload_type) noexcept nogil
cdef void send_digit_tick(Loop* loop, Leg* leg) noexcept nogil
