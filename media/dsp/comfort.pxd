"""Comfort noise (RFC 3389) for the engine."""

from libc.stdint cimport int16_t, uint8_t, uint32_t


cdef enum:
    COMFORT_ORDER = 12


cdef struct Comfort:
    uint32_t seed
    int order
    float[12] k                # reflection coefficients
    float[12] state
    float level                # RMS wanted, in samples
    float now                  # RMS of the last sample: it glides


cdef void comfort_reset(Comfort* comfort, uint32_t seed) noexcept nogil
cdef bint comfort_set(Comfort* comfort, const uint8_t* payload, int size) noexcept nogil
cdef void comfort_generate(Comfort* comfort, int16_t* out, int count) noexcept nogil
cdef int comfort_describe(const int16_t* samples, int count, uint8_t* payload, int capacity) noexcept nogil
