"""In-band DTMF for the engine: a streaming detector within ITU-T Q.24, and a generator (Q.23)."""

from libc.stdint cimport int16_t, int32_t, int64_t


cdef enum:
    DTMF_HOP = 64              # samples at 8 kHz, 8 ms
    DTMF_WINDOW = 192          # samples a digit is verified on


cdef struct DtmfEvent:
    int32_t started            # 1 a digit began, 0 it ended
    int32_t digit              # ASCII
    int64_t position           # sample at which it began or ended, counted from the reset
    int64_t samples            # its length, where it ended


cdef struct DtmfDetector:
    float threshold            # least power of a component, mean square of samples
    int64_t position           # samples taken in
    int filled                 # of the hop under way
    int16_t ring[192]          # the last DTMF_WINDOW samples, oldest first, before the hop under way
    int16_t hop[64]
    int candidate              # pair index 0-15 of the running hops, -1 none
    int hops                   # how many in a row
    float low_sum              # amplitudes of the running hops ...
    float high_sum
    float low_peak             # ... and the greatest
    float high_peak
    int digit                  # pair index being heard, -1 none
    int misses                 # hops since it was last heard
    int refused                # verification failed in this run; wait for the next
    int64_t began


cdef struct DtmfGenerator:
    int rate
    double low_step, high_step
    double low_phase, high_phase
    float low_level, high_level
    int32_t on, off            # samples left of tone and of the pause behind it
    int32_t done               # samples since the tone began
    int32_t total


cdef void dtmf_reset(DtmfDetector* detector, float least_dbm0) noexcept nogil
cdef int dtmf_detect(
    DtmfDetector* detector, const int16_t* samples, int count, DtmfEvent* events, int capacity) noexcept nogil
cdef bint dtmf_generator_start(
    DtmfGenerator* generator, int rate, char digit, int on_ms, int off_ms, float level_dbfs) noexcept nogil
cdef int dtmf_generate(DtmfGenerator* generator, int16_t* out, int count) noexcept nogil
