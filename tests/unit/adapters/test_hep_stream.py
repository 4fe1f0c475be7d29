"""The ladder to Homer over TCP and TLS: whole packets in order, a collector that goes away and comes back."""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path

import pytest

from pbx.adapters.hep_stream import MAX_BUFFER, HepStream
from pbx.adapters.sip_tls import make_client_context
from pbx.sip.commands import Flow
from pbx.sip.ladder import LadderEntry
from tests.unit.adapters.sip_net import make_certificate
from tests.unit.adapters.test_sip_edge import Edge
from tests.unit.sip.test_ladder import make_call

LIMIT = 20


class Collector:
    """Takes one connection at a time and cuts packets out of it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def start(self) -> Collector:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connected.set()
        try:
            while True:
                head = await reader.readexactly(6)
                assert head[:4] == b"HEP3"
                self.packets.put_nowait(head + await reader.readexactly(struct.unpack("!H", head[4:])[0] - 6))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def stop(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()
        self.writers.clear()
        self.connected.clear()


async def send_until_heard(sender: HepStream, collector: Collector, entry: LadderEntry) -> bytes:
    async with asyncio.timeout(LIMIT):
        while collector.packets.empty():
            sender.send(entry)
            await asyncio.sleep(0.01)
        return await collector.packets.get()


async def until(sender: HepStream, *, connected: bool) -> None:
    async with asyncio.timeout(LIMIT):
        while sender.is_connected is not connected:
            sender.changed.clear()
            await sender.changed.wait()


@pytest.mark.parametrize("tls", [False, True])
async def test_packets_arrive_whole(tls: bool, tmp_path: Path) -> None:
    server = client = None
    if tls:
        certificate, key = make_certificate(tmp_path, "localhost")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        client = make_client_context(authorities=certificate)
    collector = await Collector(server).start()
    sender = HepStream(0.0, context=client)
    await sender.open("localhost" if tls else "127.0.0.1", collector.port)
    entry = make_call().of_legs(["l1"])[0]
    assert entry.data in await send_until_heard(sender, collector, entry)
    for _ in range(100):
        sender.send(entry)
    async with asyncio.timeout(LIMIT):
        for _ in range(100):
            assert entry.data in await collector.packets.get()
    sender.close()
    await collector.stop()


async def test_a_collector_that_comes_back() -> None:
    collector = await Collector().start()
    sender = HepStream(0.0, first_wait=0.01)
    await sender.open("127.0.0.1", collector.port)
    entry = make_call().of_legs(["l1"])[0]
    await send_until_heard(sender, collector, entry)
    await collector.stop()
    await until(sender, connected=False)
    lost = sender.lost
    sender.send(entry)
    assert sender.lost == lost + 1, "nothing is kept for later"
    while not collector.packets.empty():
        collector.packets.get_nowait()
    await collector.start()
    assert entry.data in await send_until_heard(sender, collector, entry)
    sender.close()
    await collector.stop()


async def test_a_collector_that_does_not_read_costs_bounded_memory() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    sender = HepStream(0.0)
    await sender.open("127.0.0.1", server.sockets[0].getsockname()[1])
    entry = make_call().of_legs(["l1"])[0]
    await until(sender, connected=True)
    assert sender._writer is not None
    before = sender.lost
    while sender.lost < before + 10:
        sender.send(entry)
    assert sender._writer.transport.get_write_buffer_size() < MAX_BUFFER + 65_536
    sender.close()
    for writer in held:
        writer.transport.abort()
    server.close()


async def test_the_edge_chooses_by_the_address() -> None:
    collector = await Collector().start()
    made = Edge(sip={"hep": f"tcp:127.0.0.1:{collector.port}"})
    await made.apply()
    await asyncio.wait_for(collector.connected.wait(), LIMIT)
    flow = Flow("udp", "192.0.2.7", 5060, "udp")
    async with asyncio.timeout(LIMIT):
        while collector.packets.empty():
            made.edge.on_packet(False, flow, b"OPTIONS sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n", "", "")
            await asyncio.sleep(0.01)
        assert b"OPTIONS" in await collector.packets.get()
    await made.edge.stop()
    await collector.stop()
