"""Cutting a TCP or TLS byte stream into SIP messages (RFC 3261 section 18.3) and pings (RFC 5626 section 3.5.1).

Pure and incremental: bytes in whatever pieces, messages out. What it holds is bounded by ``FramingLimits``; how long
an unfinished message may take is judged by the caller with ``unfinished_since``.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE)
_FIRST_BYTE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")


class FramingLimits(msgspec.Struct, frozen=True):
    max_message: int = 65_535
    """Bytes of one message, head and body."""
    max_head: int = 32_768
    """Bytes up to the empty line."""


class Framed(msgspec.Struct, frozen=True):
    """What one piece of input completed."""

    messages: tuple[bytes, ...] = ()
    ping: bool = False
    """The peer sent at least one keep-alive ping: answer with one ``PONG``."""
    pong: bool = False
    """A ping of ours was answered."""


_NOTHING = Framed()


class StreamFramer:
    """One direction of one connection.

    ``failure`` says why the stream cannot be followed any further; nothing more is taken then, and the connection is
    to be closed. A message whose length cannot be told is still delivered, without body, so that it can be answered
    with 400 first (RFC 4475 section 3.1.2.2).
    """

    __slots__ = ("_buffer", "_limits", "_need", "_pings", "_scanned", "failure", "unfinished_since")

    def __init__(self, limits: FramingLimits | None = None) -> None:
        self._limits = limits or FramingLimits()
        self._buffer = bytearray()
        self._scanned = 0
        self._need = 0
        self._pings = 0
        self.failure = ""
        self.unfinished_since: float | None = None
        """When the message that is still incomplete began to arrive; None between messages."""

    def note_ping(self) -> None:
        """We sent a ``PING``: the next lone CRLF is its answer and not half a ping of the peer."""
        self._pings += 1

    def has_failed(self) -> bool:
        return self.failure != ""

    def receive(self, data: bytes, now: float) -> Framed:
        """Take the next bytes of the stream."""
        if self.has_failed() or not data:
            return _NOTHING
        buffer = self._buffer
        buffer += data
        messages: list[bytes] = []
        ping = pong = False
        while buffer:
            if not self._need:
                blank = self._take_blank_lines()
                ping, pong = ping or blank[0], pong or blank[1]
                if not buffer or _is_blank(buffer) or not self._find_head(messages):
                    break
            if len(buffer) < self._need:
                break
            messages.append(bytes(buffer[: self._need]))
            del buffer[: self._need]
            self._need = self._scanned = 0
            self.unfinished_since = None
        if self.has_failed():
            buffer.clear()
            self.unfinished_since = None
        elif buffer and not (len(buffer) < 3 and _is_blank(buffer)) and self.unfinished_since is None:
            self.unfinished_since = now
        if not messages and not ping and not pong:
            return _NOTHING
        return Framed(tuple(messages), ping, pong)

    def _take_blank_lines(self) -> tuple[bool, bool]:
        """Remove CRLFs in front of a message; (a ping was among them, a pong was)."""
        buffer, at, ping, pong = self._buffer, 0, False, False
        if self._scanned:
            return False, False
        while buffer.startswith(PONG, at):
            if self._pings:
                self._pings -= 1
                pong = True
            elif buffer.startswith(PING, at):
                ping = True
                at += 2
            elif _is_blank(buffer[at : at + 4]):
                break
            at += 2
        if at:
            del buffer[:at]
        return ping, pong

    def _find_head(self, messages: list[bytes]) -> bool:
        """Look for the empty line and learn how long the message is; False: more is needed, or the stream failed."""
        buffer, limits = self._buffer, self._limits
        if buffer[0] not in _FIRST_BYTE:
            self.failure = "not SIP"
            return False
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3), limits.max_head)
        if end < 0:
            self._scanned = len(buffer)
            if len(buffer) >= limits.max_head:
                self.failure = "head too long"
            return False
        end += 4
        length = _read_length(bytes(buffer[:end]))
        if length is None or end + length > limits.max_message:
            self.failure = "bad Content-Length" if length is None else "message too long"
            messages.append(bytes(buffer[:end]))
            return False
        self._need = end + length
        return True


def _is_blank(piece: bytearray) -> bool:
    """Whether it may still become a keep-alive."""
    return len(piece) < 4 and not piece.strip(b"\r\n")


def _read_length(head: bytes) -> int | None:
    """Content-Length of a message head; 0 where there is none, None where it is no number or contradicts itself."""
    lengths = set()
    for match in _CONTENT_LENGTH.finditer(head):
        text = match[1].strip()
        if not text.isdigit() or len(text) > 9:
            return None
        lengths.add(int(text))
    if len(lengths) > 1:
        return None
    return lengths.pop() if lengths else 0
