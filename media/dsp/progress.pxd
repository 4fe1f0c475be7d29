"""Call-progress and fax tones for the engine, from 20 ms frames at 8 kHz."""

from libc.stdint cimport int16_t, int32_t, int64_t


cdef struct FrameSound:
    float level_db             # RMS in dBFS
    float hz                   # frequency, if it is one sine
    float purity               # share of the energy in that sine
    float low_share            # energy in 300-700 Hz, where call-progress tones are


cdef enum ProgressTone:
    PROGRESS_NONE = 0
    PROGRESS_CNG = 1
    PROGRESS_CED = 2
    PROGRESS_BUSY = 3
    PROGRESS_CONGESTION = 4
    PROGRESS_SIT = 5
    PROGRESS_RINGBACK = 6


cdef struct Progress:
    int tone                   # a progress tone sounds
    int on, off                # frames of the burst and of the pause under way
    int gap                    # frames without tone inside a burst, not yet a pause
    int foreign                # loud frames since the burst began that are no tone
    int bursts                 # bursts of equal cadence in a row
    int last_on, last_off
    float level_db             # of the last burst
    int fax_class, fax_frames, fax_gap
    int sit_stage, sit_frames, sit_gap
    unsigned int reported      # one bit per ProgressTone: each is told once


cdef void analyse_frame(const int16_t* frame, FrameSound* sound) noexcept nogil
cdef void progress_reset(Progress* progress) noexcept nogil
cdef int fax_step(Progress* progress, const FrameSound* sound) noexcept nogil
cdef int progress_step(Progress* progress, const FrameSound* sound) noexcept nogil
