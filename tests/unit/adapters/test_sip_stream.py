"""SIP over TCP and TLS on real loopback sockets."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from pbx.adapters.sip_tls import make_client_context
from pbx.adapters.transport import SipListener
from pbx.sip.commands import Flow

from .sip_net import LIMIT, Recorder, make_certificate, make_message, quick

TCP = SipListener("tcp", "tcp", "127.0.0.1", 0)


async def connect(sip: Recorder, name: str = "tcp") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*sip.transports.listener_address(name))


async def finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def read(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), LIMIT)


async def test_messages_pieces_pings_and_the_end() -> None:
    async with Recorder(TCP) as sip:
        reader, writer = await connect(sip)
        writer.write(b"\r\n\r\n" + make_message("one", b"body") + make_message("two")[:20])
        assert (await sip.next_packet())[0] == make_message("one", b"body")
        assert await read(reader, 2) == b"\r\n"
        writer.write(make_message("two")[20:])
        data, flow = await sip.next_packet()
        assert data == make_message("two")
        assert flow.connection > 0
        assert flow[:4] == ("tcp", *writer.get_extra_info("sockname"), "tcp")
        assert sip.transports.local_address(flow) == sip.transports.listener_address("tcp")
        sip.transports.send(flow, b"answer")
        assert await read(reader, 6) == b"answer"
        await finish(writer)
        assert await sip.next_closed() == flow
        assert sip.transports.connection_count() == 0
        sip.transports.send(flow, b"too late")
        assert await sip.next_closed() == flow


async def test_connects_on_demand_and_uses_the_connection_both_ways() -> None:
    async with Recorder(TCP) as left, Recorder(TCP) as right:
        flow = left.flow_to(right, "tcp")
        left.transports.send(flow, make_message("one"))
        left.transports.send(flow, make_message("two"))
        data, back = await right.next_packet()
        assert data == make_message("one")
        assert (await right.next_packet()) == (make_message("two"), back)
        right.transports.send(back, make_message("answer"))
        data, there = await left.next_packet()
        assert data == make_message("answer")
        assert there[:3] == flow[:3]
        left.transports.send(flow, make_message("three"))
        assert (await right.next_packet()) == (make_message("three"), back)
        assert left.transports.connection_count() == right.transports.connection_count() == 1
        left.transports.close_flow(there)
        assert await right.next_closed() == back


async def test_refused_connection_is_reported_once_per_flow() -> None:
    async with Recorder(TCP) as left:
        async with Recorder(TCP) as right:
            flow = left.flow_to(right, "tcp")
        left.transports.send(flow, b"one")
        left.transports.send(flow, b"two")
        assert await left.next_closed() == flow
        assert left.closed == []


async def test_slow_message_silence_and_broken_framing_are_cut() -> None:
    async with Recorder(TCP, limits=quick(one_message=0.2, first_message=0.5)) as sip:
        slow, slow_writer = await connect(sip)
        silent, silent_writer = await connect(sip)
        broken, broken_writer = await connect(sip)
        slow_writer.write(b"INVITE sip:x SIP/2.0\r\nVia: ")
        message = b"INVITE sip:x SIP/2.0\r\nl: -5\r\n\r\n"
        broken_writer.write(message)
        assert (await sip.next_packet())[0] == message
        for reader in (slow, silent, broken):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await read(reader, 1)
        for writer in (slow_writer, silent_writer, broken_writer):
            await finish(writer)
        await sip.until(lambda: len(sip.closed) == 3)


async def test_connections_of_one_host_are_limited() -> None:
    async with Recorder(TCP, limits=quick(unproven_per_host=2)) as sip:
        _, first = await connect(sip)
        first.write(make_message("proven"))
        await sip.next_packet()
        others = [await connect(sip) for _ in range(3)]
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await read(others[2][0], 1)
        assert sip.transports.connection_count() == 3
        for writer in (first, *(writer for _, writer in others)):
            await finish(writer)


async def test_connections_of_the_banned_are_refused() -> None:
    async with Recorder(TCP) as sip:
        sip.transports.set_shut_out(lambda host: host == "127.0.0.1")
        reader, writer = await connect(sip)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await read(reader, 1)
        await finish(writer)
        assert sip.transports.connection_count() == 0
        assert sip.closed == []


async def test_a_peer_that_does_not_read_is_cut() -> None:
    async with Recorder(TCP) as sip:
        _, writer = await connect(sip)
        writer.write(make_message("hello"))
        _, flow = await sip.next_packet()
        for _ in range(40):
            sip.transports.send(flow, make_message("big", b"x" * 60_000) * 10)
        assert await sip.next_closed() == flow
        await finish(writer)


async def test_idle_connections_are_closed_unless_they_are_needed() -> None:
    async with Recorder(TCP, limits=quick(idle=0.3)) as sip:
        needed: list[Flow] = []
        sip.transports.set_in_use(lambda flow: flow in needed)
        _, kept = await connect(sip)
        kept.write(make_message("kept"))
        needed.append((await sip.next_packet())[1])
        _, idle = await connect(sip)
        idle.write(make_message("idle"))
        _, flow = await sip.next_packet()
        assert await sip.next_closed() == flow
        assert sip.transports.connection_count() == 1
        kept.write(make_message("still there"))
        assert (await sip.next_packet())[1] == needed[0]
        for writer in (kept, idle):
            await finish(writer)


async def test_pings_keep_our_connections_and_find_dead_ones() -> None:
    closed = asyncio.Event()
    pings: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(make_message("hello")))
        # Answer the first ping, then fall silent.
        pings.append(await reader.readexactly(4))
        writer.write(b"\r\n")
        pings.append(await reader.readexactly(4))
        await reader.read()
        await finish(writer)
        closed.set()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with Recorder(TCP, limits=quick(keep_alive=0.1, one_message=0.1)) as sip:
        sip.transports.send(Flow("tcp", *server.sockets[0].getsockname()), make_message("hello"))
        await asyncio.wait_for(closed.wait(), LIMIT)
        assert (await sip.next_closed()).connection
    assert pings == [b"\r\n\r\n"] * 2
    server.close()
    await server.wait_closed()


# --- TLS ----------------------------------------------------------------------------------------------------------


async def peer_certificate(sip: Recorder, *, name: str | None = None) -> bytes:
    context = make_client_context(verify=False)
    host, port = sip.transports.listener_address("tls")
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name or "")
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = connection.getpeercert(binary_form=True)
    assert der is not None
    await finish(writer)
    return der


def to_der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


async def test_tls_both_ways_with_verified_names(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "one")
    listener = SipListener("tls", "tls", "127.0.0.1", 0, chain, key)
    async with (
        Recorder(listener) as right,
        Recorder(listener, client_tls=make_client_context(authorities=chain)) as left,
        Recorder(listener) as stranger,
    ):
        flow = left.flow_to(right, "tls")
        left.transports.send(flow, make_message("secret"))
        data, back = await right.next_packet()
        assert data == make_message("secret")
        assert back.transport == "tls"
        right.transports.send(back, make_message("answer"))
        assert (await left.next_packet())[0] == make_message("answer")
        # Without our authority, or under another name, the same server is not believed.
        stranger.transports.send(flow, make_message("x"))
        assert await stranger.next_closed() == flow
        other = left.flow_to(stranger, "tls")
        left.transports.set_server_name(other.host, other.port, "sip.example.com")
        left.transports.send(other, make_message("x"))
        assert await left.next_closed() == other
        left.transports.set_server_name(other.host, other.port, "localhost")
        left.transports.send(other, make_message("y"))
        assert (await stranger.next_packet())[0] == make_message("y")


@pytest.mark.parametrize("name", [None, "localhost"])
async def test_certificate_is_replaced_while_calls_go_on(tmp_path: Path, name: str | None) -> None:
    chain, key = make_certificate(tmp_path, "old")
    new_chain, new_key = make_certificate(tmp_path, "new", "ec")
    old = to_der(chain)
    async with Recorder(SipListener("tls", "tls", "127.0.0.1", 0, chain, key), certificate_poll=0.05) as sip:
        assert await peer_certificate(sip, name=name) == old
        host, port = sip.transports.listener_address("tls")
        _, writer = await asyncio.open_connection(host, port, ssl=make_client_context(verify=False))
        chain.write_text("not a certificate")
        sip.transports.reload_certificates()
        assert await peer_certificate(sip, name=name) == old
        key.write_bytes(new_key.read_bytes())
        chain.write_bytes(new_chain.read_bytes())
        sip.transports.reload_certificates()
        assert await peer_certificate(sip, name=name) == to_der(new_chain)
        writer.write(make_message("still here"))
        assert (await sip.next_packet())[0] == make_message("still here")
        await finish(writer)


async def test_plain_text_on_the_tls_port_is_closed(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "one")
    async with Recorder(SipListener("tls", "tls", "127.0.0.1", 0, chain, key)) as sip:
        reader, writer = await connect(sip, "tls")
        writer.write(make_message("plain"))
        await asyncio.wait_for(reader.read(), LIMIT)
        await finish(writer)
        assert sip.packets == []


async def test_bad_certificate_names_the_listener(tmp_path: Path) -> None:
    sip = Recorder(SipListener("secure", "tls", "127.0.0.1", 0, tmp_path / "none.pem", tmp_path / "none.key"))
    with pytest.raises(OSError, match="listener secure"):
        await sip.transports.start()


async def test_reload_serves_another_certificate_or_keeps_the_old_one(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "one")
    other_chain, other_key = make_certificate(tmp_path, "two")
    async with Recorder(SipListener("tls", "tls", "127.0.0.1", 0, chain, key)) as sip:
        with pytest.raises(OSError, match="listener tls"):
            await sip.transports.apply([SipListener("tls", "tls", "127.0.0.1", 0, tmp_path / "none", key)])
        assert await peer_certificate(sip) == to_der(chain)
        await sip.transports.apply([SipListener("tls", "tls", "127.0.0.1", 0, other_chain, other_key)])
        assert await peer_certificate(sip) == to_der(other_chain)
        with pytest.raises(OSError, match="listener tls cannot move"):
            await sip.transports.apply([SipListener("tls", "tls", "127.0.0.1", 5999, other_chain, other_key)])


async def test_certificates_are_watched(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "old")
    new_chain, new_key = make_certificate(tmp_path, "new")
    listener = SipListener("tls", "tls", "127.0.0.1", 0, chain, key)
    async with Recorder(listener, certificate_poll=0.05, limits=quick(one_message=0.1)) as sip:
        key.write_bytes(new_key.read_bytes())
        chain.write_bytes(new_chain.read_bytes())
        async with asyncio.timeout(LIMIT):
            while await peer_certificate(sip) != to_der(new_chain):
                pass


async def test_clients_without_the_wanted_certificate_stay_out(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "server")
    mine, my_key = make_certificate(tmp_path, "client")
    listener = SipListener("tls", "tls", "127.0.0.1", 0, chain, key, client_authorities=mine)
    async with Recorder(listener) as sip:
        host, port = sip.transports.listener_address("tls")
        for known in (False, True):
            context = make_client_context(authorities=chain)
            if known:
                context.load_cert_chain(mine, my_key)
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.write(make_message("hello"))
            if known:
                assert (await sip.next_packet())[0] == make_message("hello")
            else:
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await read(reader, 1)
            await finish(writer)
        assert sip.packets == []
