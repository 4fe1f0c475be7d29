"""Recordings become smaller after their calls, and none is lost on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import wav
from media.archive import compress_recording
from pbx.adapters.archivist import Archivist
from pbx.events import catalogue as facts
from tools import listen


def record(path: Path, left: float = 440, right: float = 1000) -> Path:
    """A finished recording with its sidecar: a tone on each channel."""
    t = np.arange(8000 * 2) / 8000
    stereo = np.stack([9000 * np.sin(2 * np.pi * hz * t) for hz in (left, right)], axis=1)
    data = stereo.astype("<i2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav.build_header("pcm16", 2, 8000, len(data)) + data)
    sidecar = {"recording": f"rec-{path.stem}", "file": path.name, "sha256": wav.hash_file(path)}
    wav.write_sidecar(path, {**sidecar, "metadata": {"call": f"call-{path.stem}"}})
    return path


def completed(path: str) -> facts.RecordingCompleted:
    name = Path(path).stem
    return facts.RecordingCompleted(
        call=f"call-{name}", recording=f"rec-{name}", leg="l", path=path, duration_ms=1, size_bytes=1, sha256=""
    )


class Log:
    """What the archivist says."""

    def __init__(self) -> None:
        self.said: list[facts.RecordingArchived] = []
        self.news = asyncio.Event()

    def state(self, fact: facts.AnyEvent) -> None:
        assert isinstance(fact, facts.RecordingArchived)
        self.said.append(fact)
        self.news.set()

    async def wait(self, count: int) -> list[facts.RecordingArchived]:
        async with asyncio.timeout(60):
            while len(self.said) < count:
                self.news.clear()
                await self.news.wait()
        return self.said


@pytest.fixture
async def open_archivist() -> AsyncIterator[Callable[[], tuple[Archivist, Log]]]:
    opened: list[Archivist] = []

    def make() -> tuple[Archivist, Log]:
        log = Log()
        opened.append(Archivist(state=log.state))
        return opened[-1], log

    yield make
    for archivist in opened:
        await archivist.stop()


Open = Callable[[], tuple[Archivist, Log]]


async def test_the_wav_goes_when_its_archive_is_in_the_log(tmp_path: Path, open_archivist: Open) -> None:
    archivist, log = open_archivist()
    archivist.configure(tmp_path, "flac", 2)
    paths = [record(tmp_path / f"2026/11/{name}.wav") for name in ("a", "b", "c")]
    archivist.publish(completed(f"2026/11/{path.name}") for path in paths)
    said = await log.wait(3)
    assert {fact.path for fact in said} == {"2026/11/a.flac", "2026/11/b.flac", "2026/11/c.flac"}
    one = next(fact for fact in said if fact.recording == "rec-a")
    archive = tmp_path / one.path
    assert (one.call, one.format, one.size_bytes) == ("call-a", "flac", archive.stat().st_size)
    assert one.sha256 == wav.hash_file(archive) == json.loads(wav.sidecar_path(archive).read_text())["sha256"]
    assert all(path.exists() for path in paths), "what is not on disk of the log may be forgotten"
    archivist.publish([one])
    assert not paths[0].exists() and not wav.sidecar_path(paths[0]).exists() and paths[1].exists()
    sound = listen.load(archive)
    assert listen.tone_present(sound.left, sound.rate, 440, 0.2, 1.8) > 0.98
    assert listen.tone_present(sound.right, sound.rate, 1000, 0.2, 1.8) > 0.98


async def test_a_restart_finds_what_was_left(tmp_path: Path, open_archivist: Open) -> None:
    """A WAV that waited, one whose archive is there but not in the log, and one half made."""
    waited, made = record(tmp_path / "day/waited.wav"), record(tmp_path / "day/made.wav")
    archive = compress_recording(made, "flac", keep=True)
    before = archive.stat().st_mtime_ns
    half = tmp_path / "day/.waited.flac.x7.archiving"
    half.write_bytes(b"half")
    message = record(tmp_path / "messages/2026/m.wav")
    running = tmp_path / "day/.running.wav.part"
    running.write_bytes(b"RIFF")
    archivist, log = open_archivist()
    archivist.configure(tmp_path, "flac", 1)
    assert {fact.recording for fact in await log.wait(2)} == {"rec-waited", "rec-made"}
    assert archive.stat().st_mtime_ns == before, "not made again"
    archivist.publish(log.said)
    assert not waited.exists() and not made.exists() and not half.exists()
    assert message.exists() and running.exists()


async def test_what_cannot_be_archived_stays(tmp_path: Path, open_archivist: Open) -> None:
    broken = record(tmp_path / "broken.wav")
    broken.write_bytes(b"RIFF nothing")
    good = record(tmp_path / "good.wav")
    archivist, log = open_archivist()
    archivist.configure(tmp_path, "opus", 1)
    await log.wait(1)
    archivist.publish(log.said)
    assert [fact.path for fact in log.said] == ["good.opus"]
    assert broken.exists() and not good.exists()
    info = soundfile.info(tmp_path / "good.opus")
    assert (info.channels, info.subtype) == (2, "OPUS")


async def test_a_log_that_names_no_archive_deletes_nothing(tmp_path: Path, open_archivist: Open) -> None:
    path = record(tmp_path / "a.wav")
    archivist, _ = open_archivist()
    archivist.configure(tmp_path, "none", 1)
    lost = facts.RecordingArchived(call="c", recording="r", path="a.flac", format="flac", size_bytes=1, sha256="")
    archivist.publish([completed("a.wav"), lost])
    assert path.exists()
