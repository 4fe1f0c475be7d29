"""Non-INVITE client transaction: RFC 3261 section 17.1.2, figure 6."""

from __future__ import annotations

from typing import Final

from . import fsm

TRYING: Final = "Trying"
PROCEEDING: Final = "Proceeding"
COMPLETED: Final = "Completed"

INITIAL: Final = (TRYING, (fsm.SEND, fsm.START + "E", fsm.START + "F"))

_DONE: Final = (COMPLETED, (fsm.STOP, fsm.START + "K", fsm.PASS))

TABLE: Final[fsm.Table] = {
    (TRYING, fsm.TIMER_E): (TRYING, (fsm.RESEND, fsm.DOUBLE_T2)),
    (TRYING, fsm.TIMER_F): (fsm.TERMINATED, (fsm.FREE, fsm.TIMEOUT)),
    (TRYING, fsm.RESPONSE_1XX): (PROCEEDING, (fsm.PASS,)),
    (TRYING, fsm.RESPONSE_2XX): _DONE,
    (TRYING, fsm.RESPONSE_FINAL): _DONE,
    (TRYING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (PROCEEDING, fsm.TIMER_E): (PROCEEDING, (fsm.RESEND, fsm.REPEAT_T2)),
    (PROCEEDING, fsm.TIMER_F): (fsm.TERMINATED, (fsm.FREE, fsm.TIMEOUT)),
    (PROCEEDING, fsm.RESPONSE_1XX): (PROCEEDING, (fsm.PASS,)),
    (PROCEEDING, fsm.RESPONSE_2XX): _DONE,
    (PROCEEDING, fsm.RESPONSE_FINAL): _DONE,
    (PROCEEDING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (COMPLETED, fsm.TIMER_K): (fsm.TERMINATED, (fsm.FREE,)),
    (COMPLETED, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE,)),
}
