"""All detectors of one leg behind one call: what the engine feeds with decoded audio."""

from libc.stdint cimport int16_t, int32_t, int64_t

from media.dsp.dtmf cimport DtmfDetector
from media.dsp.machine cimport Machine
from media.dsp.progress cimport Progress
from media.dsp.vad cimport Talk, Vad


cdef enum Wants:
    HEAR_DTMF = 1
    HEAR_TALK = 2
    HEAR_FAX = 4
    HEAR_MACHINE = 8
    HEAR_PROGRESS = 16


cdef enum HeardKind:
    HEARD_DIGIT = 1            # value: ASCII; it began
    HEARD_DIGIT_END = 2        # value: ASCII; length_ms
    HEARD_TALK = 3             # talk began
    HEARD_TALK_END = 4         # length_ms
    HEARD_DETECTED = 5         # value: a Detection


cdef enum Detection:           # in the order of media.protocol.Detected.what
    DETECTED_HUMAN = 0
    DETECTED_MACHINE = 1
    DETECTED_BEEP = 2
    DETECTED_CNG = 3
    DETECTED_CED = 4
    DETECTED_BUSY = 5
    DETECTED_CONGESTION = 6
    DETECTED_SIT = 7
    DETECTED_RINGBACK = 8


cdef struct Heard:
    int32_t kind
    int32_t value
    int64_t at_ms              # of audio, since the start
    int64_t length_ms


cdef struct Hearing:
    int wants
    int stride                 # input samples per 8 kHz sample
    int phase                  # of the sample under way
    int32_t sum
    int filled
    int64_t frames             # 20 ms frames taken in
    int16_t frame[160]
    Vad* vad
    Talk talk
    DtmfDetector dtmf
    Progress progress
    Machine machine


cdef Hearing* hearing_new(int rate, int wants) noexcept nogil
cdef void hearing_free(Hearing* hearing) noexcept nogil
cdef int hear(Hearing* hearing, const int16_t* samples, int count, Heard* found, int capacity) noexcept nogil
