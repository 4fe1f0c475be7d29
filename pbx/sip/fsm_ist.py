"""INVITE server transaction: RFC 3261 section 17.2.1, figure 7, as amended by RFC 6026 section 7.1 (Accepted)."""

from __future__ import annotations

from typing import Final

from . import fsm

PROCEEDING: Final = "Proceeding"
COMPLETED: Final = "Completed"
CONFIRMED: Final = "Confirmed"
ACCEPTED: Final = "Accepted"

INITIAL: Final = (PROCEEDING, ())

TABLE: Final[fsm.Table] = {
    (PROCEEDING, fsm.REQUEST): (PROCEEDING, (fsm.RESEND,)),
    (PROCEEDING, fsm.SEND_1XX): (PROCEEDING, (fsm.SEND,)),
    (PROCEEDING, fsm.SEND_2XX): (ACCEPTED, (fsm.SEND, fsm.START + "L")),
    (PROCEEDING, fsm.SEND_FINAL): (COMPLETED, (fsm.SEND, fsm.START + "G", fsm.START + "H")),
    (PROCEEDING, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (COMPLETED, fsm.REQUEST): (COMPLETED, (fsm.RESEND,)),
    (COMPLETED, fsm.ACK): (CONFIRMED, (fsm.STOP, fsm.START + "I")),
    (COMPLETED, fsm.TIMER_G): (COMPLETED, (fsm.RESEND, fsm.DOUBLE_T2)),
    (COMPLETED, fsm.TIMER_H): (fsm.TERMINATED, (fsm.FREE, fsm.TIMEOUT)),
    (COMPLETED, fsm.ERROR): (fsm.TERMINATED, (fsm.FREE, fsm.FAIL)),
    (CONFIRMED, fsm.TIMER_I): (fsm.TERMINATED, (fsm.FREE,)),
    # The 2xx is repeated by the TU, so a repeated INVITE is only absorbed here (RFC 6026 section 7.1).
    (ACCEPTED, fsm.REQUEST): (ACCEPTED, ()),
    (ACCEPTED, fsm.SEND_2XX): (ACCEPTED, (fsm.SEND,)),
    (ACCEPTED, fsm.ACK): (ACCEPTED, (fsm.PASS,)),
    (ACCEPTED, fsm.TIMER_L): (fsm.TERMINATED, (fsm.FREE,)),
    (ACCEPTED, fsm.ERROR): (ACCEPTED, (fsm.FAIL,)),
}
