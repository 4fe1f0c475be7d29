"""Finding the session description in a body, plain or one part of a multipart (RFC 5621)."""

from __future__ import annotations

import re

from .wire import Packet

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
MAX_PARTS = 16


def get_content_type(packet: Packet) -> str:
    """``type/subtype`` in lower case, without parameters; empty where there is no body type."""
    value = packet.headers.get("content-type")
    if value is None:
        return ""
    return value.partition(";")[0].strip().lower().replace(" ", "")


def read_sdp(packet: Packet) -> bytes | None:
    """The session description, or None if the message carries none."""
    body = packet.message.body
    if not body:
        return None
    kind = get_content_type(packet)
    if kind in ("application/sdp", ""):
        return body
    if kind.startswith("multipart/"):
        return find_part(packet.header("Content-Type"), body, "application/sdp")
    return None


def has_foreign_body(packet: Packet) -> bool:
    """A body that is neither SDP nor a multipart with SDP in it, and must be understood (RFC 3261 section 8.2.3)."""
    if not packet.message.body:
        return False
    if packet.header("Content-Encoding").lower() not in ("", "identity"):
        return True
    if read_sdp(packet) is not None:
        return False
    return "handling=optional" not in packet.header("Content-Disposition").replace(" ", "").lower()


def find_part(content_type: str, body: bytes, wanted: str) -> bytes | None:
    """The first part of type ``wanted`` in a multipart body; parts nested one level deep are looked into."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        return None
    delimiter = b"--" + (match[1] or match[2]).encode()
    parts = body.split(delimiter)[1 : MAX_PARTS + 1]
    for part in parts:
        if part.startswith(b"--"):
            break
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator:
            continue
        kind = "text/plain"
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() in ("content-type", "c"):
                kind = value.strip()
        if kind.partition(";")[0].strip().lower() == wanted:
            return content.removesuffix(b"\r\n")
        if kind.lower().startswith("multipart/") and "boundary" in kind:
            nested = _find_leaf(kind, content, wanted)
            if nested is not None:
                return nested
    return None


def _find_leaf(content_type: str, body: bytes, wanted: str) -> bytes | None:
    match = _BOUNDARY.search(content_type)
    if match is None:
        return None
    for part in body.split(b"--" + (match[1] or match[2]).encode())[1 : MAX_PARTS + 1]:
        head, separator, content = part.partition(b"\r\n\r\n")
        if separator and wanted.encode() in head.lower():
            return content.removesuffix(b"\r\n")
    return None
