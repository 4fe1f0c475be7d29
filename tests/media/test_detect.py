"""What a gateway says about who or what answered: fax, call progress and answering machines on real legs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media import g711, tones
from media.prompts.store import PromptStore
from media.protocol import Detected, Speech
from tests.media.conftest import Bench
from tests.media.phone import Phone

Samples = NDArray[np.int16]


async def speak(phone: Phone, samples: Samples) -> None:
    """Send samples at the pace of a telephone."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for count, at in enumerate(range(0, len(samples) - 159, 160)):
        phone.send(0, g711.encode_ulaw(samples[at : at + 160]))
        phone.ts += 160
        await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))


def silence(ms: int) -> Samples:
    return np.zeros(8 * ms, np.int16)


def tone(name: str, country: str, ms: int) -> Samples:
    return tones.render_steps(tones.find_tone(name, country), 8000, duration_ms=ms)


async def test_what_answered_is_told(bench: Bench, phones: Callable[..., Any], tmp_path: Path) -> None:
    store = PromptStore(tmp_path / "words")
    hello = store.samples(Speech(text="Hello?"), 8000)
    announcement = "You have reached Anna. I cannot take your call. Please leave a message."
    greeting = store.samples(Speech(text=announcement), 8000)
    store.close()
    calls = {
        "human": ("answering_machine", np.concatenate([silence(200), hello, silence(1500)])),
        "machine": (
            "answering_machine",
            np.concatenate([silence(200), greeting, silence(300), tone("beep", "us", 400), silence(500)]),
        ),
        "fax": ("fax", tone("cng", "us", 1000)),
        "busy": ("progress", tone("busy", "cn", 2500)),
        "ringing": ("progress", tone("ringback", "cn", 3000)),
        "wrong": ("progress", tone("sit", "us", 1500)),
    }
    lines = {}
    for name, (detect, _) in calls.items():
        lines[name] = await phones()
        await bench.leg(name, lines[name], detect=(detect,))
    await asyncio.gather(*(speak(lines[name], samples) for name, (_, samples) in calls.items()))
    await bench.wait(Detected, count=7, timeout_s=8)
    told: dict[str, list[str]] = {}
    for event in bench.seen(Detected):
        told.setdefault(event.leg, []).append(event.what)
    assert told == {
        "human": ["human"],
        "machine": ["machine", "beep"],
        "fax": ["cng"],
        "busy": ["busy"],
        "ringing": ["ringback"],
        "wrong": ["sit"],
    }
