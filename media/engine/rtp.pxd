"""RTP headers (RFC 3550 section 5.1): reading a hostile one, writing our own."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t


cdef struct Packet:
    uint8_t payload_type
    uint8_t marker
    uint16_t seq
    uint32_t ts
    uint32_t ssrc
    uint8_t* payload
    int size


cdef inline uint16_t read_u16(const uint8_t* p) noexcept nogil:
    return <uint16_t>((p[0] << 8) | p[1])


cdef inline uint32_t read_u32(const uint8_t* p) noexcept nogil:
    return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | <uint32_t>p[3]


cdef inline void write_u16(uint8_t* p, uint16_t value) noexcept nogil:
    p[0] = <uint8_t>(value >> 8)
    p[1] = <uint8_t>value


cdef inline void write_u32(uint8_t* p, uint32_t value) noexcept nogil:
    p[0] = <uint8_t>(value >> 24)
    p[1] = <uint8_t>(value >> 16)
    p[2] = <uint8_t>(value >> 8)
    p[3] = <uint8_t>value


cdef inline bint parse_packet(uint8_t* data, int size, Packet* packet) noexcept nogil:
    """False: not RTP version 2, or its lengths contradict each other."""
    cdef int offset = 12
    cdef int pad
    if size < 12 or (data[0] & 0xC0) != 0x80:
        return False
    if data[0] & 0x3F:
        offset += 4 * (data[0] & 0x0F)
        if data[0] & 0x10:
            if size < offset + 4:
                return False
            offset += 4 + 4 * read_u16(data + offset + 2)
        if size < offset:
            return False
        if data[0] & 0x20:
            pad = data[size - 1]
            if pad == 0 or pad > size - offset:
                return False
            size -= pad
    packet.payload_type = data[1] & 0x7F
    packet.marker = data[1] >> 7
    packet.seq = read_u16(data + 2)
    packet.ts = read_u32(data + 4)
    packet.ssrc = read_u32(data + 8)
    packet.payload = data + offset
    packet.size = size - offset
    return True


cdef inline void write_header(uint8_t* p, uint8_t payload_type, uint8_t marker, uint16_t seq, uint32_t ts,
                              uint32_t ssrc) noexcept nogil:
    p[0] = 0x80
    p[1] = <uint8_t>(payload_type | (marker << 7))
    write_u16(p + 2, seq)
    write_u32(p + 4, ts)
    write_u32(p + 8, ssrc)


cdef inline int16_t seq_diff(uint16_t a, uint16_t b) noexcept nogil:
    """a - b modulo 2^16, as a signed distance."""
    return <int16_t>(<uint16_t>(a - b))


cdef inline int32_t ts_diff(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t>(a - b)
