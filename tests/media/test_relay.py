"""Two legs of one codec: packets pass as they came, on one unbroken stream for each listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from media.protocol import CloseLeg, MediaStarted, Quality, QueryLeg
from tests.media.conftest import PCMA, Bench
from tests.media.phone import Phone, RtpPacket, share


def assert_continuous(packets: list[RtpPacket]) -> None:
    """One SSRC, no hole in the sequence numbers, timestamps that only go forward."""
    assert len({packet.ssrc for packet in packets}) == 1
    for before, after in zip(packets, packets[1:], strict=False):
        assert (after.seq - before.seq) & 0xFFFF == 1
        assert 0 <= (after.ts - before.ts) & 0xFFFFFFFF < 80000


async def test_two_parties_hear_each_other_and_only_each_other(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.6), agent.talk(0.6))
    assert share(caller.heard(), 700) > 0.95
    assert share(agent.heard(), 400) > 0.95
    assert_continuous(caller.packets)
    assert caller.packets[0].marker
    started = {event.leg: event.port for event in bench.seen(MediaStarted)}
    assert started == {"a": caller.port, "b": agent.port}


async def test_law_is_translated_without_a_buffer(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700, "PCMA")
    await bench.leg("a", caller)
    await bench.leg("b", agent, codecs=(PCMA,))
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.4), agent.talk(0.4))
    assert share(agent.heard(), 400) > 0.95
    assert share(caller.heard(), 700) > 0.95
    assert len(agent.packets) >= 19


async def test_the_stream_goes_on_when_the_source_changes(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, first, second = await phones(400), await phones(700), await phones(1000)
    for name, phone in (("a", caller), ("b", first), ("c", second)):
        await bench.leg(name, phone)
    await bench.join("one", ("a", "b"))
    await asyncio.gather(caller.talk(0.4), first.talk(0.4), second.talk(0.4))
    await bench.join("one", ("a", "c"))
    await asyncio.gather(caller.talk(0.4), first.talk(0.4), second.talk(0.4))
    packets = caller.packets
    assert_continuous(packets)
    assert share(caller.heard(0.25), 1000) > 0.95
    assert share(caller.heard()[:2000], 700) > 0.95
    markers = [index for index, packet in enumerate(packets) if packet.marker]
    assert len(markers) == 2 and markers[0] == 0
    # The time line is that of the wall clock: 0.8 s of audio and whatever the switch took.
    span = (packets[-1].ts - packets[0].ts) / 8000
    assert abs(span - (packets[-1].arrival - packets[0].arrival)) < 0.2


async def test_loss_upstream_stays_visible(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await caller.talk(0.1)
    caller.seq += 3
    caller.ts += 3 * 160
    await caller.talk(0.1)
    await asyncio.sleep(0.05)
    steps = [(y.seq - x.seq) & 0xFFFF for x, y in zip(agent.packets, agent.packets[1:], strict=False)]
    assert sorted(steps)[-1] == 4 and steps.count(1) == len(steps) - 1
    report = await bench.do(QueryLeg, leg="a")
    assert report.stats.lost == 3
    assert report.stats.packets_received == 10


async def test_hold_silences_both_and_retrieve_restores(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    await bench.join("talk")
    await asyncio.sleep(0.02)
    before = len(caller.packets), len(agent.packets)
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    assert (len(caller.packets), len(agent.packets)) == before
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    assert share(caller.heard(0.15), 700) > 0.95


async def test_a_closed_leg_reports_for_the_last_time(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller)
    await caller.talk(0.1)
    await asyncio.sleep(0.02)
    await bench.do(CloseLeg, leg="a")
    event = await bench.wait(Quality)
    assert event.final and event.stats.leg == "a" and event.stats.packets_received == 5
