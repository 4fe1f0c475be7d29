"""Who hears whom when more than one is heard: judged by each listener's spectrum."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from media.protocol import CloseLeg, SetBridge
from tests.media.conftest import PCMA, PCMU, Bench
from tests.media.phone import Phone, share


async def dial(bench: Bench, phones: Callable[..., Any], *tones: float) -> list[Phone]:
    made = []
    for index, hz in enumerate(tones):
        phone = await phones(hz, "PCMA" if index % 2 else "PCMU")
        await bench.leg("abcdefghij"[index], phone, codecs=(PCMA,) if index % 2 else (PCMU,))
        made.append(phone)
    return made


async def talk(phones: list[Phone], seconds: float) -> None:
    await asyncio.gather(*(phone.talk(seconds) for phone in phones))


async def test_conference_each_hears_all_but_itself(bench: Bench, phones: Callable[..., Any]) -> None:
    tones = (400.0, 650.0, 900.0, 1150.0)
    parties = await dial(bench, phones, *tones)
    names = "abcd"
    await bench.join("conf", *((x, y) for x in names for y in names if x != y))
    await talk(parties, 0.8)
    for own, phone in zip(tones, parties, strict=True):
        heard = phone.heard(0.5)
        assert share(heard, own) < 0.01
        for other in tones:
            if other != own:
                assert 0.25 < share(heard, other) < 0.42


async def test_silent_monitoring_whisper_and_barge(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent, boss = await dial(bench, phones, 400.0, 700.0, 1000.0)
    monitor = (("a", "b"), ("b", "a"), ("c", "a"), ("c", "b"))
    await bench.join("call", *monitor)
    await talk([caller, agent, boss], 0.5)
    assert share(boss.heard(0.3), 400) > 0.4 and share(boss.heard(0.3), 700) > 0.4
    assert share(caller.heard(0.3), 1000) < 0.01 and share(agent.heard(0.3), 1000) < 0.01

    await bench.join("call", *monitor, ("b", "c"))
    await talk([caller, agent, boss], 0.5)
    assert share(agent.heard(0.3), 1000) > 0.4 and share(agent.heard(0.3), 400) > 0.4
    assert share(caller.heard(0.3), 1000) < 0.01

    await bench.join("call", *monitor, ("b", "c"), ("a", "c"))
    await talk([caller, agent, boss], 0.5)
    assert share(caller.heard(0.3), 1000) > 0.4 and share(caller.heard(0.3), 700) > 0.4


async def test_gain_of_a_pair(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await dial(bench, phones, 400.0, 700.0)
    await bench.join("call", ("a", "b", -12.0), ("b", "a"))
    await talk([caller, agent], 0.6)
    level = float(np.sqrt(np.mean(caller.heard(0.3).astype(float) ** 2)))
    full = 8000 / np.sqrt(2)
    assert abs(20 * np.log10(level / full) + 12.0) < 0.5


async def test_from_relay_to_mix_and_back_on_one_stream(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent, third = await dial(bench, phones, 400.0, 700.0, 1000.0)
    await bench.join("call", ("a", "b"), ("b", "a"))
    await talk([caller, agent, third], 0.4)
    await bench.join("call", ("a", "b"), ("b", "a"), ("a", "c"))
    await talk([caller, agent, third], 0.5)
    assert share(caller.heard(0.2), 1000) > 0.4
    await bench.join("call", ("a", "b"), ("b", "a"))
    await talk([caller, agent, third], 0.4)
    assert share(caller.heard(0.2), 700) > 0.95
    packets = caller.packets
    assert len({packet.ssrc for packet in packets}) == 1
    assert {(y.seq - x.seq) & 0xFFFF for x, y in zip(packets, packets[1:], strict=False)} == {1}
    span = (packets[-1].ts - packets[0].ts) / 8000
    assert abs(span - (packets[-1].arrival - packets[0].arrival)) < 0.2
    # Not more than two ticks are missing at each change.
    steps = [(y.ts - x.ts) & 0xFFFFFFFF for x, y in zip(packets, packets[1:], strict=False)]
    assert max(steps) <= 3 * 160 + 80


async def test_a_leg_that_closes_leaves_the_mix(bench: Bench, phones: Callable[..., Any]) -> None:
    parties = await dial(bench, phones, 400.0, 700.0, 1000.0)
    await bench.join("conf", *((x, y) for x in "abc" for y in "abc" if x != y))
    await talk(parties, 0.3)
    await bench.do(CloseLeg, leg="c")
    await talk(parties[:2], 0.5)
    assert share(parties[0].heard(0.2), 700) > 0.95
    await bench.do(SetBridge, bridge="conf", matrix=())
    await talk(parties[:2], 0.1)


async def test_thirty_in_a_conference(bench: Bench, phones: Callable[..., Any]) -> None:
    names = [f"p{index}" for index in range(30)]
    tones = [300.0 + 100 * index for index in range(30)]
    parties = [await phones(hz) for hz in tones]
    for name, phone in zip(names, parties, strict=True):
        phone.level = 900.0
        await bench.leg(name, phone)
    await bench.join("conf", *((x, y) for x in names for y in names if x != y))
    await talk(parties, 0.8)
    for index in (0, 13, 29):
        # 0.4 s is a whole number of periods of every tone: each is a line of the spectrum.
        heard = parties[index].heard(0.4).astype(float)
        spectrum = np.abs(np.fft.rfft(heard)) / len(heard) * 2
        lines = np.array([spectrum[round(hz * 0.4)] for hz in tones])
        assert lines[index] < 150
        others = np.delete(lines, index)
        assert others.min() > 500


async def test_comfort_noise_fills_a_pause(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent, third = await phones(400), await phones(700), await phones(1000)
    for name, phone in (("a", caller), ("b", agent), ("c", third)):
        await bench.leg(name, phone, cn_payload_type=13)
    await bench.join("call", ("a", "b"), ("a", "c"), ("c", "b"))
    await agent.talk(0.3)
    # Noise of -40 dBov from now on; no audio.
    agent.send(13, bytes([40]))
    await asyncio.sleep(0.5)
    noise = caller.heard(0.3).astype(float)
    level = 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32768)
    assert -46 < level < -34
    # The relayed listener gets the description itself.
    assert [packet.payload for packet in third.audio(13)] == [bytes([40])]
    agent.ts += 4000
    await agent.talk(0.3)
    assert share(caller.heard(0.15), 700) > 0.95
