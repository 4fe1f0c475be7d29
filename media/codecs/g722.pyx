"""ITU-T G.722 sub-band ADPCM, mode 1 (64 kbit/s), in integer arithmetic exactly as the Recommendation lays it down.

The names of the steps (SCALEL, UPPOL2 ...) are those of G.722 section 6. A coder holds no memory of its own and is
used for one direction of one stream. The mirror filter runs over even and odd samples apart, twelve products each.
"""

from libc.stdint cimport int16_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

cdef extern from *:
    """
    #pragma GCC optimize("O3")
    static const int16_t tandem_qmf[12] = {3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11};
    static const int16_t tandem_qmf_back[12] = {-11, 53, -156, 362, -805, 3876, 951, -210, 32, 12, -11, 3};
    static inline int tandem_dot12(const int16_t *a, const int16_t *b) {
        int sum = 0, i;
        for (i = 0; i < 12; i++) sum += (int)a[i] * b[i];
        return sum;
    }
    """
    const int16_t* QMF "tandem_qmf"
    const int16_t* QMF_BACK "tandem_qmf_back"
    int dot12 "tandem_dot12"(const int16_t* a, const int16_t* b) noexcept nogil

cdef enum:
    PIECE = 160                # pairs of samples filtered at a time

# Decision levels of the 6-bit lower quantiser, and its code words for negative and positive differences.
cdef int* Q6 = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
    786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919, 0, 0,
]
cdef int* ILN = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19,
    18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 0,
]
cdef int* ILP = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47,
    46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 0,
]
cdef int* WL = [-60, -30, 58, 172, 334, 538, 1198, 3042]
cdef int* RL42 = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0]
cdef int* ILB = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
]
cdef int* QM2 = [-7408, -1616, 7408, 1616]
cdef int* QM4 = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
]
cdef int* QM6 = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
    24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
]
cdef int* WH = [0, -214, 798]
cdef int* RH2 = [2, 1, 2, 1]


cdef inline int saturate(int value) noexcept nogil:
    if value > 32767:
        return 32767
    if value < -32768:
        return -32768
    return value


