"""Web services that hang, fail, answer garbage or too much; databases that are read only; notices that go out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from pbx.adapters.flow_services import FlowServices
from pbx.adapters.http_fetcher import Circuit, HttpFetcher
from pbx.adapters.sql_sources import SqlSources
from pbx.app.outputs import Fetch, Notify, Query
from pbx.config.base import SecretSource
from pbx.config.services import Fetching, Notices, Service, Source
from pbx.ivr.messages import Fetched, QueryResult

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(url: str, **more: Any) -> Fetch:
    fields: dict[str, Any] = {
        "method": "GET",
        "headers": {},
        "query": {},
        "body": None,
        "timeout": 2.0,
        "retries": 0,
        "max_bytes": 1000,
        "secret": False,
    }
    return Fetch(("call", "r1"), url, **{**fields, **more})


def reply(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """A raw server on a free port."""
    stop = asyncio.Event()
    running: set[asyncio.Task[Any]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        running.add(own)
        work, stopped = asyncio.ensure_future(handler(reader, writer)), asyncio.ensure_future(stop.wait())
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
        writer.transport.abort()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        stop.set()
        server.close()
        await asyncio.gather(*running)
        await asyncio.sleep(0)


async def fetch_from(payload: bytes, **more: Any) -> Fetched:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(payload)
        await writer.drain()

    async with served(answer) as base:
        fetcher = HttpFetcher(Fetching(), clock=monotonic)
        try:
            return await fetcher.fetch(ask(base, **more))
        finally:
            await fetcher.close()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (reply(b'{"balance": 3.5}'), Fetched("r1", 200, {"balance": 3.5})),
        (reply(b"plain words", kind="text/plain"), Fetched("r1", 200, "plain words")),
        (reply(b"", "204 No Content"), Fetched("r1", 204)),
        (reply(b'{"error": 1}', "404 Not Found"), Fetched("r1", 404, {"error": 1})),
        (reply(b'{"balance": '), Fetched("r1", 200, failure="bad_json")),
        (reply(b"[" * 500 + b"]" * 500), Fetched("r1", 200, failure="bad_json")),
        (reply(b"x" * 2000), Fetched("r1", 200, failure="too_large")),
        (reply(b"\x1f\x8b", more="content-encoding: gzip\r\n"), Fetched("r1", 200, failure="error")),
        (b"\x00\xff garbage\r\n\r\n", Fetched("r1", failure="error")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort", Fetched("r1", failure="error")),
        (reply(b"", "302 Found", more="location: http://127.0.0.1:1/\r\n"), Fetched("r1", 302)),
    ],
)
async def test_answers(payload: bytes, expected: Fetched) -> None:
    assert await fetch_from(payload, timeout=0.3) == expected


async def test_ten_megabytes_are_not_taken_in() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(160):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with served(flood) as base:
        fetcher = HttpFetcher(Fetching(), clock=monotonic)
        answer = await fetcher.fetch(ask(base))
        await fetcher.close()
    assert answer.failure == "too_large"
    assert sent < 10_000_000


async def test_hanging_and_trickling_servers_cost_the_timeout() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with served(trickle) as base:
        fetcher = HttpFetcher(Fetching(), clock=monotonic)
        before = monotonic()
        answer = await fetcher.fetch(ask(base, timeout=0.2))
        await fetcher.close()
    assert answer.failure == "timeout"
    assert monotonic() - before < 2


async def test_body_headers_and_query_arrive() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    fetcher = HttpFetcher(Fetching(), clock=monotonic, transport=httpx.MockTransport(answer))
    request = ask("http://h/x", method="POST", body={"名": "值"}, headers={"x-a": "1"}, query={"q": "a b&c"})
    await fetcher.fetch(request)
    await fetcher.close()
    assert json.loads(seen[0].content) == {"名": "值"}
    assert seen[0].url.params["q"] == "a b&c"
    assert (seen[0].headers["x-a"], seen[0].headers["content-type"]) == ("1", "application/json")


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "file:///etc/passwd", "http://", "http://other/x", "http://[", "javascript:1"]
)
async def test_addresses_that_are_not_asked(url: str) -> None:
    fetcher = HttpFetcher(Fetching(hosts=("h",)), clock=monotonic)
    assert (await fetcher.fetch(ask(url))).failure == "refused"
    await fetcher.close()


async def test_retries_then_the_circuit_opens_and_closes_again() -> None:
    now, pauses, asked, healthy = 0.0, [], 0, False

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if healthy:
            return httpx.Response(200, json=1)
        if asked % 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(503)

    fetcher = HttpFetcher(
        Fetching(failures=3, pause=10), clock=lambda: now, sleep=sleep, transport=httpx.MockTransport(answer)
    )
    first = await fetcher.fetch(ask("http://h/", retries=1))
    assert (first.status, asked, pauses) == (503, 2, [0.2])
    await fetcher.fetch(ask("http://h/"))
    assert (await fetcher.fetch(ask("http://h/", retries=3))).failure == "open_circuit"
    assert asked == 3, "nothing goes to a host whose circuit is open"
    assert (await fetcher.fetch(ask("http://other/"))).failure != "open_circuit"
    now, healthy = 11.0, True
    assert (await fetcher.fetch(ask("http://h/"))).body == 1
    assert (await fetcher.fetch(ask("http://h/"))).body == 1
    await fetcher.close()


def test_half_open_circuit_lets_one_trial_through() -> None:
    circuit = Circuit(2, 10.0)
    for moment in (0.0, 1.0):
        assert circuit.allows(moment)
        circuit.note(False, moment)
    assert not circuit.allows(5.0)
    assert circuit.allows(11.0)
    assert not circuit.allows(11.0), "one at a time"
    circuit.note(False, 12.0)
    assert not circuit.allows(21.0)
    assert circuit.allows(22.0)
    circuit.note(True, 22.0)
    assert circuit.allows(22.0)


async def test_a_client_error_is_no_failure_of_the_host() -> None:
    fetcher = HttpFetcher(
        Fetching(failures=1), clock=lambda: 0.0, transport=httpx.MockTransport(lambda request: httpx.Response(404))
    )
    assert [(await fetcher.fetch(ask("http://h/", retries=2))).status for _ in range(3)] == [404, 404, 404]
    await fetcher.close()


# --- databases --------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop 1.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cards (number TEXT, balance NUMERIC, note BLOB)")
        db.executemany("INSERT INTO cards VALUES (?, ?, ?)", [(str(n), n + 0.5, b"\x01") for n in range(30)])
    db.close()
    return path


async def query(path: Path, statement: str, params: dict[str, Any] | None = None, **more: Any) -> QueryResult:
    sources = SqlSources({"shop": Source(name="shop", file=path)}, lambda secret: "", clock=monotonic)
    try:
        fields = {"timeout": 2.0, "max_rows": 5, **more}
        return await sources.query(Query(("c", "r1"), "shop", statement, params or {}, **fields))
    finally:
        await sources.close()


async def test_rows_with_bound_parameters(shop: Path) -> None:
    found = await query(shop, "SELECT number, balance, note FROM cards WHERE number = :n", {"n": "7"})
    assert found == QueryResult("r1", ({"number": "7", "balance": 7.5, "note": "01"},))
    assert await query(shop, "SELECT 1 FROM cards WHERE number = :n", {"n": "7' OR '1'='1"}) == QueryResult("r1")
    assert len((await query(shop, "SELECT * FROM cards")).rows) == 5


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM cards", "UPDATE cards SET balance = 0", "SELECT * FROM nothing", "nonsense", "CREATE TABLE x (y)"],
)
async def test_writes_and_errors_fail(shop: Path, statement: str) -> None:
    assert (await query(shop, statement)).failure == "error"
    assert len((await query(shop, "SELECT * FROM cards", max_rows=100)).rows) == 30


async def test_a_statement_that_takes_too_long_is_stopped(shop: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    before = monotonic()
    assert (await query(shop, endless, timeout=0.2)).failure == "timeout"
    assert monotonic() - before < 2


async def test_unknown_source_and_missing_file(shop: Path) -> None:
    assert (await query(shop.with_name("none.sqlite"), "SELECT 1")).failure == "error"
    assert not shop.with_name("none.sqlite").exists()
    sources = SqlSources({}, lambda secret: "", clock=monotonic)
    assert (await sources.query(Query(("c", "r"), "x", "SELECT 1", {}, 1.0, 1))).failure == "unknown_source"
    await sources.close()


# --- the whole --------------------------------------------------------------------------------------------------


async def test_every_request_is_answered_and_notices_are_tried_again(shop: Path) -> None:
    answers: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    told: list[str] = []
    sent: list[httpx.Request] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "sms":
            sent.append(request)
            if len(sent) == 3:
                done.set()
            return httpx.Response(500 if len(sent) < 3 else 200)
        return httpx.Response(200, json={"a": 1})

    services = FlowServices(
        Fetching(hosts=("h",), failures=100),
        {"shop": Source(name="shop", file=shop)},
        Notices(sms=Service(url="http://sms/send", token=SecretSource(env="T"), sender="10086")),
        {},
        answer=lambda call, event: answers.put_nowait((call, event)),
        tell=lambda level, words, details: told.append(words),
        reveal=lambda secret: "the-token",
        clock=monotonic,
        sleep=sleep,
        transport=httpx.MockTransport(answer),
    )
    services.handle(ask("http://h/"))
    assert await answers.get() == ("call", Fetched("r1", 200, {"a": 1}))
    services.handle(Query(("call", "r2"), "shop", "SELECT count(*) AS n FROM cards", {}, 1.0, 1))
    assert await answers.get() == ("call", QueryResult("r2", ({"n": 30},)))
    services.handle(Notify("sms", "138", "hello", ""))
    await asyncio.wait_for(done.wait(), 5)
    assert json.loads(sent[-1].content) == {"to": "138", "text": "hello", "from": "10086"}
    assert sent[-1].headers["authorization"] == "Bearer the-token"
    services.handle(Notify("email", "a@b.c", "hello", "subject"))
    services.handle(ask("http://evil/?card=4111", secret=True))
    assert (await answers.get())[1].failure == "refused"
    await services.close()
    assert told == ["no service for email is configured", "a web service failed a flow"]
