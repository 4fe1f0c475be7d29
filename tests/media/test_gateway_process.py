"""The gateway as a process of its own: call control may die, the gateway may die; recordings survive both."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from media.client import CommandRefused, GatewayClient
from media.protocol import (
    CloseAll,
    DigitReceived,
    PlayFinished,
    RecordingCompleted,
    RecordingFailed,
    Snapshot,
    StartRecording,
    TakeSnapshot,
)
from tests.media.conftest import Bench, free_range
from tests.media.phone import Phone, share


class Process:
    """A gateway started as an administrator would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = f"unix:{folder}/gw.sock"
        self.ports = free_range()
        self.child: asyncio.subprocess.Process

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media.gateway",
            f"--control={self.target}",
            f"--rtp={self.ports[0]}-{self.ports[1]}",
            f"--recordings={self.folder}/rec",
            f"--cache={self.folder}/cache",
            "--log-format=json",
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.child.stderr is not None
        while line := await asyncio.wait_for(self.child.stderr.readline(), 20):
            if json.loads(line)["event"] == "media gateway listens":
                return
        raise AssertionError("the gateway did not start")

    async def connect(self) -> Bench:
        made: list[Bench] = []
        early: list[Any] = []
        client = await GatewayClient.connect(
            self.target, on_event=lambda event: made[0].take(event) if made else early.append(event)
        )
        made.append(Bench(client, self.folder))
        for event in early:
            made[0].take(event)
        return made[0]

    async def end(self, how: int = signal.SIGTERM) -> int:
        if self.child.returncode is None:
            self.child.send_signal(how)
        return await asyncio.wait_for(self.child.wait(), 10)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path)
    await process.start()
    yield process
    await process.end(signal.SIGKILL)


async def test_call_control_comes_back_to_everything_it_had(process: Process, phones: Callable[..., Any]) -> None:
    first = await process.connect()
    caller, agent = await phones(400), await phones(700)
    await first.leg("a", caller)
    await first.leg("b", agent)
    await first.join("talk", ("a", "b"), ("b", "a"))
    await first.do(StartRecording, recording="r", leg="a", path="r.wav")
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    first.client.close()
    await first.client.wait_closed()

    count = len(caller.packets)
    await asyncio.gather(caller.talk(0.3), agent.talk(0.3))
    assert len(caller.packets) >= count + 14
    caller.press(6)
    await caller.talk(0.04)

    second = await process.connect()
    assert first.client.welcome is not None and second.client.welcome is not None
    assert second.client.welcome.gateway == first.client.welcome.gateway
    assert second.client.welcome.legs == 2
    assert (await second.wait(DigitReceived)).digit == "6"
    snapshot: Snapshot = await second.do(TakeSnapshot)
    assert {leg.leg for leg in snapshot.legs} == {"a", "b"}
    assert {leg.port for leg in snapshot.legs} == set(first.ports.values())
    assert snapshot.bridges[0].bridge == "talk" and len(snapshot.bridges[0].matrix) == 2
    assert snapshot.recordings[0].recording == "r"
    await second.do(CloseAll, keep=("b",))
    done = await second.wait(RecordingCompleted)
    assert done.duration_ms >= 500
    assert [leg.leg for leg in (await second.do(TakeSnapshot)).legs] == ["b"]
    second.client.close()


async def test_a_killed_gateway_leaves_a_playable_recording_and_the_next_one_finishes_it(
    process: Process, phones: Callable[..., Any]
) -> None:
    bench = await process.connect()
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await bench.do(StartRecording, recording="r", leg="a", path="r.wav", metadata={"queue": "sales"})
    await asyncio.gather(caller.talk(2.1), agent.talk(2.1))
    await process.end(signal.SIGKILL)
    part = process.folder / "rec/.r.wav.part"
    samples, _ = soundfile.read(part, dtype="int16")
    assert len(samples) > 8000 and share(samples[800:8000, 0], 400) > 0.95

    await process.start()
    again = await process.connect()
    done = await again.wait(RecordingCompleted)
    assert done.path.endswith("rec/r.wav") and done.recording == "r"
    final = process.folder / "rec/r.wav"
    assert abs(done.duration_ms - len(samples) / 8) < 2
    sidecar = json.loads((process.folder / "rec/r.wav.json").read_text())
    assert sidecar["recovered"] is True and sidecar["metadata"] == {"queue": "sales"}
    assert soundfile.info(final).frames == len(samples)
    assert not part.exists()
    again.client.close()


async def test_a_full_disk_ends_the_recording_and_not_the_call(process: Process, phones: Callable[..., Any]) -> None:
    bench = await process.connect()
    caller, agent = await phones(400), await phones(700)
    await bench.leg("a", caller)
    await bench.leg("b", agent)
    await bench.join("talk", ("a", "b"), ("b", "a"))
    await bench.do(StartRecording, recording="r", leg="a", path="r.wav")
    # No file of the gateway may grow beyond this: the kernel refuses the second block.
    resource.prlimit(process.child.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
    await asyncio.gather(caller.talk(2.2), agent.talk(2.2))
    failed = await bench.wait(RecordingFailed)
    assert failed.kept and failed.recording == "r"
    count = len(caller.packets)
    await asyncio.gather(caller.talk(0.2), agent.talk(0.2))
    assert len(caller.packets) >= count + 9
    assert share(soundfile.read(process.folder / "rec/r.wav", dtype="int16")[0][800:8000, 0], 400) > 0.95
    bench.client.close()


async def test_sigterm_finishes_recordings(process: Process, phones: Callable[..., Any]) -> None:
    bench = await process.connect()
    caller: Phone = await phones(400)
    await bench.leg("a", caller)
    await bench.do(StartRecording, recording="r", leg="a", path="r.wav")
    await caller.talk(0.3)
    assert await process.end() == 0
    assert soundfile.info(process.folder / "rec/r.wav").frames > 2000
    assert os.listdir(process.folder / "rec") and not (process.folder / "rec/.r.wav.part").exists()
    assert not bench.seen(PlayFinished)


async def test_the_newest_connection_is_the_living_one(process: Process) -> None:
    first = await process.connect()
    second = await process.connect()
    await asyncio.wait_for(first.client.wait_closed(), 5)
    assert (await second.do(TakeSnapshot)).legs == ()
    second.client.close()


async def test_unknown_objects_are_refused_and_change_nothing(process: Process) -> None:
    bench = await process.connect()
    with pytest.raises(CommandRefused) as refused:
        await bench.do(StartRecording, recording="r", leg="x", path="r.wav")
    assert refused.value.refusal.code == "unknown"
    with pytest.raises(CommandRefused) as refused:
        await bench.join("talk", ("x", "y"))
    assert refused.value.refusal.code == "unknown"
    assert (await bench.do(TakeSnapshot)).bridges == ()
    bench.client.close()
