"""How many messages wait in each mailbox. Whoever keeps mailboxes says it here; lamps and desktops follow.

The store of messages calls :meth:`pbx.app.switch.Switch.messages_waiting` once for every mailbox at start and again
whenever a count may have changed; saying the same twice changes nothing. A mailbox nobody spoke of has no messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class MessageCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one mailbox, as RFC 3842 counts them."""

    new: int = 0
    """Not listened to yet, urgent ones among them."""
    old: int = 0
    """Listened to and kept, urgent ones among them."""
    urgent_new: int = 0
    urgent_old: int = 0


_NONE = MessageCounts()


class MessageWaiting:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._counts: dict[str, MessageCounts] = {}

    def counts(self, mailbox: str) -> MessageCounts:
        return self._counts.get(mailbox, _NONE)

    def put(self, mailbox: str, counts: MessageCounts) -> None:
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
