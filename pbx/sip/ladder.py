"""The SIP ladder: the last messages in and out, kept in a ring bounded by bytes, found again by call.

Legs and SIP Call-IDs belong together by what the stack sends: a ``Transmit`` names its leg, its bytes the Call-ID.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from .commands import Flow
from .events import Dropped, Transmit

_CALL_ID: Final = re.compile(rb"\r\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_OVERHEAD: Final = 250
"""Bytes a kept message costs beside its own."""
_MAX_MESSAGE: Final = 65_535
_SECRETS: Final = re.compile(
    rb'(?<=response=")[0-9A-Fa-f]+(?=")|(?<=inline:)[A-Za-z0-9+/=]+|(?<=Basic )[A-Za-z0-9+/=]+', re.IGNORECASE
)


class LadderEntry:
    """One message. ``note`` says what was particular: a retransmission, why it was dropped."""

    __slots__ = ("at", "call_id", "data", "direction", "flow", "leg", "local", "note")

    def __init__(
        self,
        at: float,
        direction: Literal["in", "out"],
        flow: Flow,
        local: tuple[str, int],
        data: bytes,
        leg: str = "",
        note: str = "",
    ) -> None:
        self.at = at
        """Monotonic seconds."""
        self.direction = direction
        self.flow = flow
        self.local = local
        """Our (address, port)."""
        self.data = data
        self.leg = leg
        self.note = note
        self.call_id = _find_call_id(data)
        """SIP Call-ID as it stands in the message."""

    @property
    def peer(self) -> str:
        """Column of the peer: transport and address."""
        host = f"[{self.flow.host}]" if ":" in self.flow.host else self.flow.host
        prefix = "" if self.flow.transport == "udp" else f"{self.flow.transport}/"
        return f"{prefix}{host}:{self.flow.port}"

    def masked(self) -> bytes:
        """The message without secrets (digest responses, SRTP keys), of the same length."""
        return _SECRETS.sub(lambda match: b"*" * len(match[0]), self.data)


def _find_call_id(data: bytes) -> bytes:
    # How nearly everybody writes it; the pattern costs ten times as much.
    start = data.find(b"\r\nCall-ID: ", 0, 8192)
    end = data.find(b"\r\n", start + 11) if start >= 0 else -1
    if end >= 0:
        return data[start + 11 : end]
    match = _CALL_ID.search(data, 0, 8192)
    return match[1] if match is not None else b""


class Ladder:
    """The ring. ``local_addresses``: our (address, port) by name of the listener."""

    def __init__(self, limit_bytes: int, local_addresses: Mapping[str, tuple[str, int]] | None = None) -> None:
        self._limit = limit_bytes
        self._entries: deque[LadderEntry] = deque()
        self._bytes = 0
        self._last: LadderEntry | None = None
        self.local_addresses = dict(local_addresses or {})

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes_held(self) -> int:
        return self._bytes

    def received(self, data: bytes, flow: Flow, now: float) -> LadderEntry:
        """Keep a message from the network; call it before the stack gets the message."""
        self._last = entry = LadderEntry(now, "in", flow, self._local(flow), data[:_MAX_MESSAGE])
        self._keep(entry)
        return entry

    def sent(self, output: Transmit, now: float) -> LadderEntry:
        """Keep what the stack sends."""
        entry = LadderEntry(now, "out", output.flow, self._local(output.flow), output.data, output.leg, output.note)
        self._keep(entry)
        return entry

    def reconfigure(self, limit_bytes: int, local_addresses: Mapping[str, tuple[str, int]]) -> None:
        """Another size and other listeners; what is kept stays as far as it fits."""
        self._limit = limit_bytes
        self.local_addresses = dict(local_addresses)
        self._trim()

    def note_drop(self, output: Dropped) -> None:
        """Note at the message received last why nothing was done about it."""
        last = self._last
        if last is not None and last.flow == output.flow:
            last.note = output.reason
            last.leg = last.leg or output.leg

    def forget_last(self) -> None:
        """Take the message received last out again: keep-alive pings and floods would push out what matters."""
        if self._last is not None and self._entries and self._entries[-1] is self._last:
            self._entries.pop()
            self._bytes -= len(self._last.data) + _OVERHEAD
            self._last = None

    def of_legs(self, legs: Iterable[str]) -> list[LadderEntry]:
        """Everything kept of these legs, both directions, in order of time."""
        wanted = set(legs)
        ids = {entry.call_id for entry in self._entries if entry.leg in wanted and entry.call_id}
        return [entry for entry in self._entries if entry.call_id in ids or (entry.leg and entry.leg in wanted)]

    def of_call_id(self, call_id: str) -> list[LadderEntry]:
        """Everything kept under one SIP Call-ID."""
        wanted = call_id.encode()
        return [entry for entry in self._entries if entry.call_id == wanted]

    def since(self, at: float) -> list[LadderEntry]:
        """Everything kept from ``at`` on, whatever call it belongs to."""
        return [entry for entry in self._entries if entry.at >= at]

    def _local(self, flow: Flow) -> tuple[str, int]:
        return self.local_addresses.get(flow.listener) or ("::" if ":" in flow.host else "0.0.0.0", 5060)

    def _keep(self, entry: LadderEntry) -> None:
        self._entries.append(entry)
        self._bytes += len(entry.data) + _OVERHEAD
        self._trim()

    def _trim(self) -> None:
        while self._bytes > self._limit and self._entries:
            self._bytes -= len(self._entries.popleft().data) + _OVERHEAD
