"""Session descriptions as values (RFC 8866): what parsing gives and serialising takes."""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


class SdpError(ValueError):
    """Not a session description we can read; the message says which line and why."""


class NegotiationError(ValueError):
    """Offer and answer have nothing in common; the SIP answer is 488."""


class Format(msgspec.Struct, frozen=True):
    """One RTP payload format of a media line."""

    name: str
    """Encoding name in capitals: PCMU, PCMA, G722, OPUS, TELEPHONE-EVENT ..."""
    payload_type: int
    clock_rate: int = 8000
    """RTP clock in Hz."""
    channels: int = 1
    fmtp: str = ""
    """Format parameters as given."""


class Crypto(msgspec.Struct, frozen=True):
    """One SDES key (RFC 4568 a=crypto): the sender of the line encrypts with it."""

    suite: str
    key: bytes
    """Master key followed by master salt."""
    tag: int = 1

    def __repr__(self) -> str:
        return f"Crypto(tag={self.tag}, suite={self.suite!r}, key=<secret>)"


class SessionId(msgspec.Struct, frozen=True):
    """Of our own descriptions: constant id, version plus one whenever the description changes (RFC 3264 section 8)."""

    id: int
    version: int


class Attribute(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class Media(msgspec.Struct, frozen=True):
    """One m= section. Attributes that negotiation reads are fields; ``attributes`` has all as they came."""

    kind: str
    """audio, video, image ..."""
    port: int
    protocol: str
    """RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVPF ..."""
    payloads: tuple[str, ...]
    """The format list as it stands."""
    formats: tuple[Format, ...]
    """Those of it that are RTP payloads with a known mapping, in the peer's order."""
    address: str
    """From this section's c= line, else the session's; empty if there is none."""
    direction: Direction = "sendrecv"
    ptime_ms: int = 0
    """0: not given."""
    max_ptime_ms: int = 0
    rtcp_port: int = 0
    """0: one above ``port``, or multiplexed."""
    rtcp_mux: bool = False
    cryptos: tuple[Crypto, ...] = ()
    mid: str = ""
    attributes: tuple[Attribute, ...] = ()

    @property
    def is_secure(self) -> bool:
        return "SAVP" in self.protocol


class Session(msgspec.Struct, frozen=True):
    """A whole description."""

    username: str
    session_id: str
    version: str
    address: str
    """Of the o= line."""
    media: tuple[Media, ...]
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"


STATIC_FORMATS = {
    0: Format("PCMU", 0),
    3: Format("GSM", 3),
    4: Format("G723", 4),
    8: Format("PCMA", 8),
    9: Format("G722", 9),
    10: Format("L16", 10, 44100, 2),
    11: Format("L16", 11, 44100),
    13: Format("CN", 13),
    15: Format("G728", 15),
    18: Format("G729", 18),
}
"""Payload types that need no rtpmap (RFC 3551 table 4)."""
