"""INVITE client transaction: RFC 3261 section 17.1.1, figure 5, as amended by RFC 6026 section 7.2 (Accepted)."""

from __future__ import annotations

from typing import Final

from . import fsm

CALLING: Final = "Calling"
PROCEEDING: Final = "Proceeding"
COMPLETED: Final = "Completed"
ACCEPTED: Final = "Accepted"

INITIAL: Final = (CALLING, (fsm.SEND, fsm.START + "A", fsm.START + "B"))

TABLE: Final[fsm.Table] = {
    (CALLING, fsm.TIMER_A): (CALLING, (fsm.RESEND, fsm.DOUBLE)),
    (CALLING, fsm.TIMER_B): (fsm.TERMINATED, (fsm.FREE, fsm.TIMEOUT)),
    (CALLING, fsm.RESPONSE_1XX): (PROCEEDING, (fsm.STOP, fsm.PASS)),
    (CALLING, fsm.RESPONSE_2XX): (ACCEPTED, (fsm.STOP, fsm.START + "M", fsm.PASS)),
    (CALLING, fsm.RESPONSE_FINAL): (COMPLETED, (fsm.STOP, fsm.SEND_ACK, fsm.START + "D", fsm.PASS)),
    (CALLING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (PROCEEDING, fsm.RESPONSE_1XX): (PROCEEDING, (fsm.PASS,)),
    (PROCEEDING, fsm.RESPONSE_2XX): (ACCEPTED, (fsm.STOP, fsm.START + "M", fsm.PASS)),
    (PROCEEDING, fsm.RESPONSE_FINAL): (COMPLETED, (fsm.STOP, fsm.SEND_ACK, fsm.START + "D", fsm.PASS)),
    (PROCEEDING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    # Not in the RFC's figure: after a CANCEL the TU gives up 64*T1 later (section 9.1); the TU sets B for that.
    (PROCEEDING, fsm.TIMER_B): (fsm.TERMINATED, (fsm.FREE, fsm.TIMEOUT)),
    (COMPLETED, fsm.RESPONSE_FINAL): (COMPLETED, (fsm.RESEND,)),
    (COMPLETED, fsm.TIMER_D): (fsm.TERMINATED, (fsm.FREE,)),
    (COMPLETED, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE,)),
    (ACCEPTED, fsm.RESPONSE_2XX): (ACCEPTED, (fsm.PASS,)),
    (ACCEPTED, fsm.TIMER_M): (fsm.TERMINATED, (fsm.FREE,)),
}
