"""When legs have their turn: prompts in slots of their own, what such legs send meanwhile, lateness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from media.client import GatewayClient
from media.engine.pace import LATENESS_BOUNDS_US
from media.gateway import Gateway
from media.protocol import CloseLeg, LegReport, Play, PlayFinished, QueryLeg, StopPlay, TickLateness, Tone
from tests.media.conftest import Bench, free_range, make_options
from tests.media.phone import Phone, share

LONG = (Tone(spec="500/20000", duration_ms=20000),)


async def test_no_packet_is_lost_when_prompts_come_and_go(bench: Bench, phones: Callable[..., Any]) -> None:
    """While a leg hears a prompt its socket is read in its slot, else at once, and it may be bridged in between."""
    phone: Phone = await phones(400)
    other: Phone = await phones(700)
    await bench.leg("a", phone)
    await bench.leg("b", other)
    talking = asyncio.create_task(phone.talk(3.0))
    for count in range(10):
        await bench.do(Play, leg="a", player=f"p{count}", items=LONG)
        await asyncio.sleep(0.11)
        # Bursts, as after a stall of the network.
        for _ in range(count % 4):
            phone.send(0, phone.next_frame())
            phone.ts += 160
        if count % 3 == 0:
            await bench.join("room", ("b", "a"), ("a", "b"))
            await asyncio.sleep(0.05)
            await bench.join("room")
        await bench.do(StopPlay, leg="a", player=f"p{count}")
        await asyncio.sleep(0.03)
    await talking
    sent = phone.seq - (1000 + 400 % 100)

    async def counted() -> int:
        report: LegReport = await bench.do(QueryLeg, leg="a")
        return report.stats.packets_received

    for _ in range(100):
        if await counted() == sent:
            break
        await asyncio.sleep(0.05)
    report: LegReport = await bench.do(QueryLeg, leg="a")
    assert (report.stats.packets_received, report.stats.lost, report.stats.duplicates) == (sent, 0, 0)
    assert share(other.heard(), 400) > 0.9


async def test_jitter_is_that_of_arrival_while_a_prompt_plays(bench: Bench, phones: Callable[..., Any]) -> None:
    """Read every 20 ms, but counted when they came: half of the packets are 10 ms late, so jitter is about 10 ms."""
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=LONG)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for count in range(150):
        late = 0.010 if count % 2 else 0.0
        await asyncio.sleep(max(0.0, start + count * 0.02 + late - loop.time()))
        phone.send(0, phone.next_frame())
        phone.ts += 160
    report: LegReport = await bench.do(QueryLeg, leg="a")
    assert report.stats.packets_received >= 148
    # On a slow machine it may be more; read without the time of arrival it would be 0 or 20.
    assert 7.0 < report.stats.jitter_ms < 19.0


async def test_prompts_of_many_legs_are_spread_and_steady(tmp_path: Path, phones: Callable[..., Any]) -> None:
    """Ninety prompts do not leave as one burst; every one keeps its pace and is heard whole."""
    legs = 90
    listeners: list[Phone] = [await phones(400) for _ in range(legs)]
    first, last = free_range(2 * legs + 20)
    options = make_options(tmp_path, first_port=first, last_port=last)
    gateway = Gateway(options)
    gateway.engine.slot_legs = 64
    await gateway.start()
    made: list[Bench] = []
    client = await GatewayClient.connect(options.control, on_event=lambda event: made[0].take(event))
    bench = Bench(client, tmp_path)
    made.append(bench)
    try:
        for index, phone in enumerate(listeners):
            await bench.leg(f"l{index}", phone)
        items = (Tone(spec="500/1000", duration_ms=1000),)
        await asyncio.gather(
            *(bench.do(Play, leg=f"l{index}", player=f"p{index}", items=items) for index in range(legs))
        )
        await bench.wait(PlayFinished, legs)
        await asyncio.sleep(0.05)
        for phone in listeners:
            assert len(phone.packets) == 50
            assert {y.ts - x.ts for x, y in zip(phone.packets, phone.packets[1:], strict=False)} <= {160, 160 - 2**32}
            assert share(phone.heard(), 500) > 0.95
        # Two slots, ten milliseconds apart: the middle arrivals of the two groups differ by about so much.
        phases = np.array([np.median([(p.arrival * 1000) % 20 for p in phone.packets]) for phone in listeners])
        apart = abs(np.median(phases[:64]) - np.median(phases[64:]))
        assert 4.0 < min(apart, 20 - apart)
        counts, beyond, total = gateway.engine.lateness()
        assert len(counts) == len(LATENESS_BOUNDS_US) and min(counts) >= 0
        # A tick every 20 ms, and the slots beside them.
        assert sum(counts) + beyond > 100 and total > 0
    finally:
        client.close()
        await client.wait_closed()
        await gateway.stop()


async def test_lateness_is_told_every_second(bench: Bench) -> None:
    """Ticks counted from the start: 50 a second, none twice."""
    first = await bench.wait(TickLateness)
    second = await bench.wait(TickLateness, 2)
    before, after = (sum(event.counts) + event.beyond for event in (first, second))
    assert first.bounds_us == LATENESS_BOUNDS_US and len(first.counts) == len(first.bounds_us)
    # As many as the time between the two events has ticks; a slow machine may be between them for longer.
    assert 40 <= after - before <= 500
    assert second.total_s >= first.total_s >= 0


async def test_a_slot_is_given_back(bench: Bench, phones: Callable[..., Any]) -> None:
    """Legs that come and go with their prompts leave the others undisturbed."""
    stay: Phone = await phones(400)
    await bench.leg("stay", stay)
    await bench.do(Play, leg="stay", player="stay", items=(Tone(spec="500/1500", duration_ms=1500),))
    for count in range(30):
        await bench.leg(f"x{count}", await phones(400))
        await bench.do(Play, leg=f"x{count}", player=f"x{count}", items=LONG)
        if count >= 3:
            await bench.do(CloseLeg, leg=f"x{count - 3}")
    for count in range(1, 32):
        if (await bench.wait(PlayFinished, count)).player == "stay":
            break
    await asyncio.sleep(0.05)
    assert len(stay.packets) == 75
    assert share(stay.heard(), 500) > 0.95
