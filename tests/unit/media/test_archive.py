"""Compressed recordings still hold what was said, and the original goes only when they do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import wav
from media.archive import ArchiveError, Target, compress_recording
from tools import listen


def make_recording(folder: Path, format: wav.Format = "pcm16") -> Path:
    t = np.arange(8000 * 3) / 8000
    stereo = np.stack([9000 * np.sin(2 * np.pi * 440 * t), 9000 * np.sin(2 * np.pi * 1000 * t)], axis=1)
    data = stereo.astype("<i2").tobytes()
    if format != "pcm16":
        data = bytes(np.random.default_rng(1).integers(0, 256, 48_000).astype(np.uint8))
    path = folder / "call.wav"
    path.write_bytes(wav.build_header(format, 2, 8000, len(data)) + data)
    wav.write_sidecar(path, {"caller": "1001", "sha256": wav.hash_file(path), "file": path.name})
    return path


@pytest.mark.parametrize("target", ["flac", "opus"])
def test_both_channels_are_still_there(tmp_path: Path, target: Target) -> None:
    original = make_recording(tmp_path)
    size, digest = original.stat().st_size, wav.hash_file(original)
    smaller = compress_recording(original, target)
    assert smaller == tmp_path / f"call.{target}"
    assert smaller.stat().st_size < size
    sound = listen.load(smaller)
    assert sound.duration_s == 3.0
    assert listen.tone_present(sound.left, sound.rate, 440, 0.2, 2.8) > 0.98
    assert listen.tone_present(sound.right, sound.rate, 1000, 0.2, 2.8) > 0.98
    beside = json.loads((tmp_path / f"call.{target}.json").read_text())
    assert beside["sha256"] == hashlib.sha256(smaller.read_bytes()).hexdigest()
    assert (beside["original_sha256"], beside["caller"]) == (digest, "1001")
    assert (beside["file"], beside["format"], beside["size_bytes"]) == (smaller.name, target, smaller.stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == [smaller.name, f"{smaller.name}.json"]


@pytest.mark.parametrize("format", ["pcm16", "pcmu", "pcma"])
def test_flac_loses_nothing(tmp_path: Path, format: wav.Format) -> None:
    original = make_recording(tmp_path, format)
    before, _ = soundfile.read(original, dtype="int16")
    after, _ = soundfile.read(compress_recording(original, "flac", keep=True), dtype="int16")
    assert np.array_equal(before, after)
    assert original.exists()


@pytest.mark.parametrize("content", [b"", b"not a recording"])
def test_what_cannot_be_read_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"call\.wav"):
        compress_recording(path, "flac")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("call.wav", content)]


def test_a_rate_opus_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.zeros(100, np.int16), 11_025)
    with pytest.raises(ArchiveError, match="11025 Hz"):
        compress_recording(path, "opus")
    assert [entry.name for entry in tmp_path.iterdir()] == ["call.wav"]
