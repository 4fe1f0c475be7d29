"""Audio of messages: what callers said, in one mono file; and hashes of PINs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pbx.adapters.voicemail import VoicemailWorker, make_audio
from pbx.app.outputs import CheckPin, HashPin, MakeMessageAudio, RemoveMessageAudio


def record(path: Path, hz: float, seconds: float, rate: int = 8000) -> Path:
    """A recording: the caller's tone on the left, ours on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(rate * seconds)) / rate
    both = np.column_stack([0.3 * np.sin(2 * np.pi * hz * time), 0.3 * np.sin(2 * np.pi * 1900 * time)])
    soundfile.write(path, both, rate, subtype="PCM_16")
    return path


def loudest(samples: Any, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


def test_only_the_caller_is_kept_and_introductions_come_first(tmp_path: Path) -> None:
    introduction = record(tmp_path / "intro.wav", 500, 1.0, rate=16000)
    message = record(tmp_path / "message.wav", 1000, 2.0)
    target = tmp_path / "1001" / "vm-1.wav"
    assert make_audio([introduction, message], target) == pytest.approx(3.0, abs=0.01)
    samples, rate = soundfile.read(target)
    assert (samples.ndim, rate) == (1, 16000)
    assert loudest(samples[:16000], rate) == pytest.approx(500, abs=3)
    assert loudest(samples[-16000:], rate) == pytest.approx(1000, abs=3)
    assert list(target.parent.iterdir()) == [target]
    introduction.unlink()
    assert make_audio([introduction, message], target) == pytest.approx(3.0, abs=0.01), "made before a restart"


class Told:
    """The switch's mailboxes, as far as the worker speaks to them."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.said.append((name, *args))


async def test_the_worker_files_and_tidies_up(tmp_path: Path) -> None:
    told = Told()
    worker = VoicemailWorker(tmp_path / "recordings", lambda action: action(told))  # type: ignore[arg-type]
    source = record(tmp_path / "recordings" / "messages" / "a.wav", 1000, 1.0)
    sidecar = source.with_name("a.wav.json")
    sidecar.write_text("{}")
    kept = record(tmp_path / "voicemail" / "1002" / "b.wav", 500, 1.0)
    target = tmp_path / "voicemail" / "1001" / "vm-1.wav"
    worker.handle(MakeMessageAudio("vm-1", (str(source), str(kept)), str(target)))
    worker.handle(MakeMessageAudio("vm-2", (str(tmp_path / "nothing.wav"),), str(tmp_path / "x.wav")))
    await worker.close()
    assert not source.exists()
    assert not sidecar.exists()
    assert kept.exists(), "a forwarded message stays with who forwarded it"
    made = {entry[1]: entry for entry in told.said}
    assert made["vm-1"][2:] == (2.0, "")
    assert made["vm-2"][3] != ""
    worker.handle(RemoveMessageAudio(str(target)))
    await worker.close()
    assert not target.exists()


async def test_pins_are_salted_and_checked(tmp_path: Path) -> None:
    told = Told()
    worker = VoicemailWorker(tmp_path, lambda action: action(told))  # type: ignore[arg-type]
    worker.handle(HashPin("r1", "2580"))
    worker.handle(HashPin("r2", "2580"))
    await asyncio.gather(*worker._tasks)
    hashes = [entry[2] for entry in told.said]
    assert len(set(hashes)) == 2, "the same PIN looks different in each mailbox"
    assert all(text.startswith("$argon2id$") and "2580" not in text for text in hashes)
    told.said.clear()
    for pin, pin_hash in (("2580", hashes[0]), ("2581", hashes[0]), ("2580", "garbage")):
        worker.handle(CheckPin(pin_hash[-4:] + pin, pin, pin_hash))
    await worker.close()
    assert sorted(entry[2] for entry in told.said) == [False, False, True]
    assert "2580" not in repr(CheckPin("r", "2580", "h")) + repr(HashPin("r", "2580"))
