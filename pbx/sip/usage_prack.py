"""Reliable provisional responses (RFC 3262): the sending side, for incoming calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .transactions import Transaction
from .wire import MAX_CSEQ, Packet

if TYPE_CHECKING:
    from .usage_uas import IncomingLeg

_RACK = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]+)\Z")


def read_rack(value: str) -> tuple[int, int, str] | None:
    """RSeq, CSeq number and method of a RAck header."""
    match = _RACK.match(value.strip())
    return (int(match[1]), int(match[2]), match[3].upper()) if match else None


class Provisionals:
    """Sends reliable 1xx one after the other; each is repeated until its PRACK (section 3)."""

    __slots__ = ("_data", "_interval", "_leg", "_rseq", "_waiting")

    def __init__(self, leg: IncomingLeg) -> None:
        self._leg = leg
        # Section 3: the first RSeq is chosen at random below 2**31; a small one leaves room to count up.
        self._rseq = int(leg.endpoint.ids.uniform(1, MAX_CSEQ // 2))
        self._data = b""
        self._interval = 0.0
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_pending(self) -> bool:
        return bool(self._data)

    def wait(self, action: Callable[[], None]) -> None:
        """Do ``action`` once nothing is outstanding."""
        self._waiting.append(action)

    def send(self, make: Callable[[str], bytes]) -> None:
        """Send a response made by ``make`` from its Require and RSeq header lines."""
        self._rseq += 1
        self._data = make(f"Require: 100rel\r\nRSeq: {self._rseq}\r\n")
        transactions = self._leg.endpoint.transactions
        self._interval = transactions.timing.t1
        transactions.set_timer(self, "1xx", self._interval)
        transactions.set_timer(self, "1xx limit", transactions.timing.limit)

    def on_prack(self, tx: Transaction, packet: Packet) -> bool:
        """Answer a PRACK. True: it acknowledged the outstanding response."""
        rack = read_rack(packet.header("RAck"))
        if rack is None:
            self._leg.endpoint.respond(tx, 400, "Bad RAck")
            return False
        invite = self._leg.invite
        if not self._data or rack != (self._rseq, invite.cseq, "INVITE"):
            self._leg.endpoint.respond(tx, 481)
            return False
        self._acknowledged()
        return True

    def _acknowledged(self) -> None:
        self._data = b""
        transactions = self._leg.endpoint.transactions
        transactions.stop_timer(self, "1xx")
        transactions.stop_timer(self, "1xx limit")

    def resume(self) -> None:
        """Run what waited for the PRACK, until the next reliable response is out."""
        while self._waiting and not self._data:
            self._waiting.pop(0)()

    def stop(self) -> None:
        self._acknowledged()
        self._waiting.clear()

    def on_timer(self, name: str) -> None:
        transactions = self._leg.endpoint.transactions
        if name == "1xx limit":
            self.stop()
            self._leg.on_unacknowledged()
            return
        transactions.transmit(self._leg.tx.flow, self._data, self._leg.id, "retransmission")
        # Section 3: doubled without the cap of T2.
        self._interval *= 2
        transactions.set_timer(self, "1xx", self._interval)
