"""Text from phone to phone: MESSAGE (RFC 3428), delivered to every contact of whom it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.sip.commands import SendMessage
from pbx.sip.events import TextMessage

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class Texts:
    """Nothing is kept: what cannot be delivered now is refused, so that the sender's phone says so."""

    def __init__(self, ex: Exchange) -> None:
        self._ex = ex

    def admit(self, message: TextMessage) -> int:
        """Implements ``pbx.sip.endpoint.TextAdmission``: 0, or the status of the refusal."""
        sender = self._find_sender(message)
        if not sender:
            # Text goes from phone to phone; trunks neither bring nor take any.
            return 403
        device = self._find_device(message.to)
        if device is None:
            return 404
        return 0 if self._ex.registrar.contacts(device.partition(":")[2], self._ex.now) else 480

    def deliver(self, message: TextMessage) -> None:
        ex = self._ex
        sender = self._find_sender(message)
        device = self._find_device(message.to) or ""
        for binding in ex.registrar.contacts(device.partition(":")[2], ex.now):
            ex.sip(
                SendMessage(
                    uri=binding.contact,
                    flow=binding.flow,
                    route=binding.path,
                    from_uri=f"sip:{sender}@{ex.settings.configuration.sip.realm}",
                    from_name=ex.settings.configuration.extensions[sender].name,
                    asserted=True,
                    content_type=message.content_type,
                    body=message.body,
                )
            )

    def _find_sender(self, message: TextMessage) -> str:
        """The extension whose digest or call proves it sent this; empty: no extension did."""
        found = self._ex.find(message.leg) if message.origin is None else None
        device = found[1].device if found is not None else ""
        if message.origin is not None:
            device = f"{message.origin.kind}:{message.origin.name}"
        kind, _, number = device.partition(":")
        return number if kind == "extension" and number in self._ex.settings.configuration.extensions else ""

    def _find_device(self, number: str) -> str | None:
        """The phone that ``number`` is, or the one that agent is at (empty: none); None: it is neither."""
        if number in self._ex.settings.configuration.extensions:
            return f"extension:{number}"
        return self._ex.agents.device_of(number) if number in self._ex.settings.configuration.agents else None
