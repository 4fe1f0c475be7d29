"""Finding servers: the rules of RFC 3263 on a table, the real resolver against a name server of our own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import dns.message
import dns.rrset
import pytest

from pbx.adapters.resolver import NameWatch, NaptrRecord, ResolveError, Resolver, SrvRecord, SystemDns, Target
from pbx.adapters.transport import SipListener
from pbx.core.ids import SeededIds
from pbx.sip.commands import Flow

from .sip_net import LIMIT, Recorder, make_message


class Table:
    """A name server in memory that counts questions and can be away."""

    def __init__(self) -> None:
        self.naptrs: dict[str, list[NaptrRecord]] = {}
        self.srvs: dict[str, list[SrvRecord]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.away = False
        self.ttl = 60.0

    def _count(self, name: str) -> None:
        self.asked[name] += 1
        if self.away:
            raise ResolveError("name server is away")

    async def naptr(self, name: str) -> tuple[list[NaptrRecord], float]:
        self._count(name)
        return self.naptrs.get(name, []), self.ttl

    async def srv(self, name: str) -> tuple[list[SrvRecord], float]:
        self._count(name)
        return self.srvs.get(name, []), self.ttl

    async def addresses(self, name: str) -> tuple[list[str], float]:
        self._count(name)
        return self.hosts.get(name, []), self.ttl


@pytest.fixture
def table() -> Table:
    table = Table()
    table.hosts = {
        "a.example": ["192.0.2.1", "2001:db8::1"],
        "b.example": ["192.0.2.2"],
        "plain.example": ["192.0.2.9"],
    }
    table.srvs = {
        "_sip._udp.sip.example": [SrvRecord(20, 0, 5070, "b.example."), SrvRecord(10, 0, 5060, "a.example.")],
        "_sips._tcp.sip.example": [SrvRecord(10, 0, 5061, "b.example.")],
    }
    return table


def make(table: Table, seed: int = 1) -> Resolver:
    return Resolver(SeededIds(seed).uniform, table)


async def test_addresses_pass_straight_through(table: Table) -> None:
    resolver = make(table)
    assert await resolver.resolve("192.0.2.7") == (Target("192.0.2.7", 5060, "udp"),)
    assert await resolver.resolve("2001:db8::7", 0, "tls") == (Target("2001:db8::7", 5061, "tls"),)
    assert not table.asked


async def test_a_port_means_no_srv(table: Table) -> None:
    table.hosts["sip.example"] = ["192.0.2.5"]
    assert await make(table).resolve("sip.example", 5090, "tcp") == (Target("192.0.2.5", 5090, "tcp"),)
    assert table.asked == {"sip.example": 1}


async def test_srv_of_the_transport_by_priority(table: Table) -> None:
    assert await make(table).resolve("SIP.example", 0, "udp") == (
        Target("192.0.2.1", 5060, "udp"),
        Target("2001:db8::1", 5060, "udp"),
        Target("192.0.2.2", 5070, "udp"),
    )
    assert await make(table).resolve("sip.example", 0, "tls") == (Target("192.0.2.2", 5061, "tls"),)


async def test_without_srv_the_name_itself(table: Table) -> None:
    assert await make(table).resolve("plain.example", 0, "tls") == (Target("192.0.2.9", 5061, "tls"),)
    assert await make(table).resolve("plain.example") == (Target("192.0.2.9", 5060, "udp"),)


async def test_naptr_says_the_transport(table: Table) -> None:
    table.naptrs["sip.example"] = [
        NaptrRecord(50, 50, "SIP+D2U", "_sip._udp.sip.example."),
        NaptrRecord(10, 50, "SIPS+D2T", "_sips._tcp.sip.example"),
        NaptrRecord(5, 50, "E2U+mail", "mail.example."),
    ]
    targets = await make(table).resolve("sip.example")
    assert targets[0] == Target("192.0.2.2", 5061, "tls")
    del table.naptrs["sip.example"]
    targets = await make(table).resolve("sip.example")
    assert [target.transport for target in targets] == ["udp", "udp", "udp", "tls"]


async def test_weights_are_respected_over_many_draws(table: Table) -> None:
    table.srvs["_sip._udp.w.example"] = [
        SrvRecord(1, 90, 5060, "a.example."),
        SrvRecord(1, 10, 5060, "b.example."),
        SrvRecord(1, 0, 5060, "plain.example."),
    ]
    first = Counter([(await make(table, seed).resolve("w.example", 0, "udp"))[0].host for seed in range(400)])
    assert 320 <= first["192.0.2.1"] <= 390
    assert first["192.0.2.2"] >= 10


async def test_nothing_found_is_an_error_remembered_for_a_moment(table: Table) -> None:
    resolver = make(table)
    for _ in range(5):
        with pytest.raises(ResolveError, match=r"none\.example"):
            await resolver.resolve("none.example", 5060, "udp")
    assert table.asked["none.example"] == 1


async def test_answers_are_cached_and_asked_for_once_by_many(table: Table) -> None:
    resolver = make(table)
    results = await asyncio.gather(*(resolver.resolve("plain.example", 5060) for _ in range(20)))
    assert len(set(results)) == 1
    await resolver.resolve("PLAIN.example", 5060)
    assert table.asked == {"plain.example": 1}
    assert resolver.known("plain.example", 5060) == results[0]
    assert resolver.known("other.example", 5060) is None


async def test_an_old_answer_serves_while_dns_is_away(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.adapters.resolver._MIN_TTL", 0.0)
    table.ttl = 0.0
    resolver = make(table)
    known = await resolver.resolve("plain.example", 5060)
    table.away = True
    assert await resolver.resolve("plain.example", 5060) == known
    with pytest.raises(ResolveError, match="away"):
        await resolver.resolve("b.example", 5060)


async def test_names_are_watched(table: Table) -> None:
    seen: asyncio.Queue[tuple[str, tuple[Target, ...]]] = asyncio.Queue()
    watch = NameWatch(make(table), lambda name, targets: seen.put_nowait((name, targets)), interval=0.01)
    watch.watch([("trunk", "plain.example", 5060, "udp")])
    assert await asyncio.wait_for(seen.get(), LIMIT) == ("trunk", (Target("192.0.2.9", 5060, "udp"),))
    watch.watch([("other", "none.example", 5060, "udp")])
    while (found := await asyncio.wait_for(seen.get(), LIMIT))[0] == "trunk":
        pass
    assert found == ("other", ())
    await watch.stop()


async def test_sending_to_a_name_by_udp_and_by_the_first_tcp_server_that_answers(table: Table) -> None:
    udp, tcp = SipListener("udp", "udp", "127.0.0.1", 0), SipListener("tcp", "tcp", "127.0.0.1", 0)
    async with Recorder(udp, tcp) as right, Recorder(udp, tcp, resolver=make(table)) as left:
        table.hosts["server.example"] = ["127.0.0.1"]
        flow = Flow("udp", "server.example", right.transports.listener_address("udp")[1])
        for text in ("one", "two"):
            left.transports.send(flow, make_message(text))
            assert (await right.next_packet())[0] == make_message(text)
        # Nothing listens at the first server.
        port = right.transports.listener_address("tcp")[1]
        table.hosts["dead.example"] = ["127.0.0.2"]
        table.srvs["_sip._tcp.two.example"] = [
            SrvRecord(1, 0, port, "dead.example"), SrvRecord(2, 0, port, "server.example")
        ]  # fmt: skip
        flow = Flow("tcp", "two.example", 0)
        left.transports.send(flow, make_message("three"))
        data, back = await right.next_packet()
        assert data == make_message("three")
        left.transports.send(flow, make_message("four"))
        assert await right.next_packet() == (make_message("four"), back)
        right.transports.close_flow(back)
        await left.until(lambda: flow in left.closed)
        for gone in (Flow("udp", "none.example", 5060), Flow("tcp", "none.example", 5060)):
            left.transports.send(gone, b"x")
            await left.until(lambda gone=gone: gone in left.closed)  # type: ignore[misc]


class NameServer(asyncio.DatagramProtocol):
    """A name server for one SRV record and one NAPTR."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        name, kind = str(query.question[0].name), query.question[0].rdtype.name
        records = {
            ("_sip._udp.sip.test.", "SRV"): "10 5 5070 localhost.",
            ("sip.test.", "NAPTR"): '10 20 "s" "SIP+D2U" "" _sip._udp.sip.test.',
        }
        if (name, kind) in records:
            response.answer.append(dns.rrset.from_text(name, 30, "IN", kind, records[name, kind]))
        self.transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined]


@pytest.fixture
async def name_server() -> AsyncIterator[tuple[str, int]]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")
    transport.close()


async def test_the_real_resolver(name_server: tuple[str, int]) -> None:
    source = SystemDns([name_server[0]])
    source._resolver.port = name_server[1]
    assert await source.srv("_sip._udp.sip.test") == ([SrvRecord(10, 5, 5070, "localhost.")], 30.0)
    assert (await source.naptr("sip.test"))[0] == [NaptrRecord(10, 20, "SIP+D2U", "_sip._udp.sip.test.")]
    assert (await source.srv("_sip._tcp.sip.test"))[0] == []
    targets = await Resolver(SeededIds(1).uniform, source).resolve("sip.test")
    assert Target("127.0.0.1", 5070, "udp") in targets
