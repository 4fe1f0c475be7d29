"""Players: content, queueing, ending, stopping on a digit, playing over a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from media.protocol import (
    CloseLeg,
    ControlPlay,
    DigitReceived,
    File,
    Music,
    Play,
    PlayFinished,
    Silence,
    StopPlay,
    Tone,
)
from tests.media.conftest import PCMA, Bench
from tests.media.phone import Phone, share, tone


def beep(hz: float, ms: int) -> Tone:
    return Tone(spec=f"{hz:.0f}/{ms}", duration_ms=ms)


def music_folder(parent: Path) -> Path:
    folder = parent / "moh"
    folder.mkdir()
    soundfile.write(folder / "a.wav", tone(500, 0.21, 8000), 8000)
    return folder


async def test_a_queue_of_items_has_no_gap(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(beep(500, 210), beep(800, 190), beep(500, 100)))
    done = await bench.wait(PlayFinished)
    assert (done.reason, done.player, done.played_ms) == ("completed", "p", 500)
    await asyncio.sleep(0.03)
    heard = phone.heard()
    assert len(heard) == 4000
    assert share(heard[160:1600], 500) > 0.95
    assert share(heard[1760:3120], 800) > 0.95
    steps = {(y.ts - x.ts) & 0xFFFFFFFF for x, y in zip(phone.packets, phone.packets[1:], strict=False)}
    assert steps == {160}
    assert [packet.marker for packet in phone.packets] == [True] + [False] * 24


async def test_a_file_is_played_from_an_offset(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400, "PCMA")
    samples = np.concatenate([tone(600, 0.5, 16000), tone(900, 0.5, 16000)])
    soundfile.write(bench.folder / "two.wav", samples, 16000)
    await bench.leg("a", phone, codecs=(PCMA,))
    await bench.do(Play, leg="a", player="p", items=(File(path="two.wav", offset_ms=500),))
    await bench.wait(PlayFinished)
    await asyncio.sleep(0.03)
    assert 3900 <= len(phone.heard()) <= 4160
    assert share(phone.heard(), 900) > 0.95


async def test_a_digit_stops_the_player_within_a_tick(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(beep(500, 5000),), stop_on_digits="12")
    await phone.talk(0.2)
    phone.press(3)
    await phone.talk(0.1)
    assert not bench.seen(PlayFinished)
    phone.press(2)
    done = await bench.wait(PlayFinished)
    count = len(phone.packets)
    assert done.reason == "digit"
    order = [type(event) for event in bench.events if isinstance(event, DigitReceived | PlayFinished)]
    assert order == [DigitReceived, DigitReceived, PlayFinished]
    await phone.talk(0.1)
    assert len(phone.packets) <= count + 1


async def test_play_replaces_and_enqueue_waits(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="one", items=(beep(500, 3000),))
    await phone.talk(0.2)
    await bench.do(Play, leg="a", player="two", items=(beep(800, 200),))
    await bench.do(Play, leg="a", player="three", items=(beep(1100, 200),), enqueue=True)
    await bench.wait(PlayFinished, 3)
    assert [(event.player, event.reason) for event in bench.seen(PlayFinished)] == [
        ("one", "replaced"),
        ("two", "completed"),
        ("three", "completed"),
    ]
    await asyncio.sleep(0.03)
    assert share(phone.heard()[-1440:], 1100) > 0.95
    assert share(phone.heard()[-3040:-1760], 800) > 0.95


async def test_stop_pause_and_volume(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(beep(500, 100),), loop=True)
    await phone.talk(0.2)
    await bench.do(ControlPlay, leg="a", player="p", pause=True)
    await asyncio.sleep(0.03)
    count = len(phone.packets)
    await phone.talk(0.1)
    assert len(phone.packets) == count
    await bench.do(ControlPlay, leg="a", player="p", pause=False, gain_db=-20.0)
    loud = np.abs(phone.heard()).max()
    await phone.talk(0.2)
    assert 0.08 < np.abs(phone.heard(0.1)).max() / loud < 0.13
    await bench.do(StopPlay, leg="a")
    done = await bench.wait(PlayFinished)
    assert done.reason == "stopped"


async def test_music_over_the_conversation(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    await bench.do(Play, leg="a", player="p", items=(beep(1000, 400),), mix=True)
    await asyncio.gather(caller.talk(0.4), agent.talk(0.4))
    during = caller.heard(0.2)
    assert share(during, 700) > 0.2 and share(during, 1000) > 0.1
    assert share(agent.heard(0.2), 1000) < 0.01
    await bench.wait(PlayFinished)
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    assert share(caller.heard(0.2), 700) > 0.95
    assert {(y.seq - x.seq) & 0xFFFF for x, y in zip(caller.packets, caller.packets[1:], strict=False)} == {1}


async def test_hold_music_is_endless(bench: Bench, phones: Callable[..., Any]) -> None:
    folder = music_folder(bench.folder)
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(Music(folder=str(folder)),))
    for _ in range(100):
        if phone.packets:
            break
        await asyncio.sleep(0.02)
    await phone.talk(0.6)
    assert len(phone.packets) >= 29
    assert not bench.seen(PlayFinished)
    await bench.do(CloseLeg, leg="a")
    assert (await bench.wait(PlayFinished)).reason == "closed"


async def test_what_cannot_be_played_says_so(bench: Bench, phones: Callable[..., Any]) -> None:
    phone: Phone = await phones(400)
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(Silence(duration_ms=20), File(path="not-there.wav")))
    done = await bench.wait(PlayFinished)
    assert done.reason == "failed" and "not-there.wav" in done.detail


async def test_one_copy_for_all_callers(bench: Bench, phones: Callable[..., Any]) -> None:
    callers = [await phones(300.0 + index) for index in range(10)]
    for index, phone in enumerate(callers):
        await bench.leg(f"l{index}", phone)
        await bench.do(Play, leg=f"l{index}", player=f"p{index}", items=(beep(500, 300),))
    await bench.wait(PlayFinished, 10)
    await asyncio.sleep(0.03)
    assert len({b"".join(packet.payload for packet in phone.packets) for phone in callers}) == 1
