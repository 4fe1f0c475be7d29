"""Voice activity for the engine: WebRTC's detector called natively, an energy detector where it is missing."""

from libc.stdint cimport int16_t, int64_t


cdef enum:
    VAD_FRAME = 160            # samples at 8 kHz, 20 ms


cdef struct Vad:
    void* handle               # WebRtcVad instance, NULL: by energy
    float floor_db             # running estimate of the noise, dBFS


cdef struct Talk:
    Vad* vad
    unsigned int history       # one bit per frame, newest lowest
    int talking
    int quiet                  # frames since the last voiced one
    int hangover               # frames of silence that end talk
    int64_t frame              # frames taken in
    int64_t began


cdef bint vad_native() noexcept nogil
cdef Vad* vad_new(int aggressiveness) noexcept nogil
cdef void vad_free(Vad* vad) noexcept nogil
cdef bint vad_voiced(Vad* vad, const int16_t* frame, float energy_db) noexcept nogil
cdef float frame_level_db(const int16_t* frame, int count) noexcept nogil
cdef void talk_reset(Talk* talk, Vad* vad, int hangover_ms) noexcept nogil
cdef int talk_step(Talk* talk, bint voiced) noexcept nogil
