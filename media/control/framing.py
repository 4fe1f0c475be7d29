"""Frames on the control socket: a 4-byte big-endian length, then one MessagePack struct."""

from __future__ import annotations

from collections.abc import Iterator

from media.protocol import MAX_FRAME_BYTES


class FrameError(ValueError):
    """The peer sent a frame that no valid message can have."""


class FrameReader:
    """Cuts a byte stream into frames; keeps at most one unfinished frame."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every frame that is complete now. Raises FrameError on a length over the limit."""
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= 4:
                length = int.from_bytes(self._buffer[at : at + 4], "big")
                if length > self._limit:
                    raise FrameError(f"frame of {length} bytes; at most {self._limit} are allowed")
                if len(self._buffer) - at - 4 < length:
                    break
                frame = bytes(self._buffer[at + 4 : at + 4 + length])
                at += 4 + length
                yield frame
        finally:
            del self._buffer[:at]


def write_frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body
