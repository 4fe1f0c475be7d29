"""Jitter buffer of a leg whose audio is decoded."""

from libc.stdint cimport int16_t, uint8_t

from media.engine.rtp cimport Packet
from media.engine.types cimport Jitter, Leg

cdef void reset_jitter(Jitter* jitter) noexcept nogil
cdef void put_packet(Jitter* jitter, Packet* packet, uint8_t kind) noexcept nogil
cdef void put_comfort(Jitter* jitter, Packet* packet) noexcept nogil
cdef int pull_frame(Leg* leg, int16_t* out, int count) noexcept nogil
