"""The edge's shell: names of trunks, HEP, bans by hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from pbx.adapters.resolver import NaptrRecord, ResolveError, Resolver, SrvRecord
from pbx.adapters.sip_edge import SipEdge
from pbx.config.model import Configuration
from pbx.core.ids import SeededIds
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, Output, SecurityAlert, TrunkState
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.registrar import Registrar

LOCAL = LocalIdentity((Listener("udp", "udp", "192.0.2.1", 5060),))
LIMIT = 5.0


class Names:
    """A name server of one name."""

    def __init__(self) -> None:
        self.hosts = {"sip.example.com": ["203.0.113.5"]}

    async def naptr(self, name: str) -> tuple[list[NaptrRecord], float]:
        return [], 60.0

    async def srv(self, name: str) -> tuple[list[SrvRecord], float]:
        return [], 60.0

    async def addresses(self, name: str) -> tuple[list[str], float]:
        if name not in self.hosts:
            raise ResolveError("away")
        return self.hosts[name], 60.0


class Edge:
    def __init__(self, **parts: object) -> None:
        self.outputs: list[Output] = []
        self.performed = asyncio.Event()
        self.closed: list[Flow] = []
        self.server_names: list[tuple[str, int, str]] = []
        ids = SeededIds(1)
        self.edge = SipEdge(
            ids, Registrar(), Resolver(ids.uniform, Names()), clock=asyncio.get_running_loop().time, epoch=1e9,
            perform=self.perform, set_server_name=lambda *name: self.server_names.append(name),
            close_flow=self.closed.append,
        )  # fmt: skip
        self.configure(**parts)
        self.edge.build(self.configuration, LOCAL)

    def configure(self, **parts: object) -> None:
        self.configuration = Configuration.model_validate(parts)

    def perform(self, outputs: Sequence[Output]) -> None:
        self.outputs += outputs
        self.performed.set()

    async def apply(self) -> None:
        await self.edge.configure(self.configuration, lambda source: "secret", LOCAL)


TRUNK = {"name": "c", "host": "sip.example.com", "health": {"interval": 0}}


async def test_a_trunks_name_is_resolved_recognised_and_never_banned() -> None:
    made = Edge(trunks={"c": TRUNK})
    edge = made.edge
    assert edge.find_trunk_flow("c") is None
    edge.guard.ban("203.0.113.5", 0.0)
    await made.apply()
    async with asyncio.timeout(LIMIT):
        while edge.find_trunk_flow("c") is None:
            made.performed.clear()
            await made.performed.wait()
    assert edge.find_trunk_flow("c") == Flow("udp", "203.0.113.5", 5060)
    assert edge.trunks.find_by_address("203.0.113.5") == "c"
    assert edge.guard.bans() == []
    states = [output for output in made.outputs if isinstance(output, TrunkState)]
    assert [state.state for state in states] == ["up"]
    await edge.stop()


async def test_a_tls_trunk_has_to_prove_its_name_and_not_its_address() -> None:
    made = Edge(trunks={"c": {**TRUNK, "transport": "tls"}})
    await made.apply()
    async with asyncio.timeout(LIMIT):
        while made.edge.find_trunk_flow("c") is None:
            made.performed.clear()
            await made.performed.wait()
    assert made.server_names == [("203.0.113.5", 5061, "sip.example.com")]
    await made.edge.stop()


async def test_calls_that_go_elsewhere_than_registrations_follow_the_configuration() -> None:
    registration = {"username": "u", "secret": {"env": "X"}, "registrar": "203.0.113.9"}
    made = Edge(trunks={"c": {**TRUNK, "host": "203.0.113.5", "registration": registration}})
    await made.apply()
    assert made.edge.trunks.get_flow("c") == Flow("udp", "203.0.113.9", 5060)
    assert made.edge.find_trunk_flow("c") is None
    await made.edge.stop()


async def test_hep_follows_the_configuration() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.setblocking(False)
        port = collector.getsockname()[1]
        made = Edge(sip={"hep": f"udp:127.0.0.1:{port}"})
        await made.apply()
        flow = Flow("udp", "192.0.2.7", 5060, "udp")
        made.edge.on_packet(False, flow, b"OPTIONS sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n", "", "")
        made.edge.on_packet(True, flow, b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n", "leg", "response")
        for start in (b"OPTIONS", b"SIP/2.0 200"):
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(collector, 65535), LIMIT)
            assert data[:4] == b"HEP3"
            assert start in data
        made.configure(sip={"hep": ""})
        await made.apply()
        made.edge.on_packet(False, flow, b"OPTIONS sip:x SIP/2.0\r\n\r\n", "", "")
        with pytest.raises(BlockingIOError):
            collector.recv(65535)
        made.configure(sip={"hep": "udp:127.0.0.1:notaport"})
        await made.apply()
        await made.edge.stop()


async def test_noise_leaves_the_ladder_and_reasons_stay() -> None:
    made = Edge()
    flow = Flow("udp", "192.0.2.7", 5060, "udp")
    for reason in ("flood", "stray ACK"):
        made.edge.on_packet(False, flow, f"ACK sip:{reason[0]} SIP/2.0\r\nCall-ID: 1\r\n\r\n".encode(), "", "")
        made.edge.on_dropped(Dropped(flow=flow, reason=reason))
    text = made.edge.trace([], {"sip_call_id": "1"})["text"]
    assert text.count("ACK---") == 1
    assert "stray ACK" in text
    numbers = {(s.name, *s.labels.values()): s.value for s in made.edge.samples()}
    assert numbers["tandem_sip_dropped_total", "flood"] == numbers["tandem_sip_dropped_total", "stray ACK"] == 1


async def test_bans_by_hand() -> None:
    made = Edge()
    connection = Flow("tcp", "192.0.2.66", 5060, "tcp", 7)
    made.edge.on_dropped(Dropped(flow=connection, reason="flood"))
    assert made.closed == []
    made.edge.on_dropped(Dropped(flow=connection, reason="banned"))
    assert made.closed == [connection]
    (ban,) = made.edge.bans({"ban": "192.0.2.66", "seconds": "60", "reason": "rude"})
    assert (ban["source"], ban["reason"]) == ("192.0.2.66", "rude")
    assert made.edge.bans({"lift": "192.0.2.66"}) == []
    assert [output.what for output in made.outputs if isinstance(output, SecurityAlert)] == ["banned", "unbanned"]
    for wrong in ({"ban": "nonsense"}, {"ban": "127.0.0.1"}, {"lift": "nonsense"}):
        with pytest.raises(ValueError, match=r"nonsense|trunk"):
            made.edge.bans(wrong)
