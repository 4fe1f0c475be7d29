"""Pager-mode messages of peers (MESSAGE, RFC 3428): judged, answered, given to the switch."""

from __future__ import annotations

from typing import Final

from .bodies import find_part, get_content_type
from .endpoint import Endpoint
from .events import Origin, TextMessage
from .transactions import Transaction
from .wire import Packet

MAX_TEXT: Final = 1300
"""Bytes of a body. RFC 3428 section 8 wants no more in a whole request where UDP may be on the way."""
TYPES: Final = ("text/plain", "application/im-iscomposing+xml")
"""What phones show as it is: text, and "is writing" (RFC 3994). CPIM is not among them: its own From is proven by
nobody."""


def take_message(
    endpoint: Endpoint, tx: Transaction, packet: Packet, origin: Origin | None, to: str, leg: str = ""
) -> None:
    """Answer a MESSAGE, and emit ``TextMessage`` where it is accepted. ``to``: user part of who it is for.

    ``endpoint.admit_text`` is asked before the answer, so that a sender hears of what cannot be delivered.
    """
    kind, body = packet.header("Content-Type"), packet.body
    if get_content_type(packet).startswith("multipart/"):
        # RFC 5621 section 3.1: whoever reads bodies reads these; pictures and signatures beside the text are left out.
        kind, body = "text/plain", find_part(kind, body, "text/plain") or b""
    elif get_content_type(packet) not in TYPES:
        body = b""
    if not body or packet.header("Content-Encoding").lower() not in ("", "identity"):
        endpoint.respond(tx, 415, headers=f"Accept: {', '.join(TYPES)}\r\nAccept-Encoding: identity\r\n")
        return
    if len(body) > MAX_TEXT:
        endpoint.respond(tx, 413)
        return
    message = TextMessage(origin=origin, to=to, content_type=kind, body=body, leg=leg)
    refusal = endpoint.admit_text(message)
    if refusal:
        endpoint.respond(tx, refusal)
        return
    # Not 200: it is for several phones perhaps, and nobody waits for them (section 7).
    endpoint.respond(tx, 202)
    endpoint.emit(message)
