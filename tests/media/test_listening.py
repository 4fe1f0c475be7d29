"""Utterances cut out of a caller's audio: what is delivered is what was said, whole, once, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from media import g711
from media.control.listening import Endpointer
from media.control.server import Backlog
from media.dsp.level import to_int16
from media.prompts.speech import Speaker
from media.protocol import (
    Codec,
    ConfigureLeg,
    Play,
    PlayFinished,
    SpeechStarted,
    StartListening,
    StopListening,
    Tone,
    UtteranceHeard,
)
from tests.media.conftest import PCMU, Bench
from tests.media.phone import Phone
from tools import listen

Samples = NDArray[np.int16]
L16 = Codec(name="L16", payload_type=96, clock_rate=16000)


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


def word(speaker: Speaker, text: str, rate: int = 8000) -> Samples:
    clip = speaker.speak(text, "en")
    return to_int16(soxr.resample(clip.audio, clip.rate, rate))


async def say(phone: Phone, samples: Samples, quiet_ms: int = 1400) -> None:
    """Speak at the pace of a telephone, with silence before and after."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    audio = np.concatenate([np.zeros(8 * 300, np.int16), samples, np.zeros(8 * quiet_ms, np.int16)])
    for count, at in enumerate(range(0, len(audio) - 159, 160)):
        phone.send(0, g711.encode_ulaw(audio[at : at + 160]))
        phone.ts += 160
        await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))


def fits(heard: bytes, said: Samples, rate: int = 8000) -> bool:
    return listen.likeness(np.frombuffer(heard, "<i2"), said, rate) > 0.9


async def test_an_utterance_is_delivered_whole(bench: Bench, phones: Callable[..., Any], speaker: Speaker) -> None:
    phone = await phones()
    await bench.leg("a", phone)
    await bench.do(StartListening, leg="a", listening="menu-1")
    said = word(speaker, "operator")
    await say(phone, said)
    heard = await bench.wait(UtteranceHeard)
    assert (heard.leg, heard.listening, heard.reason, heard.rate) == ("a", "menu-1", "pause", 8000)
    assert fits(heard.samples, said)
    milliseconds = len(heard.samples) // 16
    assert len(said) // 8 + 400 <= milliseconds <= len(said) // 8 + 1800
    assert bench.events.index(bench.seen(SpeechStarted)[0]) < bench.events.index(heard)
    # It is over: what comes now is nobody's business.
    await say(phone, said, quiet_ms=1000)
    assert len(bench.seen(SpeechStarted)) == 1


async def test_speech_ends_a_prompt_while_it_is_listened_to(
    bench: Bench, phones: Callable[..., Any], speaker: Speaker
) -> None:
    phone = await phones()
    await bench.leg("a", phone)
    await bench.do(Play, leg="a", player="p", items=(Tone(spec="440/20000", duration_ms=20000),), stop_on_speech=True)
    await bench.do(StartListening, leg="a", listening="l")
    said = word(speaker, "sales")
    await say(phone, said)
    assert (await bench.wait(PlayFinished)).reason == "speech"
    assert fits((await bench.wait(UtteranceHeard)).samples, said)


async def test_one_who_talks_on_is_cut_off(bench: Bench, phones: Callable[..., Any], speaker: Speaker) -> None:
    phone = await phones()
    await bench.leg("a", phone)
    await bench.do(StartListening, leg="a", listening="l", max_ms=1000)
    await say(phone, word(speaker, "one two three four five six seven eight nine"), quiet_ms=200)
    heard = await bench.wait(UtteranceHeard)
    assert heard.reason == "too_long"
    assert 1000 <= len(heard.samples) // 16 <= 1800


async def test_listening_that_was_stopped_says_nothing(
    bench: Bench, phones: Callable[..., Any], speaker: Speaker
) -> None:
    phone = await phones()
    await bench.leg("a", phone)
    await bench.do(StartListening, leg="a", listening="l")
    await bench.do(StopListening, leg="a", listening="another")
    await bench.do(StopListening, leg="a", listening="l")
    await bench.do(StopListening, leg="a", listening="l")
    await say(phone, word(speaker, "sales"), quiet_ms=1000)
    assert not bench.seen(UtteranceHeard) and not bench.seen(SpeechStarted)


async def test_wideband_callers_are_delivered_wide(bench: Bench, phones: Callable[..., Any], speaker: Speaker) -> None:
    """The codec changes while it is listened for: the utterance comes at the new rate."""
    phone = await phones()
    await bench.leg("a", phone)
    await bench.do(StartListening, leg="a", listening="l")
    await bench.do(ConfigureLeg, leg="a", remote_address="127.0.0.1", remote_port=phone.port, codecs=(L16, PCMU))
    said = word(speaker, "operator", 16000)
    audio = np.concatenate([np.zeros(4800, np.int16), said, np.zeros(24000, np.int16)])
    loop = asyncio.get_running_loop()
    start = loop.time()
    for count, at in enumerate(range(0, len(audio) - 319, 320)):
        phone.send(96, audio[at : at + 320].astype(">i2").tobytes())
        phone.ts += 320
        await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))
    heard = await bench.wait(UtteranceHeard)
    assert heard.rate == 16000
    assert fits(heard.samples, said, 16000)


def test_an_absent_call_control_gets_no_old_audio() -> None:
    backlog = Backlog()
    backlog.keep(UtteranceHeard(leg="a", listening="l", reason="pause", rate=8000, samples=b"\1\0" * 8000))
    assert backlog.take() == [UtteranceHeard(leg="a", listening="l", reason="missed", rate=8000, samples=b"")]


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    ends = Endpointer(8000, 800, 15000)
    frame = b"\0\0" * 800
    for _ in range(10):
        assert ends.add(frame) is None
    ends.talk(True, 8000)
    for _ in range(5):
        assert ends.add(frame) is None
    ends.talk(False, 12000)
    assert ends.add(frame) is None
    ends.talk(True, 12800)
    assert ends.add(frame) is None
    ends.talk(False, 13600)
    assert [ends.add(frame) for _ in range(4)] == [None, None, None, "pause"]


def test_before_speech_only_the_pre_roll_is_kept() -> None:
    ends = Endpointer(8000, 800, 15000)
    for _ in range(100):
        ends.add(b"\0\0" * 800)
    assert len(ends.samples) == 4000 * 2 and not ends.speaking


def test_somebody_who_speaks_already_is_heard_from_the_start() -> None:
    ends = Endpointer(8000, 100, 1000, talking=True)
    assert ends.speaking
    assert [ends.add(b"\0\0" * 800) for _ in range(10)][-2:] == [None, "too_long"]
