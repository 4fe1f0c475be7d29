"""Non-INVITE server transaction: RFC 3261 section 17.2.2, figure 8."""

from __future__ import annotations

from typing import Final

from . import fsm

TRYING: Final = "Trying"
PROCEEDING: Final = "Proceeding"
COMPLETED: Final = "Completed"

INITIAL: Final = (TRYING, ())

_DONE: Final = (COMPLETED, (fsm.SEND, fsm.START + "J"))

TABLE: Final[fsm.Table] = {
    (TRYING, fsm.REQUEST): (TRYING, ()),
    (TRYING, fsm.SEND_1XX): (PROCEEDING, (fsm.SEND,)),
    (TRYING, fsm.SEND_2XX): _DONE,
    (TRYING, fsm.SEND_FINAL): _DONE,
    (TRYING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (PROCEEDING, fsm.REQUEST): (PROCEEDING, (fsm.RESEND,)),
    (PROCEEDING, fsm.SEND_1XX): (PROCEEDING, (fsm.SEND,)),
    (PROCEEDING, fsm.SEND_2XX): _DONE,
    (PROCEEDING, fsm.SEND_FINAL): _DONE,
    (PROCEEDING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (COMPLETED, fsm.REQUEST): (COMPLETED, (fsm.RESEND,)),
    (COMPLETED, fsm.TIMER_J): (fsm.TERMINATED, (fsm.FREE,)),
    (COMPLETED, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE,)),
}
