"""How many messages wait in each mailbox. Whoever keeps mailboxes says it here; lamps and desktops follow.

Saying the same twice changes nothing. A mailbox nobody spoke of has no messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.events import catalogue as facts
from pbx.voicemail.model import Counts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


_NONE = Counts()


class MessageWaiting:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._counts: dict[str, Counts] = {}

    def counts(self, mailbox: str) -> Counts:
        return self._counts.get(mailbox, _NONE)

    def put(self, mailbox: str, counts: Counts) -> None:
        """``mailbox`` (the extension's number) holds these messages now."""
        if counts == self.counts(mailbox):
            return
        if counts == _NONE:
            del self._counts[mailbox]
        else:
            self._counts[mailbox] = counts
        self._ex.log(
            facts.MessageWaiting(
                device=f"extension:{mailbox}",
                new=counts.new,
                old=counts.old,
                urgent_new=counts.urgent_new,
                urgent_old=counts.urgent_old,
            )
        )
