"""The table of stream connections: numbers, who is connected from where, and when one costs more than it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import structlog

from pbx.sip.commands import Flow

from .sip_stream import Connection

log = structlog.get_logger()


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what connections may cost. Times in seconds."""

    connections: int = 10_000
    connections_per_host: int = 1_000
    """Large: one NAT may hide a whole office."""
    unproven_per_host: int = 50
    """Connections of one host that have not sent a whole message yet."""
    first_message: float = 30.0
    """A connection that has sent no whole message by then is closed."""
    one_message: float = 10.0
    """Longest time for one message to arrive (slow loris)."""
    connect: float = 5.0
    """Longest time for a connection of ours to be established, TLS included."""
    keep_alive: float = 60.0
    """Interval of CRLF pings on connections we opened (RFC 5626 section 3.5.1); 0: none."""
    idle: float = 600.0
    """A connection on which nothing arrives for so long is closed, unless it is in use; 0: never."""
    pending_messages: int = 64
    """Messages waiting for a connection that is being established."""


class Connections:
    """Every open TCP, TLS and WebSocket connection; the hub they report to."""

    def __init__(
        self, limits: StreamLimits, on_packet: Callable[[bytes, Flow], None], on_closed: Callable[[Flow], None]
    ) -> None:
        self._limits = limits
        self._on_packet = on_packet
        self._on_closed = on_closed
        self._by_number: dict[int, Connection] = {}
        self._by_peer: dict[tuple[str, str, int], int] = {}
        self._per_host: dict[str, int] = {}
        self._used_as: dict[int, set[Flow]] = {}
        self.is_shut_out: Callable[[str], bool] = lambda host: False
        """Whether connections from an address are refused."""
        self.is_in_use: Callable[[Flow], bool] = lambda flow: False
        """Whether a registration or a call depends on a connection."""
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._by_number)

    def all(self) -> list[Connection]:
        return list(self._by_number.values())

    def get(self, number: int) -> Connection | None:
        return self._by_number.get(number)

    def find(self, flow: Flow) -> Connection | None:
        """The connection of that number, or without a number any that is open to the peer (RFC 3261 section 18.1.1)."""
        if flow.connection:
            return self._by_number.get(flow.connection)
        number = self._by_peer.get((flow.transport, flow.host, flow.port), 0)
        connection = self._by_number.get(number)
        if connection is not None:
            self.note_use(connection, flow)
        return connection

    def note_use(self, connection: Connection, flow: Flow) -> None:
        """Whoever sends by ``flow``, without a number, waits for an answer on this connection: tell him of its end."""
        if connection.flow.connection in self._by_number:
            self._used_as.setdefault(connection.flow.connection, set()).add(flow)

    # --- hub ------------------------------------------------------------------------------------------------------

    def connection_made(self, connection: Connection) -> bool:
        flow = connection.flow
        count = self._per_host.get(flow.host, 0)
        if not connection.outgoing:
            limits = self._limits
            if self.is_shut_out(flow.host):
                return False
            if len(self._by_number) >= limits.connections or count >= limits.connections_per_host:
                log.warning("sip.connection_refused", peer=flow.host, reason="too many connections")
                return False
            if count >= limits.unproven_per_host and self._count_unproven(flow.host) >= limits.unproven_per_host:
                log.warning("sip.connection_refused", peer=flow.host, reason="too many silent connections")
                return False
        self._count += 1
        connection.flow = flow._replace(connection=self._count)
        self._by_number[self._count] = connection
        self._by_peer[flow.transport, flow.host, flow.port] = self._count
        self._per_host[flow.host] = count + 1
        self._empty.clear()
        return True

    def connection_packet(self, connection: Connection, data: bytes) -> None:
        self._on_packet(data, connection.flow)

    def connection_lost(self, connection: Connection) -> None:
        flow = connection.flow
        if self._by_number.pop(flow.connection, None) is None:
            return
        left = self._per_host[flow.host] - 1
        if left:
            self._per_host[flow.host] = left
        else:
            del self._per_host[flow.host]
        peer = (flow.transport, flow.host, flow.port)
        if self._by_peer.get(peer) == flow.connection:
            del self._by_peer[peer]
        if not self._by_number:
            self._empty.set()
        self._on_closed(flow)
        for other in sorted(self._used_as.pop(flow.connection, ())):
            self._on_closed(other)

    async def wait_empty(self, seconds: float) -> None:
        """Return when no connection is left, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)

    def _count_unproven(self, host: str) -> int:
        return sum(1 for c in self._by_number.values() if c.flow.host == host and not c.proven and not c.outgoing)

    # --- upkeep ---------------------------------------------------------------------------------------------------

    def close_slow(self, now: float) -> None:
        """Cut connections on which a message takes too long, or that never sent one, or that nobody uses."""
        limits = self._limits
        for connection in self.all():
            since = connection.unfinished_since()
            if since is not None and now - since > limits.one_message:
                reason = "a message took too long"
            elif not (connection.proven or connection.outgoing) and now - connection.opened_at > limits.first_message:
                reason = "no message"
            elif limits.idle and now - connection.heard_at > limits.idle:
                if self.is_in_use(connection.flow):
                    connection.heard_at = now
                    continue
                reason = "idle"
            else:
                continue
            log.info("sip.connection_cut", peer=f"{connection.flow.host}:{connection.flow.port}", reason=reason)
            connection.abort()
