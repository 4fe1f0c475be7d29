"""Digits of a conversation that the gateway cannot carry across its bridge, because one side speaks INFO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.protocol import SendDigits
from pbx.sip.commands import SendInfo

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.app.sessions.talk import Talk
    from pbx.call.model import Call, Leg

PRESSED_MS = 160
"""How long a digit sounds whose length nobody told."""


def carry(ex: Exchange, call: Call, talk: Talk, leg: Leg, digit: str, *, by_info: bool) -> None:
    """``leg`` pressed a key: tell those who hear it and would not get it from the gateway."""
    if leg.parked:
        return
    for name in (*talk.legs, talk.consulted):
        other = call.legs.get(name)
        if other is None or other is leg or other.parked or other.state == "ended":
            continue
        if by_info or _speaks_info(ex, other):
            send(ex, other, digit, PRESSED_MS)


def send(ex: Exchange, leg: Leg, digits: str, duration_ms: int) -> None:
    """Press ``digits`` towards ``leg``, the way it is configured and agreed: INFO, RFC 4733, or tones."""
    if _speaks_info(ex, leg):
        for digit in digits:
            body = f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()
            ex.sip(SendInfo(leg=leg.id, content_type="application/dtmf-relay", body=body))
        return
    inband = leg.configured is not None and leg.configured.dtmf_payload_type is None
    ex.media.send(
        leg.gateway,
        SendDigits(id=ex.media.next_id(), leg=leg.id, digits=digits, duration_ms=duration_ms, inband=inband),
    )


def _speaks_info(ex: Exchange, leg: Leg) -> bool:
    return ex.settings.media_of(leg.device).dtmf == "info"
