"""Writing a session description (RFC 8866)."""

from __future__ import annotations

from .crypto import format_crypto
from .model import Crypto, Direction, Format, Media, Session, SessionId


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def format_head(address: str, session: SessionId) -> str:
    """Session part of our own descriptions."""
    where = f"IN {_family(address)} {address}"
    return f"v=0\r\no=- {session.id} {session.version} {where}\r\ns=-\r\nc={where}\r\nt=0 0\r\n"


def format_format(item: Format) -> str:
    """rtpmap and fmtp lines of one payload format."""
    channels = f"/{item.channels}" if item.channels > 1 else ""
    name = item.name.lower() if item.name in ("OPUS", "TELEPHONE-EVENT") else item.name
    fmtp = f"a=fmtp:{item.payload_type} {item.fmtp}\r\n" if item.fmtp else ""
    return f"a=rtpmap:{item.payload_type} {name}/{item.clock_rate}{channels}\r\n{fmtp}"


def format_media(
    port: int,
    formats: tuple[Format, ...],
    *,
    protocol: str = "RTP/AVP",
    direction: Direction = "sendrecv",
    ptime_ms: int = 20,
    rtcp_mux: bool = False,
    crypto: tuple[Crypto, ...] = (),
    mid: str = "",
    attributes: tuple[str, ...] = (),
) -> str:
    """The audio section of our own descriptions. ``attributes``: further a= lines without ``a=``."""
    payloads = " ".join(str(item.payload_type) for item in formats)
    lines = [f"m=audio {port} {protocol} {payloads}\r\n", *[format_format(item) for item in formats]]
    if mid:
        lines.append(f"a=mid:{mid}\r\n")
    lines += [f"{format_crypto(item)}\r\n" for item in crypto]
    lines += [f"a={text}\r\n" for text in attributes]
    mux = "a=rtcp-mux\r\n" if rtcp_mux else ""
    lines.append(f"a=ptime:{ptime_ms}\r\n{mux}a={direction}\r\n")
    return "".join(lines)


def format_rejected(media: Media) -> str:
    """A section we do not take: port 0, everything else as it was (RFC 3264 section 6)."""
    mid = f"a=mid:{media.mid}\r\n" if media.mid else ""
    return f"m={media.kind} 0 {media.protocol} {' '.join(media.payloads)}\r\n{mid}"


def serialise(session: Session) -> bytes:
    """A description from its value; ``parse`` is the inverse."""
    origin = f"IN {_family(session.address)} {session.address}"
    lines = [
        "v=0",
        f"o={session.username} {session.session_id} {session.version} {origin}",
        f"s={session.name or '-'}",
        "t=0 0",
    ]
    lines += [f"a={item.name}:{item.value}" if item.value else f"a={item.name}" for item in session.attributes]
    for media in session.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.payloads)}")
        if media.address:
            lines.append(f"c=IN {_family(media.address)} {media.address}")
        for item in media.attributes:
            lines.append(f"a={item.name}:{item.value}" if item.value else f"a={item.name}")
        if not any(item.name == media.direction for item in media.attributes):
            lines.append(f"a={media.direction}")
    return ("\r\n".join(lines) + "\r\n").encode()
