"""What a leg sends: one SSRC, unbroken sequence numbers and timestamps, whatever feeds it."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from media.engine.rtp cimport Packet
from media.engine.types cimport Leg, Loop

cdef void open_output(Leg* leg, uint32_t ssrc, uint16_t seq, uint32_t ts) noexcept nogil
cdef uint32_t output_time(Leg* leg, int64_t now) noexcept nogil
cdef int send_datagram(Loop* loop, Leg* leg, uint8_t* data, int size) noexcept nogil
cdef void relay_packet(Loop* loop, Leg* source, Leg* sink, Packet* packet, uint8_t kind) noexcept nogil
cdef void send_frame(Loop* loop, Leg* leg, uint8_t* payload, int size, uint32_t span) noexcept nogil
cdef void send_event_packet(Loop* loop, Leg* leg, uint8_t* payload, int size, uint32_t ts, bint marker) noexcept nogil
