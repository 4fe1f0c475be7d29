"""The asyncio client of a media gateway: commands out, replies and events in.

    client = await GatewayClient.connect("unix:/run/tandem/media.sock")
    reply = await client.request(OpenLeg(id=client.next_id(), leg="a"))
    async for event in client.events(): ...

Everything written in one iteration of the loop leaves as one write. A lost connection ends `events()` and fails
the open requests with :class:`GatewayLost`; connecting again is the caller's business (and then a snapshot).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import msgspec

from media.control.framing import FrameError, FrameReader, write_frame
from media.protocol import AnyCommand, AnyEvent, AnyReply, Event, FromGateway, Hello, Refused, Reply, Welcome


class GatewayLost(ConnectionError):
    """The connection to the gateway is gone; whether a command was carried out is not known."""


class CommandRefused(Exception):
    """The gateway said no; `refusal` says why."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(f"{refusal.code}: {refusal.reason}")
        self.refusal = refusal


class GatewayClient(asyncio.Protocol):
    """Made by :meth:`connect`. Use it from one loop only."""

    def __init__(
        self,
        on_event: Callable[[AnyEvent], None] | None = None,
        on_reply: Callable[[AnyReply], None] | None = None,
    ) -> None:
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(FromGateway)
        self._encoder = msgspec.msgpack.Encoder()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._on_event = on_event
        self._on_reply = on_reply
        self._out: list[bytes] = []
        self._last_id = 0
        self._closed = asyncio.get_running_loop().create_future()
        self.welcome: Welcome | None = None

    @classmethod
    async def connect(
        cls,
        target: str,
        *,
        token: str = "",
        on_event: Callable[[AnyEvent], None] | None = None,
        on_reply: Callable[[AnyReply], None] | None = None,
        timeout_s: float = 5.0,
    ) -> GatewayClient:
        """Connect to ``unix:/path`` or ``tcp:host:port`` and say hello.

        With `on_event` events go there as they come, else to :meth:`events`; `on_reply` gets the replies to commands
        that were only sent. Raises OSError when nobody listens,
        TimeoutError, :class:`CommandRefused` (token, version), ValueError for a target of another form.
        """
        loop = asyncio.get_running_loop()

        def make() -> GatewayClient:
            return cls(on_event, on_reply)

        async with asyncio.timeout(timeout_s):
            kind, _, place = target.partition(":")
            if kind == "unix" and place:
                _, client = await loop.create_unix_connection(make, place)
            elif kind == "tcp" and ":" in place:
                host, _, port = place.rpartition(":")
                _, client = await loop.create_connection(make, host.strip("[]"), int(port))
            else:
                raise ValueError(f"gateway {target!r}: expected unix:/path or tcp:host:port")
            try:
                reply = await client.request(Hello(id=client.next_id(), token=token))
            except BaseException:
                client.close()
                raise
        assert isinstance(reply, Welcome)
        client.welcome = reply
        return client

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def peer_pid(self) -> int | None:
        """Process id of a gateway on a Unix socket."""
        connection = self._transport.get_extra_info("socket") if self._transport is not None else None
        if connection is None or connection.family != socket.AF_UNIX:
            return None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def next_id(self) -> int:
        """The id of the next command of this connection."""
        self._last_id += 1
        return self._last_id

    def ask(self, command: AnyCommand) -> asyncio.Future[AnyReply]:
        """Send a command now; the future is its reply (also a Refused one), or GatewayLost."""
        future: asyncio.Future[AnyReply] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(GatewayLost("not connected to the media gateway"))
            return future
        self._waiting[command.id] = future
        self._write(command)
        return future

    async def request(self, command: AnyCommand) -> Any:
        """Send a command and wait for its reply. Raises CommandRefused, GatewayLost."""
        try:
            reply = await self.ask(command)
        finally:
            self._waiting.pop(command.id, None)
        if isinstance(reply, Refused):
            raise CommandRefused(reply)
        return reply

    def send(self, command: AnyCommand) -> None:
        """Send a command whose reply nobody waits for. Raises GatewayLost."""
        if self._transport is None:
            raise GatewayLost("not connected to the media gateway")
        self._write(command)

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Events in order; ends when the connection does."""
        while (event := await self._events.get()) is not None:
            yield event

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        await asyncio.shield(self._closed)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._take(self._decoder.decode(frame))
        except (FrameError, msgspec.MsgspecError):
            # Not our protocol: nothing after this can be trusted.
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(GatewayLost("the media gateway closed the connection"))
        self._waiting.clear()
        self._events.put_nowait(None)
        if not self._closed.done():
            self._closed.set_result(None)

    def _take(self, message: AnyReply | AnyEvent) -> None:
        if isinstance(message, Reply):
            future = self._waiting.pop(message.id, None)
            if future is None:
                if self._on_reply is not None:
                    self._on_reply(message)
            elif not future.done():
                future.set_result(message)
        elif self._on_event is not None:
            self._on_event(message)
        else:
            assert isinstance(message, Event)
            self._events.put_nowait(message)

    def _write(self, command: AnyCommand) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(write_frame(self._encoder.encode(command)))

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._out))
        self._out.clear()
