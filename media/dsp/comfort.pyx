"""Comfort noise as RFC 3389 sends it: a level and, up to order 12, the shape of the spectrum.

The noise is white noise through the all-pole lattice of the reflection coefficients, scaled so that the level comes out
right whatever the shape; from one description to the next the level glides.
"""

from libc.math cimport fabs, log10, pow, sqrt
from libc.stdint cimport int16_t, uint8_t, uint32_t
from libc.string cimport memset

cdef float GLIDE = 0.998       # per sample: 60 ms


cdef void comfort_reset(Comfort* comfort, uint32_t seed) noexcept nogil:
    """Silence, until :c:func:`comfort_set` says more."""
    memset(comfort, 0, sizeof(Comfort))
    comfort.seed = seed | 1


cdef bint comfort_set(Comfort* comfort, const uint8_t* payload, int size) noexcept nogil:
    """Take a payload: level in -dBov, then coefficients. False: empty. Coefficients beyond order 12 are left out."""
    cdef int i, order
    if size < 1:
        return False
    comfort.level = <float>(pow(10.0, -(payload[0] & 127) / 20.0) * 32768.0)
    order = size - 1 if size - 1 < COMFORT_ORDER else COMFORT_ORDER
    for i in range(order):
        comfort.k[i] = (<int>payload[1 + i] - 127) / <float>128.0
        # 255 would stand for 1, on the edge of stability.
        if comfort.k[i] > 0.99:
            comfort.k[i] = 0.99
        elif comfort.k[i] < -0.99:
            comfort.k[i] = -0.99
    if order != comfort.order:
        memset(comfort.state, 0, sizeof(comfort.state))
        comfort.order = order
    return True


cdef void comfort_generate(Comfort* comfort, int16_t* out, int count) noexcept nogil:
    """The next samples of noise."""
    cdef float shape = 1.0, f, value
    cdef int i, k
    for k in range(comfort.order):
        shape *= 1 - comfort.k[k] * comfort.k[k]
    # Uniform noise of -1 to 1 has an RMS of 1/sqrt(3).
    shape = <float>(sqrt(shape) * 1.7320508)
    for i in range(count):
        comfort.seed = comfort.seed * 1664525u + 1013904223u
        comfort.now = comfort.level + (comfort.now - comfort.level) * GLIDE
        f = (<int>(comfort.seed >> 8) - 8388608) / <float>8388608.0
        # Lattice: f(m-1) = f(m) - k(m)·b(m-1), b(m) = b(m-1) + k(m)·f(m-1), where b lags by a sample
        for k in range(comfort.order - 1, -1, -1):
            f -= comfort.k[k] * comfort.state[k]
            if k + 1 < comfort.order:
                comfort.state[k + 1] = comfort.state[k] + comfort.k[k] * f
        if comfort.order:
            comfort.state[0] = f
        value = f * shape * comfort.now
        out[i] = <int16_t>(32767 if value > 32767 else -32768 if value < -32768 else value)


cdef int comfort_describe(const int16_t* samples, int count, uint8_t* payload, int capacity) noexcept nogil:
    """Describe background noise: level and four coefficients (Levinson-Durbin). Returns the payload's bytes."""
    cdef double[5] r
    cdef double[5] a
    cdef double[5] before
    cdef double error, k, power
    cdef int i, m, j, lag, size, coded
    if capacity < 1 or count < 1:
        return 0
    for lag in range(5):
        r[lag] = 0
        for i in range(lag, count):
            r[lag] += <double>samples[i] * samples[i - lag]
    power = r[0] / count / 1073741824.0
    coded = 127 if power <= 0 else <int>(-10 * log10(power) + 0.5)
    payload[0] = <uint8_t>(127 if coded > 127 else 0 if coded < 0 else coded)
    size = 5 if capacity >= 5 else capacity
    if r[0] <= 0:
        return 1
    r[0] *= 1.0001             # a floor of white noise keeps the recursion stable
    error = r[0]
    memset(a, 0, sizeof(a))
    for m in range(1, size):
        k = r[m]
        for j in range(1, m):
            k += a[j] * r[m - j]
        k = -k / error
        for j in range(1, m):
            before[j] = a[j]
        for i in range(1, m):
            a[i] = before[i] + k * before[m - i]
        a[m] = k
        error *= 1 - k * k
        coded = <int>(127 + 128 * k + 0.5)
        payload[m] = <uint8_t>(254 if coded > 254 else 0 if coded < 0 else coded)
        if fabs(k) >= 1:
            return m
    return size


cdef class ComfortNoise:
    """The generator for tests and tools."""

    cdef Comfort _comfort

    def __cinit__(self, uint32_t seed=1):
        comfort_reset(&self._comfort, seed)

    def set(self, const uint8_t[::1] payload not None):
        """Take an RFC 3389 payload; False if it is empty."""
        return bool(payload.shape[0] and comfort_set(&self._comfort, &payload[0], <int>payload.shape[0]))

    def generate(self, int count):
        """The next samples."""
        import numpy

        out = numpy.zeros(count, numpy.int16)
        cdef int16_t[::1] view = out
        if count:
            comfort_generate(&self._comfort, &view[0], count)
        return out


def describe_noise(const int16_t[::1] samples not None):
    """RFC 3389 payload for background noise."""
    cdef uint8_t[5] payload
    cdef int size = 0
    if samples.shape[0]:
        size = comfort_describe(&samples[0], <int>samples.shape[0], payload, 5)
    return bytes(payload[:size])
