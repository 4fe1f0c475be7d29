"""Recordings by content: who is on which channel, when; crash, pause, mask, segments."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from media.client import CommandRefused
from media.protocol import (
    CloseLeg,
    MarkRecording,
    PauseRecording,
    Play,
    RecordingCompleted,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    ResumeRecording,
    StartRecording,
    StopRecording,
    TakeSnapshot,
    Tone,
)
from tests.media.conftest import PCMA, Bench
from tests.media.phone import Phone, share


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sidecar_of(path: Path) -> Any:
    return json.loads(path.with_name(f"{path.name}.json").read_text())


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))


async def pair(bench: Bench, phones: Callable[..., Any]) -> tuple[Phone, Phone]:
    caller, agent = await phones(400), await phones(700, "PCMA")
    await bench.leg("a", caller)
    await bench.leg("b", agent, codecs=(PCMA,))
    await bench.join("talk", ("a", "b"), ("b", "a"))
    return caller, agent


async def test_what_is_played_to_the_leg_is_on_its_right_channel(bench: Bench, phones: Callable[..., Any]) -> None:
    """A prompt is part of everything the caller heard."""
    caller = await phones(400)
    await bench.leg("a", caller)
    await bench.do(StartRecording, recording="r", leg="a", path="prompt.wav")
    await bench.wait(RecordingStarted)
    await bench.do(Play, leg="a", player="p", items=(Tone(spec="1000/5000/0"),), loop=True)
    await caller.talk(1.0)
    await bench.do(StopRecording, recording="r")
    done = await bench.wait(RecordingCompleted)
    samples, _ = soundfile.read(done.path, dtype="int16")
    assert share(samples[2000:7000, 1], 1000) > 0.9
    assert share(samples[2000:7000, 0], 400) > 0.9


@pytest.mark.parametrize("form", ["pcm16", "pcmu", "pcma"])
async def test_two_voices_two_channels(bench: Bench, phones: Callable[..., Any], form: str) -> None:
    caller, agent = await pair(bench, phones)
    await bench.do(
        StartRecording, recording="r", leg="a", path="2026/call.wav", format=form, metadata={"caller": "100"}
    )
    started = await bench.wait(RecordingStarted)
    await asyncio.gather(caller.talk(1.2), agent.talk(1.2))
    snapshot = await bench.do(TakeSnapshot)
    assert [(r.recording, r.leg, r.state) for r in snapshot.recordings] == [("r", "a", "recording")]
    await bench.do(StopRecording, recording="r")
    done = await bench.wait(RecordingCompleted)
    path = Path(done.path)
    assert path == bench.folder / "recordings/2026/call.wav" == Path(started.path)
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000 and samples.shape[1] == 2
    assert abs(len(samples) / 8000 - 1.2) < 0.1 and abs(done.duration_ms - len(samples) / 8) <= 1
    assert share(samples[800:8800, 0], 400) > 0.95
    assert share(samples[800:8800, 1], 700) > 0.95
    assert done.sha256 == digest(path)
    sidecar = sidecar_of(path)
    assert sidecar["metadata"] == {"caller": "100"} and sidecar["sha256"] == done.sha256
    assert sidecar["duration_ms"] == done.duration_ms and sidecar["size_bytes"] == done.size_bytes
    # Two tones are not speech; what is told is what is kept.
    assert done.conversation is not None and done.conversation.talk_from_ms + done.conversation.silence_ms <= 1400
    assert sidecar["conversation"] == msgspec.to_builtins(done.conversation)
    assert leftovers(path.parent) == []


async def test_silence_where_nothing_came(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await pair(bench, phones)
    await bench.do(StartRecording, recording="r", leg="a", path="gap.wav")
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    await agent.talk(0.3)
    caller.ts += 2400
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    await bench.do(CloseLeg, leg="a")
    done = await bench.wait(RecordingCompleted)
    samples, _ = soundfile.read(done.path, dtype="int16")
    left = samples[:, 0]
    assert np.abs(left[2800:4400]).max() < 40
    assert share(left[5200:7000], 400) > 0.95
    assert share(samples[400:7000, 1], 700) > 0.95


async def test_pause_mask_and_segments(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await pair(bench, phones)
    await bench.do(StartRecording, recording="r", leg="a", path="mask.wav")
    await asyncio.gather(caller.talk(0.4), agent.talk(0.4))
    await bench.do(PauseRecording, recording="r", mask=True)
    await asyncio.gather(caller.talk(0.4), agent.talk(0.4))
    await bench.do(ResumeRecording, recording="r")
    await bench.do(MarkRecording, recording="r", metadata={"agent": "7"})
    await asyncio.gather(caller.talk(0.4), agent.talk(0.4))
    await bench.do(StopRecording, recording="r")
    done = await bench.wait(RecordingCompleted)
    paused, resumed = await bench.wait(RecordingPaused), await bench.wait(RecordingResumed)
    assert paused.masked and abs(resumed.offset_ms - paused.offset_ms - 400) < 60
    samples, _ = soundfile.read(done.path, dtype="int16")
    hidden = samples[paused.offset_ms * 8 + 8 : resumed.offset_ms * 8 - 8]
    assert np.abs(hidden).max() == 0
    assert share(samples[resumed.offset_ms * 8 + 400 :, 0][:2000], 400) > 0.95
    sidecar = sidecar_of(Path(done.path))
    assert [segment["metadata"] for segment in sidecar["segments"]] == [{}, {"agent": "7"}]
    assert abs(sidecar["segments"][1]["offset_ms"] - resumed.offset_ms) < 20


async def test_early_audio_does_not_reach_into_a_mask(bench: Bench, phones: Callable[..., Any]) -> None:
    caller: Phone = await phones(400)
    await bench.leg("a", caller)
    await bench.do(StartRecording, recording="r", leg="a", path="early.wav")
    # The first packet is the latest: all others are ahead of their arrival.
    await caller.talk(0.02)
    for _ in range(8):
        caller.send(0, caller.next_frame())
        caller.ts += 160
    await caller.talk(0.2)
    await bench.do(PauseRecording, recording="r", mask=True)
    await caller.talk(0.3)
    await bench.do(StopRecording, recording="r")
    done = await bench.wait(RecordingCompleted)
    paused = await bench.wait(RecordingPaused)
    samples, _ = soundfile.read(done.path, dtype="int16")
    assert np.abs(samples[: paused.offset_ms * 8, 0]).max() > 5000
    assert np.abs(samples[paused.offset_ms * 8 + 8 :]).max() == 0


async def test_the_file_is_whole_while_it_grows(bench: Bench, phones: Callable[..., Any]) -> None:
    caller, agent = await pair(bench, phones)
    await bench.do(StartRecording, recording="r", leg="a", path="grow.wav")
    await asyncio.gather(caller.talk(2.2), agent.talk(2.2))
    copy = bench.folder / "copy.wav"
    copy.write_bytes((bench.folder / "recordings/.grow.wav.part").read_bytes())
    samples, _ = soundfile.read(copy, dtype="int16")
    # At most a second behind, and the header says exactly what is there.
    assert len(samples) >= 1.2 * 8000
    assert share(samples[800:8800, 0], 400) > 0.95
    riff = copy.read_bytes()
    assert struct.unpack_from("<I", riff, 4)[0] == len(riff) - 8


async def test_recordings_stay_in_their_folder(bench: Bench, phones: Callable[..., Any]) -> None:
    await pair(bench, phones)
    for path in ("../x.wav", "/tmp/x.wav", "", "a/../../x.wav", ".hidden.wav", "x.json"):
        with pytest.raises(CommandRefused) as refused:
            await bench.do(StartRecording, recording="r", leg="a", path=path)
        assert refused.value.refusal.code == "invalid"
    await bench.do(StartRecording, recording="r", leg="a", path="x.wav")
    with pytest.raises(CommandRefused) as refused:
        await bench.do(StartRecording, recording="other", leg="b", path="x.wav")
    assert refused.value.refusal.code == "exists"
