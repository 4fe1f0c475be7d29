"""Everything that listens to one leg: DTMF, talk, fax, answering machine, call progress.

Takes samples at 8 kHz or a multiple (brought down by averaging: what folds back lies above all that is listened for)
in pieces of any length, and works on frames of 20 ms. Only what is wanted costs time.
"""

from libc.stdint cimport int16_t, int32_t, int64_t
from libc.stdlib cimport calloc, free

from media.dsp.dtmf cimport DtmfEvent, dtmf_detect, dtmf_reset
from media.dsp.machine cimport MACHINE_BEEP, MACHINE_HUMAN, MACHINE_MACHINE, machine_reset, machine_step
from media.dsp.progress cimport (
    FrameSound,
    PROGRESS_BUSY,
    PROGRESS_CED,
    PROGRESS_CNG,
    PROGRESS_CONGESTION,
    PROGRESS_RINGBACK,
    PROGRESS_SIT,
    analyse_frame,
    fax_step,
    progress_reset,
    progress_step,
)
from media.dsp.vad cimport frame_level_db, talk_reset, talk_step, vad_free, vad_new, vad_voiced

cdef enum:
    FRAME = 160
    HANGOVER_MS = 400

cdef float LEAST_DBM0 = -27.0


cdef Hearing* hearing_new(int rate, int wants) noexcept nogil:
    """Ears for samples of ``rate``; ``wants`` is a sum of :c:enum:`Wants`. NULL: no memory, or a rate that is no
    multiple of 8000."""
    cdef Hearing* hearing
    if rate < 8000 or rate % 8000:
        return NULL
    hearing = <Hearing*>calloc(1, sizeof(Hearing))
    if hearing == NULL:
        return NULL
    hearing.wants = wants
    hearing.stride = rate // 8000
    if wants & (HEAR_TALK | HEAR_MACHINE):
        hearing.vad = vad_new(2)
        if hearing.vad == NULL:
            free(hearing)
            return NULL
    talk_reset(&hearing.talk, hearing.vad, HANGOVER_MS)
    dtmf_reset(&hearing.dtmf, LEAST_DBM0)
    progress_reset(&hearing.progress)
    machine_reset(&hearing.machine)
    return hearing


cdef void hearing_free(Hearing* hearing) noexcept nogil:
    if hearing == NULL:
        return
    vad_free(hearing.vad)
    free(hearing)


cdef inline int tell(Hearing* hearing, Heard* found, int kind, int value, int64_t length_ms) noexcept nogil:
    found.kind = kind
    found.value = value
    found.at_ms = hearing.frames * 20
    found.length_ms = length_ms
    return 1


cdef int detection_of(int tone) noexcept nogil:
    if tone == PROGRESS_CNG:
        return DETECTED_CNG
    if tone == PROGRESS_CED:
        return DETECTED_CED
    if tone == PROGRESS_BUSY:
        return DETECTED_BUSY
    if tone == PROGRESS_CONGESTION:
        return DETECTED_CONGESTION
    if tone == PROGRESS_SIT:
        return DETECTED_SIT
    return DETECTED_RINGBACK


