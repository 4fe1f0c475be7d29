"""G.711 for the engine: tables filled once at import, loops over frames without the interpreter."""

from libc.stdint cimport int16_t, uint8_t, uint16_t


cdef int16_t _expand_mulaw(int code) noexcept nogil:
    cdef int inverted = ~code & 0xFF
    cdef int magnitude = ((((inverted & 0x0F) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84
    return <int16_t>(-magnitude if inverted & 0x80 else magnitude)


cdef int16_t _expand_alaw(int code) noexcept nogil:
    cdef int toggled = code ^ 0x55
    cdef int segment = (toggled >> 4) & 7
    cdef int magnitude = ((toggled & 0x0F) << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return <int16_t>(magnitude if toggled & 0x80 else -magnitude)


cdef uint8_t _compress_mulaw(int sample) noexcept nogil:
    # 14-bit uniform input, decision values at the midpoints of G.711 table 2.
    cdef int sign = 0
    cdef int value = sample >> 2
    cdef int segment = 0
    if value < 0:
        # one's complement keeps the code symmetrical in the two's complement range
        value = ~value
        sign = 0x80
    if value > 8158:
        value = 8158
    value += 33
    while segment < 7 and (value >> (segment + 6)) != 0:
        segment += 1
    return <uint8_t>(~(sign | (segment << 4) | ((value >> (segment + 1)) & 0x0F)) & 0xFF)


cdef uint8_t _compress_alaw(int sample) noexcept nogil:
    # 13-bit uniform input.
    cdef int value = sample >> 3
    cdef int mask = 0xD5
    cdef int segment = 0
    if value < 0:
        value = ~value
        mask = 0x55
    while segment < 7 and (value >> (segment + 5)) != 0:
        segment += 1
    if segment < 2:
        return <uint8_t>(((segment << 4) | ((value >> 1) & 0x0F)) ^ mask)
    return <uint8_t>(((segment << 4) | ((value >> segment) & 0x0F)) ^ mask)


cdef void _fill_tables() noexcept:
    cdef int code, value
    for code in range(256):
        decode_table[0][code] = _expand_mulaw(code)
        decode_table[1][code] = _expand_alaw(code)
    for value in range(-32768, 32768):
        encode_table[0][<uint16_t>value] = _compress_mulaw(value)
        encode_table[1][<uint16_t>value] = _compress_alaw(value)
    for code in range(256):
        cross_table[0][code] = encode_table[1][<uint16_t>decode_table[0][code]]
        cross_table[1][code] = encode_table[0][<uint16_t>decode_table[1][code]]


cdef const int16_t* expand_table(int law) noexcept nogil:
    return decode_table[law]


cdef const uint8_t* cross_map(int law) noexcept nogil:
    """Codes of `law` as codes of the other law."""
    return cross_table[law]


cdef void expand(int law, const uint8_t* data, int count, int16_t* out) noexcept nogil:
    cdef const int16_t* table = decode_table[law]
    cdef int i
    for i in range(count):
        out[i] = table[data[i]]


cdef void compress(int law, const int16_t* samples, int count, uint8_t* out) noexcept nogil:
    cdef const uint8_t* table = encode_table[law]
    cdef int i
    for i in range(count):
        out[i] = table[<uint16_t>samples[i]]


cdef void fill_gain_map(int law, float gain, uint8_t* out) noexcept nogil:
    """A code-to-code table that applies a gain without leaving the law."""
    cdef int code
    cdef float value
    for code in range(256):
        value = decode_table[law][code] * gain
        if value > 32767:
            value = 32767
        elif value < -32768:
            value = -32768
        out[code] = encode_table[law][<uint16_t><int16_t>value]


def expand_bytes(data: bytes, law: int) -> bytes:
    """G.711 codes as host-order 16-bit samples; `law` 0 is µ-law, 1 A-law."""
    cdef const uint8_t* source = data
    cdef int count = len(data)
    cdef bytes out = bytes(2 * count)
    expand(law, source, count, <int16_t*><char*>out)
    return out


def compress_bytes(samples: bytes, law: int) -> bytes:
    """Host-order 16-bit samples as G.711 codes."""
    cdef const char* source = samples
    cdef int count = len(samples) // 2
    cdef bytes out = bytes(count)
    compress(law, <const int16_t*>source, count, <uint8_t*><char*>out)
    return out


_fill_tables()
