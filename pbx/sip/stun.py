"""Answering STUN Binding requests on a SIP port: the keep-alive of RFC 5626 section 3.5.2 (RFC 8489 section 5)."""

from __future__ import annotations

import ipaddress
from typing import Final

_COOKIE: Final = b"\x21\x12\xa4\x42"
_BINDING_REQUEST: Final = b"\x00\x01"
_HEADER: Final = 20


def is_stun(packet: bytes) -> bool:
    """Whether a datagram is STUN and not SIP: two zero bits in front and the magic cookie."""
    return len(packet) >= _HEADER and packet[0] < 4 and packet[4:8] == _COOKIE


def answer_binding(packet: bytes, host: str, port: int) -> bytes | None:
    """The success response telling the peer its own address; None for anything but a well-formed Binding request."""
    if packet[:2] != _BINDING_REQUEST or len(packet) != _HEADER + int.from_bytes(packet[2:4], "big"):
        return None
    transaction = packet[8:_HEADER]
    address = ipaddress.ip_address(host.partition("%")[0])
    key = _COOKIE + transaction if address.version == 6 else _COOKIE
    masked = bytes(a ^ b for a, b in zip(address.packed, key, strict=True))
    value = bytes((0, 2 if address.version == 6 else 1)) + (port ^ 0x2112).to_bytes(2, "big") + masked
    attribute = b"\x00\x20" + len(value).to_bytes(2, "big") + value
    return b"\x01\x01" + len(attribute).to_bytes(2, "big") + _COOKIE + transaction + attribute
