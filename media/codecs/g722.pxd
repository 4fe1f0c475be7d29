"""ITU-T G.722 at 64 kbit/s for the engine: 16 kHz samples in 20 ms and other even counts, one byte per two samples."""

from libc.stdint cimport int16_t, uint8_t


cdef struct G722Band:
    int s, sz, nb, det
    int r[2]                   # reconstructed signal, newest first
    int a[2]                   # pole predictor coefficients
    int p[2]                   # partially reconstructed signal
    int16_t d[8]               # quantised differences, newest first; six count, eight fill a register
    int16_t b[8]               # zero predictor coefficients


cdef struct G722:
    G722Band low
    G722Band high
    int16_t even[12]           # delay lines of the quadrature mirror filter, newest last
    int16_t odd[12]


cdef G722* g722_new() noexcept nogil
cdef void g722_reset(G722* coder) noexcept nogil
cdef void g722_free(void* coder) noexcept nogil
cdef int g722_encode(void* coder, const int16_t* samples, int count, uint8_t* out, int capacity) noexcept nogil
cdef int g722_decode(void* coder, const uint8_t* data, int size, int16_t* out, int capacity) noexcept nogil
