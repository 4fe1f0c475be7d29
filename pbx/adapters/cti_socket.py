"""The WebSocket of one CTI client: RFC 6455 by the ``websockets`` library without its I/O, on uvicorn's transport.

uvicorn hands the connection over when a client asks for an upgrade, so HTTP and CTI share one port. Events do not pass
through ASGI: their frames are written to the transport as they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from pbx.cti.actor import Actor
from pbx.cti.protocol import MAX_MESSAGE

from .gatekeeper import TooManyFailures
from .websocket_frames import PING

SUBPROTOCOL = Subprotocol("tandem.cti")
TOKEN_PREFIX = "tandem.token."
"""A browser cannot send headers: it offers its token as a second subprotocol, which is never chosen."""
CLOSE_WITHIN_S = 3.0

_LOG = logging.getLogger("pbx.adapters.cti_socket")
_LOG.setLevel(logging.WARNING)
"""Never finer: the library would log headers, and with them tokens."""


class SocketOwner(Protocol):
    """What the socket tells."""

    origins: tuple[str, ...]
    stopping: bool

    def connected(self, socket: CtiSocket, actor: Actor | None) -> int:
        """Returns the number of the peer."""
        ...

    def received(self, peer: int, text: bytes) -> None: ...

    def disconnected(self, peer: int) -> None: ...

    def writable(self, peer: int) -> None:
        """The client has read most of what it was sent."""
        ...

    async def check_token(self, token: str, address: str) -> Actor | None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside; ended with the server."""
        ...


class CtiSocket(asyncio.Protocol):
    def __init__(self, owner: SocketOwner) -> None:
        self._owner = owner
        self._protocol = ServerProtocol(
            max_size=MAX_MESSAGE,
            logger=_LOG,
            select_subprotocol=lambda _, offered: SUBPROTOCOL if SUBPROTOCOL in offered else None,
        )
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._closing: asyncio.TimerHandle | None = None
        self.peer = 0
        """0 until the handshake is done."""
        self.address = ""
        self.paused = False
        self.quiet = 0
        """Pings sent since something was heard."""

    # --- transport ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not derived from asyncio.Transport: they only do the same.
        self._transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        self.address = str(peername[0]) if peername else ""
        self._transport.set_write_buffer_limits(high=262_144)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        if self._closing is not None:
            self._closing.cancel()
        self._transport = None
        if self.peer:
            self._owner.disconnected(self.peer)
            self.peer = 0

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.peer:
            self._owner.writable(self.peer)

    def data_received(self, data: bytes) -> None:
        self.quiet = 0
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request) and self._owner.stopping:
                self._protocol.send_response(self._protocol.reject(503, "the server stops\n"))
            elif isinstance(event, Request):
                self._owner.spawn(self._answer_handshake(event))
            elif isinstance(event, Frame):
                self._handle_frame(event)
        if self._protocol.handshake_exc is None or self._protocol.state is not State.CONNECTING:
            self._flush()
        else:
            self._drop()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._flush()
        return False

    # --- handshake ------------------------------------------------------------------------------------------------

    async def _answer_handshake(self, request: Request) -> None:
        response = self._protocol.accept(request)
        actor: Actor | None = None
        if response.status_code == 101:
            refused = self._judge(request)
            if refused is None:
                try:
                    token = find_token(request)
                    if token:
                        actor = await self._owner.check_token(token, self.address)
                        if actor is None:
                            refused = (401, "this token is not valid\n")
                except TooManyFailures as error:
                    refused = (429, f"{error}\n")
                except Exception as error:
                    # The kind alone: a database's text may repeat what it was asked with.
                    _LOG.error("a CTI client is refused, its token cannot be checked: %s", type(error).__name__)
                    refused = (503, "tokens cannot be checked now\n")
            if refused is not None:
                response = self._protocol.reject(*refused)
        if self._transport is None:
            return
        self._protocol.send_response(response)
        self._flush()
        if response.status_code == 101:
            self.peer = self._owner.connected(self, actor)

    def _judge(self, request: Request) -> tuple[int, str] | None:
        if urlsplit(request.path).path.rstrip("/") != "/cti":
            return 404, "the CTI socket is /cti\n"
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._owner.origins:
            host = request.headers.get("Host", "")
            if urlsplit(origin).netloc != host:
                return 403, f"pages of {origin} are not allowed here: see http.origins\n"
        return None

    # --- frames ---------------------------------------------------------------------------------------------------

    def _handle_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                text, self._parts = b"".join(self._parts), []
                if self.peer:
                    self._owner.received(self.peer, text)

    def send(self, frames: list[bytes]) -> int:
        """Write frames that are ready; returns how many bytes wait to be read."""
        if self._transport is None or self._protocol.state is not State.OPEN:
            return 0
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        return self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Two pings without any answer, and the client is taken for gone."""
        if self._transport is None:
            return
        if self.quiet >= 2:
            self._transport.abort()
            return
        self.quiet += 1
        self.send([PING])

    def close(self, code: int, reason: str) -> None:
        """Say why, then go; whoever does not even read that is cut off after a few seconds."""
        self.peer = 0
        if self._transport is None:
            return
        if self._protocol.state is State.OPEN:
            encoded = reason.encode()[:120].decode(errors="ignore")
            self._protocol.send_close(code, encoded)
            self._flush()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self._drop)

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def find_token(request: Request) -> str:
    """From ``Authorization: Bearer``, or from the subprotocols a browser offers; empty if there is none."""
    try:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    except InvalidHandshake:
        return ""
    if scheme.lower() == "bearer":
        return token.strip()
    for value in request.headers.get_all("Sec-WebSocket-Protocol"):
        for offered in value.split(","):
            if offered.strip().startswith(TOKEN_PREFIX):
                return offered.strip()[len(TOKEN_PREFIX) :]
    return ""
