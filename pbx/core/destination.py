"""Where a call can be sent, as configuration and flows write it: ``queue:support``, ``hangup:busy``."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

DestinationKind = Literal[
    "flow", "queue", "extension", "agent", "group", "voicemail", "conference", "number", "hangup", "park"
]
KINDS: tuple[DestinationKind, ...] = get_args(DestinationKind)

HANGUP_CAUSES: dict[str, tuple[int, int]] = {
    # word: (SIP status where the call is not yet answered, Q.850 cause)
    "normal": (480, 16),
    "busy": (486, 17),
    "no_answer": (480, 19),
    "rejected": (603, 21),
    "forbidden": (403, 21),
    "unknown_number": (404, 1),
    "congestion": (503, 34),
    "unavailable": (480, 20),
    "out_of_order": (502, 27),
}
"""What ``hangup:WORD`` means on the wire (RFC 3398 section 8.2.6.1)."""

_NAME = re.compile(r"[\w.-]+", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9*#]+")


class Destination(NamedTuple):
    """A place to send a call to."""

    kind: DestinationKind
    name: str
    """Name, number or hangup cause; empty only for ``park`` (any free slot)."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_destination(text: str) -> Destination:
    """Read ``kind:name``. Raises ValueError saying what was expected."""
    kind, _, name = text.strip().partition(":")
    name = name.strip()
    if kind not in KINDS:
        raise ValueError(f"{text!r} is no destination: expected one of {', '.join(KINDS)}, a colon and a name")
    if kind == "hangup":
        name = name or "normal"
        if name not in HANGUP_CAUSES:
            raise ValueError(f"{name!r} is no hangup cause: expected {', '.join(HANGUP_CAUSES)}")
    elif kind == "number":
        if not _NUMBER.fullmatch(name):
            raise ValueError(f"{name!r} is no telephone number: expected digits, with + for an international one")
    elif (kind != "park" or name) and not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} lacks a proper name after the colon: expected letters, digits, '_', '-' and '.'")
    return Destination(kind, name)
