"""Clients that do not behave: half messages, silence, garbage, and a log that is not to be had."""

from __future__ import annotations

import asyncio
import base64

import pytest
from websockets.exceptions import ConnectionClosed

from pbx.adapters import desk_server
from pbx.events import catalogue as e
from pbx.storage.database import StorageUnavailable
from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history
from tests.unit.web.desk_harness import Desk, Rpc


class Raw:
    """A TCP connection that has shaken hands and does nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, desk: Desk, user: str, extra: str = "") -> Raw:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.http.port)
        key = base64.b64encode(b"0123456789abcdef").decode()
        writer.write(
            f"GET /cti HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extra}"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {desk.tokens[user]}\r\n\r\n".encode()
        )
        return cls(reader, writer)

    async def read_head(self) -> str:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()

    async def read_to_end(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    def close(self) -> None:
        self.writer.close()


async def test_a_message_in_pieces(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        await socket.send(iter(['{"jsonrpc":"2.0",', '"id":1,', '"method":"Ping"}']))
        assert (await Rpc(socket).read())["result"] == {"seq": 0}
        await socket.send(b'{"jsonrpc":"2.0","id":2,"method":"Ping"}')
        assert (await Rpc(socket).read())["id"] == 2


async def test_a_message_that_is_too_long_ends_it(desk: Desk) -> None:
    async with desk.connect("anna") as socket:
        await socket.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


@pytest.mark.parametrize("garbage", [b"\x00" * 50, b"\xff" * 200, b"\x81\x05hello", b"GET / HTTP/1.1\r\n\r\n"])
async def test_garbage_after_the_handshake(desk: Desk, garbage: bytes) -> None:
    raw = await Raw.open(desk, "anna")
    assert " 101 " in await raw.read_head()
    raw.writer.write(garbage)
    farewell = await raw.read_to_end()
    assert farewell[0] == 0x88, "a close frame"
    raw.close()
    assert len(desk.desk.hub) == 0


async def test_whoever_does_not_answer_pings_is_gone(desk: Desk) -> None:
    raw = await Raw.open(desk, "anna")
    assert " 101 " in await raw.read_head()
    async with desk.connect("bob") as socket:
        for _ in range(4):
            desk.desk._ping()
            await (await socket.ping())
        assert len(desk.desk.hub) == 1
    assert await raw.read_to_end() == b"\x89\x00" * 2
    raw.close()


async def test_a_client_that_vanishes_leaves_nothing(desk: Desk) -> None:
    for _ in range(5):
        raw = await Raw.open(desk, "anna")
        await raw.read_head()
        raw.writer.transport.abort()
    early = await Raw.open(desk, "anna")
    early.writer.transport.abort()
    async with desk.connect("bob") as socket:
        await Rpc(socket).call("Ping")
        for _ in range(200):
            if len(desk.desk.hub) == 1:
                break
            await Rpc(socket).call("Ping")
    assert len(desk.desk.hub) <= 1


@pytest.mark.parametrize("extra", ["Sec-WebSocket-Extensions: permessage-deflate\r\n", ""])
async def test_no_extension_is_agreed(desk: Desk, extra: str) -> None:
    """A compressed frame would be each client's own."""
    raw = await Raw.open(desk, "anna", extra)
    assert "extensions" not in (await raw.read_head()).lower()
    raw.close()


async def test_a_far_behind_client_that_reads_slowly_is_not_closed_while_it_catches_up(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    desk = Desk(tmp_path, max_backlog=2_000_000)
    await desk.start()
    try:
        desk.add_user("root", "administrator")
        desk.append(*(e.WrapUpCompleted(agent="1001", item="c", note="x" * 3000) for _ in range(4000)))
        await desk.settle()
        async with desk.connect("root", max_queue=1) as socket:
            rpc = Rpc(socket)
            await rpc.call("Subscribe", {"since": 0})
            seen = [(await rpc.note())["seq"] for _ in range(4000)]
        assert seen == list(range(1, 4001)) and desk.desk.hub.stats.closed_slow == 0
    finally:
        await desk.stop()


async def test_a_resume_waits_for_a_database_that_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_server, "RETRY_S", 0.01)
    desk.replay(make_history(5, agents=3))
    await desk.settle()
    failures = 3
    read = EventLog.read

    def fail(self: EventLog, since: int, limit: int = 1000) -> object:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StorageUnavailable("away")
        return read(self, since, limit)

    monkeypatch.setattr(EventLog, "read", fail)
    monkeypatch.setattr(EventLog, "read_recent", lambda self, since, limit=1000: None)
    async with desk.connect("root") as socket:
        rpc = Rpc(socket)
        assert (await rpc.call("Subscribe", {"since": 0}))["result"]["resumed"] is True
        seen = [(await rpc.note())["seq"] for _ in range(desk.log.last_seq)]
    assert seen == list(range(1, desk.log.last_seq + 1)) and failures == -1


async def test_a_token_cannot_be_checked_while_the_database_is_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(token: str, wall: float) -> None:
        raise StorageUnavailable(f"away, asked for {token}")

    monkeypatch.setattr(desk.users, "check_token", fail)
    raw = await Raw.open(desk, "anna")
    assert " 503 " in await raw.read_head()
    assert "cannot be checked: StorageUnavailable" in caplog.text and desk.tokens["anna"] not in caplog.text
    raw.close()
    async with desk.connect() as socket:
        await socket.send('{"jsonrpc":"2.0","id":1,"method":"Authenticate","params":{"token":"12345678"}}')
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