cdef inline int clamp(int value, int low, int high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef inline int scale_factor(int nb, int shift) noexcept nogil:
    """SCALEL and SCALEH: the logarithmic step size as a linear one."""
    cdef int down = shift - (nb >> 11)
    cdef int mantissa = ILB[(nb >> 6) & 31]
    return (mantissa << -down if down < 0 else mantissa >> down) << 2


cdef inline void adapt(G722Band* band, int dx) noexcept nogil:
    """Block 4 of G.722: reconstruction, both adaptive predictors, and the next prediction.

    ``x + (-x >> n)`` is the Recommendation's leak ``x * (32768 - 2**(15 - n)) >> 15``."""
    cdef int i, k, wd1, wd2, wd3, a1, a2, same, step
    cdef int zero = 0
    cdef int r = saturate(band.s + dx)
    cdef int p = saturate(band.sz + dx)

    # UPPOL2, UPPOL1
    same = (p ^ band.p[0]) >= 0
    wd1 = saturate(band.a[0] << 2)
    wd2 = -wd1 if same else wd1
    if wd2 > 32767:
        wd2 = 32767
    wd3 = (wd2 >> 7) + (128 if (p ^ band.p[1]) >= 0 else -128) + band.a[1] + (-band.a[1] >> 7)
    a2 = clamp(wd3, -12288, 12288)
    wd3 = saturate(15360 - a2)
    a1 = clamp(saturate((192 if same else -192) + band.a[0] + (-band.a[0] >> 8)), -wd3, wd3)
    band.a[0], band.a[1] = a1, a2
    band.p[1] = band.p[0]
    band.p[0] = p

    # UPZERO: a step towards the sign that agrees; the leak keeps the sum within 16 bits
    step = 0 if dx == 0 else 128
    for i in range(8):
        wd1 = (band.d[i] ^ dx) >> 15
        band.b[i] = <int16_t>(band.b[i] + (-<int>band.b[i] >> 8) + ((step ^ wd1) - wd1))
    for i in range(7, 0, -1):
        band.d[i] = band.d[i - 1]
    band.d[0] = <int16_t>dx

    # FILTEP, FILTEZ, PREDIC
    band.r[1] = band.r[0]
    band.r[0] = r
    for k in range(6):
        zero += (band.b[k] * saturate(2 * band.d[k])) >> 15
    band.sz = saturate(zero)
    wd1 = (a1 * saturate(2 * band.r[0])) >> 15
    wd2 = (a2 * saturate(2 * band.r[1])) >> 15
    band.s = saturate(saturate(wd1 + wd2) + band.sz)


cdef inline void adapt_low(G722Band* band, int ril) noexcept nogil:
    """INVQAL, LOGSCL, SCALEL and block 4 of the lower band for a 4-bit code."""
    cdef int difference = (band.det * QM4[ril]) >> 15
    band.nb = clamp(((band.nb * 127) >> 7) + WL[RL42[ril]], 0, 18432)
    band.det = scale_factor(band.nb, 8)
    adapt(band, difference)


cdef inline void adapt_high(G722Band* band, int ihigh) noexcept nogil:
    """INVQAH, LOGSCH, SCALEH and block 4 of the upper band for a 2-bit code."""
    cdef int difference = (band.det * QM2[ihigh]) >> 15
    band.nb = clamp(((band.nb * 127) >> 7) + WH[RH2[ihigh]], 0, 22528)
    band.det = scale_factor(band.nb, 10)
    adapt(band, difference)


cdef void g722_reset(G722* coder) noexcept nogil:
    """Back to the state G.722 prescribes at the start of a stream."""
    memset(coder, 0, sizeof(G722))
    coder.low.det = 32
    coder.high.det = 8


cdef G722* g722_new() noexcept nogil:
    """A fresh coder, or NULL without memory."""
    cdef G722* coder = <G722*>calloc(1, sizeof(G722))
    if coder != NULL:
        g722_reset(coder)
    return coder


cdef void g722_free(void* coder) noexcept nogil:
    free(coder)


cdef inline int quantise_low(int difference, int det) noexcept nogil:
    """QUANTL: the 6-bit code of a difference. How many of the 29 decision levels it reaches is found without a branch
    the processor could mispredict: steps of 15, 7, 4, 2 and 1 add up to 29."""
    cdef int magnitude = difference if difference >= 0 else ~difference
    cdef int reached = 15 * (magnitude >= ((Q6[15] * det) >> 12))
    reached += 7 * (magnitude >= ((Q6[reached + 7] * det) >> 12))
    reached += 4 * (magnitude >= ((Q6[reached + 4] * det) >> 12))
    reached += 2 * (magnitude >= ((Q6[reached + 2] * det) >> 12))
    reached += 1 * (magnitude >= ((Q6[reached + 1] * det) >> 12))
    return ILN[reached + 1] if difference < 0 else ILP[reached + 1]


cdef inline int quantise_high(int difference, int det) noexcept nogil:
    """QUANTH: the 2-bit code of a difference."""
    cdef int magnitude = difference if difference >= 0 else ~difference
    if magnitude >= ((564 * det) >> 12):
        return 0 if difference < 0 else 2
    return 1 if difference < 0 else 3


cdef int g722_encode(void* state, const int16_t* samples, int count, uint8_t* out, int capacity) noexcept nogil:
    """Code pairs of samples. Returns the bytes written; an odd last sample, or what does not fit, is left out."""
    cdef G722* coder = <G722*>state
    cdef int16_t[172] even
    cdef int16_t[172] odd
    cdef int n, sum, difference, ilow, ihigh, piece
    cdef int done = 0
    cdef int pairs = count // 2
    if pairs > capacity:
        pairs = capacity
    while done < pairs:
        piece = pairs - done if pairs - done < PIECE else PIECE
        memcpy(even, coder.even, sizeof(coder.even))
        memcpy(odd, coder.odd, sizeof(coder.odd))
        for n in range(piece):
            even[12 + n] = samples[2 * (done + n)]
            odd[12 + n] = samples[2 * (done + n) + 1]
        for n in range(piece):
            # Transmit quadrature mirror filter
            sum = dot12(&odd[n + 1], QMF_BACK)
            difference = dot12(&even[n + 1], QMF)
            ilow = quantise_low(saturate(((sum + difference) >> 14) - coder.low.s), coder.low.det)
            ihigh = quantise_high(saturate(((sum - difference) >> 14) - coder.high.s), coder.high.det)
            adapt_low(&coder.low, ilow >> 2)
            adapt_high(&coder.high, ihigh)
            out[done + n] = <uint8_t>((ihigh << 6) | ilow)
        memcpy(coder.even, &even[piece], sizeof(coder.even))
        memcpy(coder.odd, &odd[piece], sizeof(coder.odd))
        done += piece
    return pairs


cdef int g722_decode(void* state, const uint8_t* data, int size, int16_t* out, int capacity) noexcept nogil:
    """Decode bytes; any are valid. Returns the samples written, two a byte, as many as fit."""
    cdef G722* coder = <G722*>state
    cdef int16_t[172] sums
    cdef int16_t[172] differences
    cdef int n, code, ihigh, rlow, rhigh, piece
    cdef int done = 0
    if size > capacity // 2:
        size = capacity // 2
    while done < size:
        piece = size - done if size - done < PIECE else PIECE
        memcpy(sums, coder.even, sizeof(coder.even))
        memcpy(differences, coder.odd, sizeof(coder.odd))
        for n in range(piece):
            code = data[done + n] & 0x3F
            ihigh = data[done + n] >> 6
            # INVQBL, RECONS, LIMIT
            rlow = clamp(coder.low.s + ((coder.low.det * QM6[code]) >> 15), -16384, 16383)
            adapt_low(&coder.low, code >> 2)
            rhigh = clamp(coder.high.s + ((coder.high.det * QM2[ihigh]) >> 15), -16384, 16383)
            adapt_high(&coder.high, ihigh)
            sums[12 + n] = <int16_t>(rlow + rhigh)
            differences[12 + n] = <int16_t>(rlow - rhigh)
        for n in range(piece):
            # Receive quadrature mirror filter
            out[2 * (done + n)] = <int16_t>saturate(dot12(&differences[n + 1], QMF_BACK) >> 11)
            out[2 * (done + n) + 1] = <int16_t>saturate(dot12(&sums[n + 1], QMF) >> 11)
        memcpy(coder.even, &sums[piece], sizeof(coder.even))
        memcpy(coder.odd, &differences[piece], sizeof(coder.odd))
        done += piece
    return 2 * size


cdef class G722Encoder:
    """One outgoing stream."""

    cdef G722 _coder

    def __cinit__(self):
        g722_reset(&self._coder)

    def encode(self, const int16_t[::1] samples not None):
        """Code 16 kHz samples, one byte a pair; an odd last one is left out."""
        cdef Py_ssize_t count = samples.shape[0]
        if count < 2:
            return b""
        out = PyBytes_FromStringAndSize(NULL, count // 2)
        cdef uint8_t* target = <uint8_t*>PyBytes_AS_STRING(out)
        with nogil:
            g722_encode(&self._coder, &samples[0], <int>count, target, <int>(count // 2))
        return out


cdef class G722Decoder:
    """One incoming stream."""

    cdef G722 _coder

    def __cinit__(self):
        g722_reset(&self._coder)

    def decode(self, const uint8_t[::1] data not None):
        """Decode to 16 kHz samples, two a byte."""
        import numpy

        cdef Py_ssize_t size = data.shape[0]
        out = numpy.empty(size * 2, numpy.int16)
        cdef int16_t[::1] target = out
        if size:
            with nogil:
                g722_decode(&self._coder, &data[0], <int>size, &target[0], <int>(size * 2))
        return out
