"""Establishing connections on demand: messages wait, a name is resolved, its addresses are tried in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pbx.sip.commands import Flow

from .connections import Connections, StreamLimits
from .resolver import Resolver, Target
from .sip_stream import StreamConnection

log = structlog.get_logger()


class Dialler:
    """``connect(transport, target, listener, server name)`` opens one connection or raises ``OSError`` or
    ``LookupError``; ``send_datagram(flow, data, targets)`` is for UDP peers whose name had to be resolved first;
    ``on_failed(flow)`` hears of what could not be sent."""

    def __init__(
        self,
        limits: StreamLimits,
        connections: Connections,
        connect: Callable[[str, Target, str, str], Awaitable[StreamConnection]],
        send_datagram: Callable[[Flow, bytes, Sequence[Target]], None],
        on_failed: Callable[[Flow], None],
        resolver: Resolver | None,
    ) -> None:
        self._limits = limits
        self._connections = connections
        self._connect = connect
        self._send_datagram = send_datagram
        self._on_failed = on_failed
        self._resolver = resolver
        self._waiting: dict[tuple[str, str, int], list[tuple[Flow, bytes]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def dial(self, flow: Flow, data: bytes, targets: Sequence[Target]) -> None:
        """Keep the message until there is a connection to one of ``targets``; empty: they have to be looked up."""
        peer = (flow.transport, flow.host, flow.port)
        waiting = self._waiting.get(peer)
        if waiting is None:
            waiting = self._waiting[peer] = []
            task = asyncio.get_running_loop().create_task(self._reach(peer, flow.listener, targets))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(waiting) < self._limits.pending_messages:
            waiting.append((flow, data))
        else:
            asyncio.get_running_loop().call_soon(self._on_failed, flow)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reach(self, peer: tuple[str, str, int], listener: str, targets: Sequence[Target]) -> None:
        transport, host, port = peer
        connection: StreamConnection | None = None
        try:
            if not targets:
                assert self._resolver is not None
                targets = await self._resolver.resolve(host, port, transport)
            if transport != "udp":
                connection = await self._connect_first(transport, host, listener, targets)
        except OSError as error:
            log.info("sip.connect_failed", transport=transport, peer=f"{host}:{port}", error=str(error) or "timeout")
            for flow in dict.fromkeys(flow for flow, _ in self._waiting.pop(peer)):
                self._on_failed(flow)
            return
        except BaseException:
            del self._waiting[peer]
            raise
        for flow, data in self._waiting.pop(peer):
            if connection is None:
                self._send_datagram(flow, data, targets)
                continue
            self._connections.note_use(connection, flow)
            if not connection.send(data):
                self._on_failed(flow)

    async def _connect_first(
        self, transport: str, host: str, listener: str, targets: Sequence[Target]
    ) -> StreamConnection:
        """The first target that takes the connection (RFC 3263 section 4.3). Raises the last failure."""
        failure = OSError("no address")
        for target in targets:
            try:
                async with asyncio.timeout(self._limits.connect):
                    return await self._connect(transport, target, listener, host)
            except LookupError as error:
                failure = OSError(str(error))
            except TimeoutError:
                failure = OSError("timeout")
            except OSError as error:
                failure = error
        raise failure
