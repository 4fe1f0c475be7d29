"""SIP over WebSocket (RFC 7118), for browsers: one SIP message per WebSocket message, subprotocol ``sip``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from pbx.sip.commands import Flow
from pbx.sip.framing import PING, PONG

from .sip_stream import Hub

log = structlog.get_logger()

MAX_MESSAGE = 65_535
MAX_QUEUED = 256
"""Messages waiting for a slow browser before its connection is cut."""
HANDSHAKE_TIMEOUT = 10.0
KEEP_ALIVE = 25.0
"""Seconds between WebSocket pings, below the idle time-out of common proxies."""


class WebSocketConnection:
    """One browser. Messages are queued for a writer task, so that sending never blocks."""

    def __init__(self, hub: Hub, socket: ServerConnection, flow: Flow) -> None:
        self._hub = hub
        self._socket = socket
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_QUEUED)
        self._loop = asyncio.get_running_loop()
        self.flow = flow
        self.local: tuple[str, int] = tuple(socket.local_address[:2])
        self.outgoing = False
        self.proven = False
        self.opened_at = self.heard_at = self._loop.time()

    async def run(self) -> None:
        """Serve until either side closes."""
        if not self._hub.connection_made(self):
            await self._socket.close(1013, "too many connections")
            return
        writer = self._loop.create_task(self._write())
        try:
            while True:
                self._take(await self._socket.recv(decode=False))
        except ConnectionClosed as closed:
            log.debug("sip.ws.closed", peer=f"{self.flow.host}:{self.flow.port}", reason=str(closed))
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._hub.connection_lost(self)

    def _take(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if not data.strip(b"\r\n"):
            if data == PING:
                self.send(PONG)
            return
        self.proven = True
        self._hub.connection_packet(self, data)

    async def _write(self) -> None:
        try:
            while (data := await self._queue.get()) is not None:
                await self._socket.send(data, text=_is_text(data))
            await self._socket.close()
        except ConnectionClosed:
            # The reader learns of it as well and ends the connection.
            return

    def send(self, data: bytes) -> bool:
        try:
            self._queue.put_nowait(data)
        except asyncio.QueueFull:
            log.warning("sip.ws.peer_too_slow", peer=f"{self.flow.host}:{self.flow.port}")
            self.abort()
            return False
        return True

    def close(self) -> None:
        """Close after what is queued."""
        try:
            self._queue.put_nowait(None)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        self._socket.transport.abort()

    def unfinished_since(self) -> float | None:
        """WebSocket frames have their own time-outs: pings that are not answered end the connection."""
        return None

    def ping(self) -> None:
        """WebSocket pings are sent by the library."""


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class WebSocketListener:
    """One ws or wss port."""

    def __init__(self, hub: Hub, name: str, transport: str, *, path: str = "/", origins: Sequence[str] = ()) -> None:
        self._hub = hub
        self._name = name
        self._transport = transport
        self._server: Server | None = None
        self.path = path
        """Other paths get 404."""
        self.origins = tuple(origins)
        """Web origins that may connect; empty: any."""

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int]:
        """Bind and serve; the bound address. Raises ``OSError``."""
        self._server = await serve(
            self._handle,
            host,
            port,
            ssl=tls,
            subprotocols=[Subprotocol("sip")],
            compression=None,
            process_request=self._check_request,
            max_size=MAX_MESSAGE,
            max_queue=32,
            open_timeout=HANDSHAKE_TIMEOUT,
            ping_interval=KEEP_ALIVE,
            ping_timeout=KEEP_ALIVE,
            close_timeout=2.0,
            server_header=None,
        )
        bound: tuple[str, int] = next(iter(self._server.sockets)).getsockname()[:2]
        return bound

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _check_request(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path.partition("?")[0] != self.path:
            return socket.respond(HTTPStatus.NOT_FOUND, "SIP is not spoken here.\n")
        if self.origins and request.headers.get("Origin") not in self.origins:
            return socket.respond(HTTPStatus.FORBIDDEN, "This origin may not connect.\n")
        return None

    async def _handle(self, socket: ServerConnection) -> None:
        peer = socket.remote_address
        flow = Flow(self._transport, peer[0], peer[1], self._name)
        await WebSocketConnection(self._hub, socket, flow).run()
