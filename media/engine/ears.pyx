"""What a leg's audio says: talk, in-band digits, fax and progress tones, answering machines.

The detectors live in :mod:`media.dsp`; here their findings become events, and end players that wait for them.
"""

from libc.stdint cimport int16_t, int64_t, uint32_t

from media.dsp.hearing cimport (
    HEARD_DETECTED,
    HEARD_DIGIT,
    HEARD_TALK,
    HEARD_TALK_END,
    Heard,
    Hearing as Ears,
    hear,
    hearing_free,
    hearing_new,
)
from media.engine.player cimport end_players
from media.engine.rings cimport push_event
from media.engine.types cimport EV_DETECTED, EV_DIGIT, EV_TALK, Leg, Loop, PLAY_DIGIT, PLAY_SPEECH

DEF CAPACITY = 16


cdef int _code_of(int character) noexcept nogil:
    """RFC 4733 code of a digit."""
    if 48 <= character <= 57:
        return character - 48
    if character == 42:
        return 10
    if character == 35:
        return 11
    return 12 + character - 65


cdef void listen(Loop* loop, Leg* leg, const int16_t* samples, int count) noexcept nogil:
    """Feed 20 ms of the leg's audio (silence where none came) to its detectors."""
    cdef Heard found[16]
    cdef int made = hear(<Ears*>leg.ears, samples, count, found, CAPACITY)
    cdef int i
    cdef int64_t tapped = <int64_t>leg.tap.head if leg.tap != NULL else 0
    for i in range(made):
        if found[i].kind == HEARD_DIGIT:
            push_event(&loop.events, EV_DIGIT, leg.handle, found[i].value, 1, 0, NULL)
            if leg.player != NULL and leg.player.stop_mask & (1 << _code_of(found[i].value)):
                end_players(loop, leg, PLAY_DIGIT)
        elif found[i].kind == HEARD_TALK:
            push_event(&loop.events, EV_TALK, leg.handle, 1, 0, tapped, NULL)
            if leg.player != NULL and leg.player.stop_on_speech:
                end_players(loop, leg, PLAY_SPEECH)
        elif found[i].kind == HEARD_TALK_END:
            push_event(&loop.events, EV_TALK, leg.handle, 0, found[i].length_ms, tapped, NULL)
        elif found[i].kind == HEARD_DETECTED:
            push_event(&loop.events, EV_DETECTED, leg.handle, found[i].value,
                       (loop.now - leg.configured_ns) // 1000000, 0, NULL)


cdef void* open_ears(uint32_t rate, int wants) noexcept nogil:
    """NULL: no memory."""
    return hearing_new(<int>rate, wants)


cdef void close_ears(void* ears) noexcept nogil:
    hearing_free(<Ears*>ears)
