"""A record as it is stored and sent: encoded once, with what is needed to deliver it."""

from __future__ import annotations

import msgspec

from .catalogue import Record


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="write", tag="event", gc=False):
    seq: int
    at: float
    type: str
    """Name of the event."""
    call: str = ""
    topics: tuple[str, ...] = ()
    """Whom it concerns; see ``pbx.events.folds.topics``."""
    joined: str = ""
    """The topic that this record made concerned with the call."""
    json: str
    """The whole record."""


_decode_record = msgspec.json.Decoder(Record).decode


def parse_line(line: Line) -> Record:
    """The record of a line that was read back."""
    return _decode_record(line.json)