cdef int hear_digits(Hearing* hearing, Heard* found, int capacity) noexcept nogil:
    cdef DtmfEvent[4] events
    cdef int count = dtmf_detect(&hearing.dtmf, hearing.frame, FRAME, events, 4)
    cdef int i
    if count > capacity:
        count = capacity
    for i in range(count):
        tell(hearing, &found[i], HEARD_DIGIT if events[i].started else HEARD_DIGIT_END, events[i].digit,
             events[i].samples // 8)
    return count


cdef int take_frame(Hearing* hearing, Heard* found) noexcept nogil:
    """One frame. Fills at most seven entries."""
    cdef FrameSound sound
    cdef int count = 0, change, tone, verdict
    cdef bint voiced = False
    hearing.frames += 1
    if hearing.wants & HEAR_DTMF:
        count = hear_digits(hearing, found, 3)
    if hearing.vad != NULL:
        voiced = vad_voiced(hearing.vad, hearing.frame, frame_level_db(hearing.frame, FRAME))
    if hearing.wants & HEAR_TALK:
        change = talk_step(&hearing.talk, voiced)
        if change > 0:
            count += tell(hearing, &found[count], HEARD_TALK, 0, 0)
        elif change < 0:
            count += tell(hearing, &found[count], HEARD_TALK_END, 0,
                          (hearing.talk.frame - hearing.talk.quiet - hearing.talk.began) * 20)
    if not hearing.wants & (HEAR_FAX | HEAR_PROGRESS | HEAR_MACHINE):
        return count
    analyse_frame(hearing.frame, &sound)
    if hearing.wants & HEAR_FAX:
        tone = fax_step(&hearing.progress, &sound)
        if tone:
            count += tell(hearing, &found[count], HEARD_DETECTED, detection_of(tone), 0)
    if hearing.wants & HEAR_PROGRESS:
        tone = progress_step(&hearing.progress, &sound)
        if tone:
            count += tell(hearing, &found[count], HEARD_DETECTED, detection_of(tone), 0)
    if hearing.wants & HEAR_MACHINE:
        verdict = machine_step(&hearing.machine, voiced, &sound)
        if verdict == MACHINE_HUMAN:
            count += tell(hearing, &found[count], HEARD_DETECTED, DETECTED_HUMAN, 0)
        elif verdict == MACHINE_MACHINE:
            count += tell(hearing, &found[count], HEARD_DETECTED, DETECTED_MACHINE, 0)
        elif verdict == MACHINE_BEEP:
            count += tell(hearing, &found[count], HEARD_DETECTED, DETECTED_BEEP, 0)
    return count


cdef int hear(Hearing* hearing, const int16_t* samples, int count, Heard* found, int capacity) noexcept nogil:
    """Take in samples. Returns how many entries of ``found`` were filled; give it room for 8 per 20 ms."""
    cdef Heard[8] fresh
    cdef int n, i, made, written = 0
    for n in range(count):
        hearing.sum += samples[n]
        hearing.phase += 1
        if hearing.phase < hearing.stride:
            continue
        hearing.frame[hearing.filled] = <int16_t>(hearing.sum // hearing.stride)
        hearing.sum = 0
        hearing.phase = 0
        hearing.filled += 1
        if hearing.filled < FRAME:
            continue
        hearing.filled = 0
        made = take_frame(hearing, fresh)
        for i in range(made):
            if written < capacity:
                found[written] = fresh[i]
                written += 1
    return written


NAMES = ("human", "machine", "beep", "cng", "ced", "busy", "congestion", "sit", "ringback")
WANTS = {
    "dtmf": HEAR_DTMF, "talk": HEAR_TALK, "fax": HEAR_FAX, "answering_machine": HEAR_MACHINE, "progress": HEAR_PROGRESS,
}


cdef class Ears:
    """The detectors for tests and tools."""

    cdef Hearing* _hearing

    def __cinit__(self, int rate, *wants):
        cdef int bits = 0
        for want in wants:
            bits |= WANTS[want]
        self._hearing = hearing_new(rate, bits)
        if self._hearing == NULL:
            raise ValueError(f"sample rate {rate}; expected a multiple of 8000")

    def __dealloc__(self):
        hearing_free(self._hearing)

    def feed(self, const int16_t[::1] samples not None):
        """Take in samples; returns what was heard."""
        cdef Heard[32] found
        cdef Py_ssize_t taken = 0, part
        cdef int count, i
        heard = []
        while taken < samples.shape[0]:
            part = min(samples.shape[0] - taken, 160)
            with nogil:
                count = hear(self._hearing, &samples[taken], <int>part, found, 32)
            taken += part
            for i in range(count):
                kind, value = found[i].kind, found[i].value
                if kind == HEARD_DIGIT or kind == HEARD_DIGIT_END:
                    what = "digit" if kind == HEARD_DIGIT else "digit end", chr(value)
                elif kind == HEARD_DETECTED:
                    what = "detected", NAMES[value]
                else:
                    what = "talk" if kind == HEARD_TALK else "talk end", ""
                heard.append((*what, found[i].at_ms, found[i].length_ms))
        return heard
