"""Format parameters of SDP (``a=fmtp``) that change how a codec is run."""

from __future__ import annotations

from dataclasses import dataclass

MIN_OPUS_BITRATE, MAX_OPUS_BITRATE = 6000, 510_000


def parse_fmtp(text: str) -> dict[str, str]:
    """``name=value`` pairs behind the payload type; names in lower case, a name alone has the value ``""``."""
    parameters: dict[str, str] = {}
    for part in text[:1000].split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            parameters.setdefault(name.strip().lower(), value.strip())
    return parameters


@dataclass(frozen=True, slots=True)
class OpusFormat:
    """What a peer asks of the Opus we send it (RFC 7587 section 6.1)."""

    fec: bool = False
    """useinbandfec"""
    dtx: bool = False
    """usedtx"""
    cbr: bool = False
    bitrate: int = 0
    """maxaveragebitrate in bit/s; 0: not said."""
    max_rate: int = 48_000
    """maxplaybackrate in Hz: audio above half of it is lost on the peer."""


def parse_opus(text: str) -> OpusFormat:
    """Read Opus parameters; what is missing or makes no sense has its default (RFC 7587)."""
    given = parse_fmtp(text)

    def number(name: str, low: int, high: int, default: int) -> int:
        value = given.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            return default
        return min(max(int(value), low), high)

    return OpusFormat(
        fec=given.get("useinbandfec") == "1",
        dtx=given.get("usedtx") == "1",
        cbr=given.get("cbr") == "1",
        bitrate=number("maxaveragebitrate", MIN_OPUS_BITRATE, MAX_OPUS_BITRATE, 0),
        max_rate=number("maxplaybackrate", 8000, 48_000, 48_000),
    )
