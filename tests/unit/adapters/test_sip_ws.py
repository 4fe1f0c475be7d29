"""SIP over WebSocket, seen from a browser's side (the `websockets` client)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Origin, Subprotocol

from pbx.adapters.sip_tls import make_client_context
from pbx.adapters.transport import SipListener

from .sip_net import LIMIT, Recorder, make_certificate, make_message, quick

SIP = [Subprotocol("sip")]


def url(sip: Recorder, name: str = "ws", path: str = "/") -> str:
    host, port = sip.transports.listener_address(name)
    return f"{name}://{host}:{port}{path}"


async def read(socket: ClientConnection) -> str | bytes:
    return await asyncio.wait_for(socket.recv(), LIMIT)


async def test_messages_both_ways_and_the_end() -> None:
    async with Recorder(SipListener("ws", "ws", "127.0.0.1", 0)) as sip:
        async with connect(url(sip), subprotocols=SIP) as browser:
            assert browser.subprotocol == "sip"
            await browser.send(make_message("text").decode())
            await browser.send(make_message("binary"))
            data, flow = await sip.next_packet()
            assert data == make_message("text")
            assert flow.transport == "ws"
            assert flow.connection > 0
            assert await sip.next_packet() == (make_message("binary"), flow)
            sip.transports.send(flow, "你好".encode())
            assert await read(browser) == "你好"
            sip.transports.send(flow, b"\xff\xfe")
            assert await read(browser) == b"\xff\xfe"
            await browser.send("\r\n\r\n")
            assert await read(browser) == "\r\n"
            assert sip.packets == []
        assert await sip.next_closed() == flow
        sip.transports.send(flow, b"late")
        assert await sip.next_closed() == flow


async def test_wss(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "one")
    async with Recorder(SipListener("wss", "wss", "127.0.0.1", 0, chain, key)) as sip:
        context = make_client_context(authorities=chain)
        async with connect(url(sip, "wss"), subprotocols=SIP, ssl=context) as browser:
            await browser.send(make_message("secret").decode())
            data, flow = await sip.next_packet()
            assert (data, flow.transport) == (make_message("secret"), "wss")


async def test_only_sip_on_the_right_path_from_the_right_origin() -> None:
    listener = SipListener("ws", "ws", "127.0.0.1", 0, path="/sip", origins=("https://desk.example",))
    async with Recorder(listener) as sip:
        for path, origin, protocols in (
            ("/", "https://desk.example", SIP),
            ("/sip", "https://evil.example", SIP),
            ("/sip", None, SIP),
            ("/sip", "https://desk.example", None),
            ("/sip", "https://desk.example", [Subprotocol("chat")]),
        ):
            with pytest.raises(InvalidHandshake):
                async with connect(url(sip, path=path), subprotocols=protocols, origin=origin and Origin(origin)):  # type: ignore[arg-type]
                    pass
        good = url(sip, path="/sip?token=1")
        async with connect(good, subprotocols=SIP, origin=Origin("https://desk.example")) as browser:
            await browser.send(make_message("in"))
            assert (await sip.next_packet())[0] == make_message("in")


async def test_oversized_message_ends_the_connection() -> None:
    async with Recorder(SipListener("ws", "ws", "127.0.0.1", 0)) as sip:
        async with connect(url(sip), subprotocols=SIP) as browser:
            await browser.send(b"x" * 70_000)
            with pytest.raises(ConnectionClosed):
                await read(browser)
        assert (await sip.next_closed()).transport == "ws"
        assert sip.packets == []


async def test_stop_closes_browsers() -> None:
    sip = Recorder(SipListener("ws", "ws", "127.0.0.1", 0))
    await sip.transports.start()
    async with connect(url(sip), subprotocols=SIP) as browser:
        await browser.send(make_message("in"))
        await sip.next_packet()
        await sip.transports.stop()
        with pytest.raises(ConnectionClosed):
            await read(browser)


async def test_a_browser_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.adapters.sip_ws.MAX_QUEUED", 8)
    async with Recorder(SipListener("ws", "ws", "127.0.0.1", 0)) as sip:
        async with connect(url(sip), subprotocols=SIP, max_queue=1) as browser:
            await browser.send(make_message("in"))
            _, flow = await sip.next_packet()
            for _ in range(50):
                sip.transports.send(flow, make_message("big", b"x" * 60_000))
            await sip.until(lambda: flow in sip.closed)


async def test_too_many_browsers_of_one_host_are_turned_away() -> None:
    async with Recorder(SipListener("ws", "ws", "127.0.0.1", 0), limits=quick(unproven_per_host=1)) as sip:
        async with connect(url(sip), subprotocols=SIP), connect(url(sip), subprotocols=SIP) as second:
            with pytest.raises(ConnectionClosed):
                await read(second)


async def test_closing_a_flow_closes_the_browser() -> None:
    async with Recorder(SipListener("ws", "ws", "127.0.0.1", 0)) as sip, connect(url(sip), subprotocols=SIP) as browser:
        await browser.send(make_message("in"))
        _, flow = await sip.next_packet()
        await sip.transports.apply([SipListener("ws", "ws", "127.0.0.1", 0, path="/moved")])
        with pytest.raises(InvalidHandshake):
            async with connect(url(sip), subprotocols=SIP):
                pass
        sip.transports.close_flow(flow)
        assert await sip.next_closed() == flow
