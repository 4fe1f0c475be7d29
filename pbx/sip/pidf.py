"""Bodies of presence notifications: PIDF (RFC 3863) with what the person does (RFC 4479, RFC 4480)."""

from __future__ import annotations

from typing import Literal

import msgspec

from .xml_text import quote

Activity = Literal["", "on-the-phone", "busy", "away"]


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a moment."""

    open: bool
    """Takes calls now."""
    activity: Activity = ""
    note: str = ""
    """For people."""


def write_pidf(entity: str, presence: Presence) -> bytes:
    """``entity``: the URI that was subscribed to."""
    basic = "open" if presence.open else "closed"
    note = f"<note>{quote(presence.note)}</note>" if presence.note else ""
    activities = f"<rpid:activities><rpid:{presence.activity}/></rpid:activities>" if presence.activity else ""
    person = f'<dm:person id="person">{activities}</dm:person>\n' if activities else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
        f'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="{quote(entity)}">\n'
        f'<tuple id="phone"><status><basic>{basic}</basic></status><contact>{quote(entity)}</contact>{note}</tuple>\n'
        f"{person}</presence>\n"
    ).encode()
