"""SIP over TCP and TLS: one asyncio protocol per connection around the pure framer."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import structlog

from pbx.sip.commands import Flow
from pbx.sip.framing import PING, PONG, FramingLimits, StreamFramer

log = structlog.get_logger()

MAX_UNSENT = 1024 * 1024
"""Bytes a peer may leave unread before its connection is cut."""
GRACE = 1.0
"""Seconds for a last answer after a stream broke the framing."""


class Hub(Protocol):
    """What a connection tells its owner."""

    def connection_made(self, connection: Connection) -> bool:
        """A peer connected; False refuses it."""
        ...

    def connection_packet(self, connection: Connection, data: bytes) -> None: ...

    def connection_lost(self, connection: Connection) -> None: ...


class Connection(Protocol):
    """One stream of any kind, as its owner sees it."""

    flow: Flow
    local: tuple[str, int]
    outgoing: bool
    proven: bool
    """A whole message has arrived: it is not just somebody holding a socket open."""
    opened_at: float
    heard_at: float
    """When something last arrived."""

    def send(self, data: bytes) -> bool:
        """Queue for sending; False if the peer does not take it and the connection was cut."""
        ...

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def unfinished_since(self) -> float | None: ...

    def ping(self) -> None: ...


class StreamConnection(asyncio.Protocol):
    """A TCP or TLS connection; ``flow`` gets its number from the hub."""

    def __init__(self, hub: Hub, transport: str, listener: str, *, limits: FramingLimits | None = None) -> None:
        self._hub = hub
        self._framer = StreamFramer(limits)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._accepted = False
        self._ping_open = False
        self._peer_pongs = False
        self.flow = Flow(transport, "", 0, listener)
        self.local = ("", 0)
        self.outgoing = False
        self.proven = False
        self.opened_at = self.heard_at = self._loop.time()

    # --- asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self.flow = self.flow._replace(host=peer[0], port=peer[1])
        self.local = tuple(transport.get_extra_info("sockname")[:2])
        self._accepted = self._hub.connection_made(self)
        if not self._accepted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        framed = self._framer.receive(data, self.heard_at)
        if framed.pong:
            self._ping_open, self._peer_pongs = False, True
        if framed.ping:
            self.send(PONG)
        for message in framed.messages:
            self.proven = True
            self._hub.connection_packet(self, message)
        if self._framer.failure and self._transport is not None and not self._transport.is_closing():
            log.info("sip.stream.broken", peer=f"{self.flow.host}:{self.flow.port}", reason=self._framer.failure)
            self._transport.pause_reading()
            self._loop.call_later(GRACE, self.close)

    def eof_received(self) -> None:
        """The peer is done; closing in turn is asyncio's default."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._accepted:
            self._hub.connection_lost(self)

    # --- the owner ------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            log.warning("sip.stream.peer_too_slow", peer=f"{self.flow.host}:{self.flow.port}")
            transport.abort()
            return False
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def unfinished_since(self) -> float | None:
        return self._framer.unfinished_since

    def ping(self) -> None:
        """Send a keep-alive. A peer that used to answer and left the last one unanswered is gone (RFC 5626 4.4.1)."""
        if self._ping_open and self._peer_pongs:
            self.abort()
            return
        if not self._ping_open:
            self._framer.note_ping()
            self._ping_open = True
        self.send(PING)
