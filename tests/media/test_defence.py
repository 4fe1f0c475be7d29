"""What the network does on its own: strangers, silence, garbage, floods."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from media.protocol import (
    CloseLeg,
    Codec,
    ConfigureLeg,
    Intruder,
    MediaStarted,
    MediaTimeout,
    OpenLeg,
    QueryLeg,
    Refused,
)
from tests.media.conftest import PCMU, Bench
from tests.media.phone import Phone, share


async def test_an_intruder_is_reported_and_not_bridged(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent, thief = await phones(400), await phones(700), await phones(1000)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.1), agent.talk(0.1))
    thief.remote = caller.remote
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3), thief.talk(0.3))
    seen = await bench.wait(Intruder)
    assert (seen.leg, seen.port) == ("a", thief.port)
    assert len(bench.seen(Intruder)) <= 2
    assert share(agent.heard(0.2), 1000) < 0.01 and share(agent.heard(0.2), 400) > 0.95
    assert not thief.packets


async def test_symmetric_rtp_follows_the_first_packet(bench: Bench, phones: Callable[..., Any]) -> None:
    told, real, agent = await phones(400), await phones(500), await phones(700)
    await bench.leg("a", told)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    real.remote = told.remote
    await asyncio.gather(real.talk(0.3), agent.talk(0.3))
    started = [event for event in bench.seen(MediaStarted) if event.leg == "a"]
    assert [event.port for event in started] == [real.port]
    assert share(real.heard(0.2), 700) > 0.95
    assert share(agent.heard(0.2), 500) > 0.95


async def test_the_announced_peer_wins_over_who_was_quicker(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, thief, agent = await phones(400), await phones(1000), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    thief.remote = caller.remote
    await asyncio.gather(thief.talk(0.1), agent.talk(0.1))
    await asyncio.gather(caller.talk(0.3), thief.talk(0.3), agent.talk(0.3))
    assert share(agent.heard(0.2), 400) > 0.95
    assert share(caller.heard(0.2), 700) > 0.95
    assert [event.port for event in bench.seen(MediaStarted) if event.leg == "a"] == [thief.port, caller.port]
    assert bench.seen(Intruder)


async def test_ipv6(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    phones = []
    for name, hz in (("a", 400.0), ("b", 700.0)):
        _, phone = await loop.create_datagram_endpoint(partial(Phone, hz), local_addr=("::1", 0))
        opened = await bench.do(OpenLeg, leg=name, family="ipv6")
        assert opened.address == "::1"
        phone.remote = ("::1", opened.port)
        await bench.do(ConfigureLeg, leg=name, remote_address="::1", remote_port=phone.port, codecs=(PCMU,))
        phones.append(phone)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(*(phone.talk(0.2) for phone in phones))
    assert share(phones[0].heard(), 700) > 0.95 and share(phones[1].heard(), 400) > 0.95
    assert {event.address for event in bench.seen(MediaStarted)} == {"::1"}
    for phone in phones:
        phone.close()


async def test_a_leg_without_an_address_waits_for_its_peer(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", None)
    caller.remote = ("127.0.0.1", bench.ports["a"])
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    assert share(caller.heard(0.1), 700) > 0.95


async def test_a_re_invite_moves_the_peer_and_keeps_the_stream(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent, moved = await phones(400), await phones(700), await phones(900)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    await bench.do(
        ConfigureLeg, leg="a", remote_address="127.0.0.1", remote_port=moved.port, codecs=(PCMU,), dtmf_payload_type=101
    )
    moved.remote = caller.remote
    await asyncio.gather(moved.talk(0.2), agent.talk(0.2))
    assert share(moved.heard(), 700) > 0.95
    assert moved.packets[0].ssrc == caller.packets[0].ssrc
    assert (moved.packets[0].seq - caller.packets[-1].seq) & 0xFFFF == 1


async def test_silence_is_reported_once_until_the_peer_is_heard(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller, timeout_ms=400)
    await caller.talk(0.1)
    event = await bench.wait(MediaTimeout)
    assert event.leg == "a" and 400 <= event.silent_ms < 1700
    await caller.talk(0.1)
    await bench.wait(MediaTimeout, 2)


async def test_garbage_neither_crashes_nor_gets_through(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"), ("a", "a"))
    await asyncio.gather(caller.talk(0.1), agent.talk(0.1))
    chance = random.Random(7)
    for count in range(400):
        size = chance.choice((0, 1, 11, 12, 13, 100, 1400, 4000))
        data = bytearray(chance.randbytes(size))
        if size >= 12 and count % 2:
            data[0] = 0x80 | chance.getrandbits(6)
            data[1] = chance.choice((0, 101, 200, 201))
        caller.transport.sendto(bytes(data), ("127.0.0.1", caller.remote[1] + count % 2))
        if count % 50 == 0:
            await asyncio.sleep(0.02)
    report = await bench.do(QueryLeg, leg="a")
    assert report.stats.rejected > 50
    caller.seq += 7000
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    assert share(agent.heard(0.1), 400) > 0.95


async def test_a_flood_is_cut_off_and_heard_again_later(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("b", "a"))
    for _ in range(60):
        for _ in range(60):
            caller.send(0, bytes(160))
        await asyncio.sleep(0.03)
    count = len(agent.packets)
    for _ in range(100):
        caller.send(0, bytes(160))
    await asyncio.sleep(0.1)
    report = await bench.do(QueryLeg, leg="a")
    assert report.stats.rejected > 0 and len(agent.packets) - count <= 100


async def test_ports_drain_before_they_are_used_again(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller)
    old = bench.ports["a"]
    await bench.do(CloseLeg, leg="a")
    opened = [(await bench.do(OpenLeg, leg=f"n{index}")).port for index in range(20)]
    assert old not in opened and len(set(opened)) == 20
    again = await bench.do(OpenLeg, leg="n0")
    assert again.port == opened[0]


async def test_what_makes_no_sense_is_refused_with_a_reason(bench: Bench) -> None:
    await bench.do(OpenLeg, leg="a")
    for address, port, codecs, word in (
        ("not-an-ip", 4000, (PCMU,), "address"),
        ("127.0.0.1", 70000, (PCMU,), "port"),
        ("127.0.0.1", 4000, (), "codec"),
        ("127.0.0.1", 4000, (Codec(name="GSM", payload_type=3),), "GSM"),
    ):
        command = ConfigureLeg(
            id=bench.client.next_id(), leg="a", remote_address=address, remote_port=port, codecs=codecs
        )
        reply = await bench.client.ask(command)
        assert isinstance(reply, Refused) and reply.code == "invalid" and word in reply.reason


async def test_rtcp_reports_come_and_round_trip_is_known(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller, rtcp_mux=True)
    reports: list[bytes] = []
    caller.datagram_received = lambda data, addr: reports.append(data) if 192 <= data[1] <= 223 else None  # type: ignore[method-assign]
    await bench.join("echo", ("a", "a"))
    for _ in range(100):
        await caller.talk(0.1)
        if reports:
            break
    first = reports[0]
    kind, _, ssrc, high, low = first[1], *struct.unpack_from("!HIII", first, 2)
    assert kind == 200
    # A receiver report that says: your report came 50 ms ago, and I waited 40.
    lsr = ((high << 16) | (low >> 16)) & 0xFFFFFFFF
    block = struct.pack("!IIIIII", ssrc, (25 << 24) | 3, 5000, 80, lsr, 0)
    caller.transport.sendto(struct.pack("!BBHI", 0x81, 201, 7, 1) + block, caller.remote)
    await caller.talk(0.04)
    stats = (await bench.do(QueryLeg, leg="a")).stats
    assert stats.remote_lost == 3
    assert stats.round_trip_ms is not None and 0 <= stats.round_trip_ms < 2000
    assert stats.mos is not None and 4.0 < stats.mos <= 4.5
