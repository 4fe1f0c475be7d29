"""The control socket: one call control at a time, its commands in order, our events kept while it is away."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec
import structlog

from media.control.framing import FrameError, FrameReader, write_frame
from media.protocol import (
    PROTOCOL_VERSION,
    AnyCommand,
    AnyEvent,
    AnyReply,
    Hello,
    Quality,
    Refused,
    TickLateness,
    TickOverrun,
    UtteranceHeard,
    Welcome,
)

MAX_BACKLOG = 20_000
REMEMBERED_REPLIES = 1024
MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""A call control that does not read is cut off: it comes back and takes a snapshot."""

log = structlog.get_logger("media.control")


class Backlog:
    """Events for a call control that is away. When it is full statistics go first, then the oldest."""

    def __init__(self, limit: int = MAX_BACKLOG) -> None:
        self._events: deque[AnyEvent] = deque()
        self._statistics: deque[AnyEvent] = deque(maxlen=max(limit // 10, 1))
        self._limit = limit
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._events) + len(self._statistics)

    def keep(self, event: AnyEvent) -> None:
        if isinstance(event, TickLateness):
            # It counts from the start: the next one says it all.
            return
        if isinstance(event, UtteranceHeard):
            # Nobody waits that long for an answer, and a second of it is 32 kB.
            event = msgspec.structs.replace(event, reason="missed", samples=b"")
        if isinstance(event, TickOverrun) or (isinstance(event, Quality) and not event.final):
            self._statistics.append(event)
            return
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)

    def take(self) -> list[AnyEvent]:
        events = [*self._events, *self._statistics]
        self._events.clear()
        self._statistics.clear()
        return events


class ControlServer:
    """`handle` carries out one command and calls back with the reply, at once or when it has been done; `welcome`
    describes this gateway."""

    def __init__(
        self,
        handle: Callable[[AnyCommand, Callable[[AnyReply], None]], None],
        welcome: Callable[[int], Welcome],
        token: str = "",
    ) -> None:
        self._handle = handle
        self._welcome = welcome
        self._token = token
        self._connection: ControlConnection | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self.backlog = Backlog()

    def connect(self) -> ControlConnection:
        """Protocol factory."""
        return ControlConnection(self)

    def emit(self, event: AnyEvent) -> None:
        if self._connection is not None:
            self._connection.send(event)
        else:
            self.backlog.keep(event)

    def encode(self, message: AnyReply | AnyEvent) -> bytes:
        return write_frame(self._encoder.encode(message))

    def handle(self, command: AnyCommand, answer: Callable[[AnyReply], None]) -> None:
        self._handle(command, answer)

    def greet(self, connection: ControlConnection, hello: Hello) -> AnyReply:
        """Admit a call control. An earlier connection is closed: the newest is the living one."""
        if self._token and not hmac.compare_digest(self._token.encode(), hello.token.encode()):
            log.warning("control connection refused", reason="token", peer=connection.peer)
            return Refused(id=hello.id, code="invalid", reason="wrong token")
        if hello.version != PROTOCOL_VERSION:
            reason = f"protocol version {hello.version}; this gateway speaks {PROTOCOL_VERSION}"
            return Refused(id=hello.id, code="unsupported", reason=reason)
        if self._connection is not None and self._connection is not connection:
            self._connection.close("replaced by a newer connection")
        self._connection = connection
        log.info("call control connected", peer=connection.peer)
        return self._welcome(hello.id)

    def lost(self, connection: ControlConnection) -> None:
        if self._connection is connection:
            self._connection = None
            log.warning("call control is gone; calls go on", peer=connection.peer)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close("the gateway stops")


class ControlConnection(asyncio.Protocol):
    """Writes of one loop iteration leave as one."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(AnyCommand)
        self._transport: asyncio.Transport | None = None
        # None: it is being carried out.
        self._replies: OrderedDict[int, AnyReply | None] = OrderedDict()
        self._out: list[bytes] = []
        self._admitted = False
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = str(transport.get_extra_info("peername") or "unix")

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
                if self._transport is None:
                    return
        except FrameError as error:
            self.close(str(error))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.lost(self)

    def send(self, message: AnyReply | AnyEvent) -> None:
        if self._transport is None:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(self._server.encode(message))

    def close(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            log.info("control connection closed", peer=self.peer, reason=reason)
            if self._out:
                transport.write(b"".join(self._out))
                self._out.clear()
            transport.close()
            self._server.lost(self)

    def _flush(self) -> None:
        if self._transport is None:
            return
        self._transport.write(b"".join(self._out))
        self._out.clear()
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.close("it does not read")

    def _take(self, frame: bytes) -> None:
        try:
            command = self._decoder.decode(frame)
        except msgspec.MsgspecError as error:
            self._refuse_frame(frame, error)
            return
        if not self._admitted:
            self._admit(command)
            return
        if command.id in self._replies:
            known = self._replies[command.id]
            if known is not None:
                self.send(known)
            return
        self._replies[command.id] = None
        if len(self._replies) > REMEMBERED_REPLIES:
            self._replies.popitem(last=False)
        if isinstance(command, Hello):
            self._answer(self._server.greet(self, command))
        else:
            self._server.handle(command, self._answer)

    def _answer(self, reply: AnyReply) -> None:
        if reply.id in self._replies:
            self._replies[reply.id] = reply
        self.send(reply)

    def _admit(self, command: AnyCommand) -> None:
        if not isinstance(command, Hello):
            self.send(Refused(id=command.id, code="invalid", reason="the first command must be Hello"))
            self.close("no Hello")
            return
        reply = self._server.greet(self, command)
        self._replies[command.id] = reply
        self.send(reply)
        if isinstance(reply, Refused):
            self.close(reply.reason)
            return
        self._admitted = True
        for event in self._server.backlog.take():
            self.send(event)

    def _refuse_frame(self, frame: bytes, error: msgspec.MsgspecError) -> None:
        """Answer what can be told apart; close when not even the id can."""
        try:
            number = msgspec.msgpack.decode(frame, type=dict[str, object]).get("id")
        except msgspec.MsgspecError:
            number = None
        if isinstance(number, int) and self._admitted:
            self.send(Refused(id=number, code="unsupported", reason=str(error)))
        else:
            self.close("not a command")
