"""G.711 tables as C arrays (ITU-T G.711), and maps between the two laws."""

from libc.stdint cimport int16_t, uint8_t, uint16_t

cdef int16_t decode_table[2][256]
cdef uint8_t encode_table[2][65536]
cdef uint8_t cross_table[2][256]

cdef const int16_t* expand_table(int law) noexcept nogil
cdef const uint8_t* cross_map(int law) noexcept nogil
cdef void expand(int law, const uint8_t* data, int count, int16_t* out) noexcept nogil
cdef void compress(int law, const int16_t* samples, int count, uint8_t* out) noexcept nogil
cdef void fill_gain_map(int law, float gain, uint8_t* out) noexcept nogil
