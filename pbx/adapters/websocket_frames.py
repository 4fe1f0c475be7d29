"""WebSocket frames as a server sends them (RFC 6455 section 5.2): unmasked, unfragmented, without extensions.

Such a frame is the same for every client: a CTI event is framed once and the bytes are written to hundreds of sockets.
"""

from __future__ import annotations

import struct

_TEXT = 0x81
PING = b"\x89\x00"


def make_text_frame(payload: bytes) -> bytes:
    """FIN, opcode text."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def read_text_frame(frame: bytes) -> bytes:
    """The payload of a frame that ``make_text_frame`` made."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]
