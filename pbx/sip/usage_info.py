"""INFO inside a dialog: DTMF digits as phones send them, and anything else as it is (RFC 6086 legacy usage)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .bodies import get_content_type
from .events import Info, InfoDigit
from .transactions import Transaction
from .wire import Packet

if TYPE_CHECKING:
    from .leg import Leg

_SIGNAL = re.compile(r"(?im)^[ \t]*signal[ \t]*=[ \t]*([0-9A-D*#]|1[0-5])[ \t\r]*$")
_DURATION = re.compile(r"(?im)^[ \t]*duration[ \t]*=[ \t]*(\d{1,5})[ \t\r]*$")
_NAMED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
DEFAULT_DURATION_MS = 160


def receive_info(leg: Leg, tx: Transaction, packet: Packet) -> None:
    """Answer an INFO and report what it carries; one we should have understood gets 415 (RFC 6086 section 4.2.2)."""
    kind = get_content_type(packet)
    text = packet.body.decode("utf-8", "replace")
    if kind == "application/dtmf-relay":
        signal, duration = _SIGNAL.search(text), _DURATION.search(text)
        digit = signal[1].upper() if signal else ""
        report_digit(leg, tx, _NAMED.get(digit, digit), int(duration[1]) if duration else DEFAULT_DURATION_MS)
    elif kind == "application/dtmf":
        digit = text.strip().upper()
        digit = _NAMED.get(digit, digit)
        report_digit(leg, tx, digit if len(digit) == 1 and digit in "0123456789*#ABCD" else "", DEFAULT_DURATION_MS)
    else:
        leg.endpoint.respond(tx, 200)
        if packet.body:
            leg.endpoint.emit(Info(leg=leg.id, content_type=packet.header("Content-Type"), body=packet.body))


def report_digit(leg: Leg, tx: Transaction, digit: str, duration_ms: int) -> None:
    if not digit:
        leg.endpoint.respond(tx, 400, "Bad Digit")
        return
    leg.endpoint.respond(tx, 200)
    leg.endpoint.emit(InfoDigit(leg=leg.id, digit=digit, duration_ms=duration_ms))
