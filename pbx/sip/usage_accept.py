"""Repeating a 2xx to INVITE until its ACK arrives (RFC 3261 section 13.3.1.4), for first and later INVITEs alike."""

from __future__ import annotations

from collections.abc import Callable

from .endpoint import Endpoint
from .transactions import Transaction


class Acceptance:
    """One 2xx on its way. It is repeated over reliable transports too: later hops may be UDP."""

    __slots__ = ("cseq", "data", "endpoint", "interval", "on_lost", "tx")

    def __init__(
        self, endpoint: Endpoint, tx: Transaction, cseq: int, data: bytes, on_lost: Callable[[], None]
    ) -> None:
        self.endpoint = endpoint
        self.tx = tx
        self.cseq = cseq
        self.data = data
        self.on_lost = on_lost
        transactions = endpoint.transactions
        self.interval = transactions.timing.t1
        transactions.set_timer(self, "2xx", self.interval)
        transactions.set_timer(self, "2xx limit", transactions.timing.limit)

    def stop(self) -> None:
        """The ACK is here, or nobody waits for it any more."""
        self.endpoint.transactions.stop_timer(self, "2xx")
        self.endpoint.transactions.stop_timer(self, "2xx limit")

    def on_timer(self, name: str) -> None:
        transactions = self.endpoint.transactions
        if name == "2xx limit":
            self.stop()
            self.on_lost()
            return
        transactions.transmit(self.tx.flow, self.data, self.tx.leg, "retransmission")
        self.interval = min(self.interval * 2, transactions.timing.t2)
        transactions.set_timer(self, "2xx", self.interval)
