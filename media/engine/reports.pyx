"""The engine's events as facts for the control side; :meth:`Engine.drain` lists them."""

from media.engine.handover cimport address_text
from media.engine.terms import DETECTIONS, PLAY_REASONS
from media.engine.types cimport (
    EV_CODEC,
    EV_CONFIRMED,
    EV_DETECTED,
    EV_DIGIT,
    EV_DIGITS_SENT,
    EV_INTRUDER,
    EV_MEDIA_STARTED,
    EV_OVERRUN,
    EV_PLAY_DONE,
    EV_REC_DONE,
    EV_REC_FAILED,
    EV_REC_STATE,
    EV_TALK,
    EV_TAP,
    EV_TIMEOUT,
    Event,
)


cdef tuple read_event(Event* event):
    """Name and values. Raises AssertionError for one that is none of the control side's business."""
    cdef int type = event.type
    if type == EV_DIGIT:
        return ("digit", event.leg, chr(event.a), "inband" if event.b else "rfc4733")
    if type == EV_PLAY_DONE:
        return ("play", event.leg, event.a, PLAY_REASONS[event.b], event.c)
    if type == EV_DIGITS_SENT:
        return ("digits_sent", event.leg, event.a)
    if type == EV_MEDIA_STARTED:
        return ("started", event.leg, address_text(event), event.port)
    if type == EV_TIMEOUT:
        return ("timeout", event.leg, event.a)
    if type == EV_INTRUDER:
        return ("intruder", event.leg, address_text(event), event.port, event.a)
    if type == EV_CODEC:
        return ("codec", event.leg, event.a)
    if type == EV_CONFIRMED:
        return ("confirmed", event.leg, event.a)
    if type == EV_REC_STATE:
        return ("rec_state", event.a, event.b, event.c)
    if type == EV_REC_FAILED:
        return ("rec_failed", event.a, event.b)
    if type == EV_REC_DONE:
        return ("rec_done", event.a, event.b, event.c)
    if type == EV_TAP:
        return ("tap", event.leg)
    if type == EV_OVERRUN:
        return ("overrun", event.a, event.b)
    if type == EV_TALK:
        return ("talk", event.leg, bool(event.a), event.b, event.c)
    if type == EV_DETECTED:
        return ("detected", event.leg, DETECTIONS[event.a], event.b)
    raise AssertionError(f"engine event {type}")
