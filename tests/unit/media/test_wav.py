"""WAV headers as other programs read them, and recordings whose writer died."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media import g711, wav
from media.control.recordings import find_orphans

FORMATS: tuple[wav.Format, ...] = ("pcm16", "pcmu", "pcma")


def make_file(
    path: Path, format: wav.Format, channels: int, frames: int, *, claimed_frames: int | None = None
) -> bytes:
    """A file with a ramp in it; its header may claim another length, as one whose writer died does."""
    ramp = ((np.arange(frames * channels) * 37) % 30000 - 15000).astype(np.int16)
    data = (
        ramp.astype("<i2").tobytes() if format == "pcm16" else g711.encode(ramp, "PCMU" if format == "pcmu" else "PCMA")
    )
    frame = wav.SAMPLE_BYTES[format] * channels
    claimed = frames if claimed_frames is None else claimed_frames
    path.write_bytes(wav.build_header(format, channels, 8000, claimed * frame) + data)
    return data


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_libsndfile_reads_what_was_written(tmp_path: Path, format: wav.Format, channels: int) -> None:
    data = make_file(tmp_path / "a.wav", format, channels, 1000)
    heard, rate = soundfile.read(tmp_path / "a.wav", dtype="int16", always_2d=True)
    assert (rate, heard.shape) == (8000, (1000, channels))
    if format == "pcm16":
        wanted = np.frombuffer(data, "<i2")
    else:
        wanted = g711.decode(data, "PCMU" if format == "pcmu" else "PCMA")
    assert np.array_equal(heard.reshape(-1), wanted)


@pytest.mark.parametrize("format", FORMATS)
def test_the_header_keeps_its_size_beyond_4_gib(format: wav.Format) -> None:
    frame = wav.SAMPLE_BYTES[format] * 2
    for size in (0, frame * 1000, 0xFFFF_FF00 // frame * frame, 5 * 1024**3):
        head = wav.build_header(format, 2, 8000, size)
        assert len(head) == wav.header_size(format)
        info = wav.parse_header(head)
        assert (info.format, info.channels, info.rate, info.data_bytes) == (format, 2, 8000, size)
        assert info.data_offset == len(head)
        assert head[:4] == (b"RF64" if size > 0xFFFF_FFFF - 100 else b"RIFF")


def test_libsndfile_understands_the_rf64_header(tmp_path: Path) -> None:
    path = tmp_path / "big.wav"
    size = 5 * 1024**3
    with path.open("wb") as file:
        file.write(wav.build_header("pcm16", 2, 8000, size))
        file.truncate(wav.header_size("pcm16") + size)  # sparse: takes no space
    assert soundfile.info(path).frames == size // 4
    assert soundfile.info(path).format == "RF64"
    recovered = wav.recover(path)
    assert not recovered.repaired
    assert recovered.info.duration_ms == size // 4 * 1000 // 8000


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("tail", [b"", b"\x01", b"\x01\x02\x03"])
def test_a_file_whose_writer_died_is_made_whole(tmp_path: Path, format: wav.Format, tail: bytes) -> None:
    path = tmp_path / ".a.wav.part"
    make_file(path, format, 2, 777, claimed_frames=200)
    with path.open("ab") as file:
        file.write(tail)
    recovered = wav.recover(path)
    assert recovered.repaired
    frames = 777 + len(tail) // (wav.SAMPLE_BYTES[format] * 2)
    assert recovered.info.frames == frames
    assert soundfile.info(path).frames == frames
    again = path.read_bytes()
    assert not wav.recover(path).repaired
    assert path.read_bytes() == again


def test_an_odd_number_of_bytes_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    make_file(path, "pcma", 1, 801, claimed_frames=0)
    assert wav.recover(path).info.frames == 801
    assert path.stat().st_size % 2 == 0
    assert not wav.recover(path).repaired
    assert soundfile.info(path).frames == 801


def test_a_file_cut_short_loses_only_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    make_file(path, "pcm16", 2, 1000)
    with path.open("r+b") as file:
        file.truncate(wav.header_size("pcm16") + 1501)
    recovered = wav.recover(path)
    assert (recovered.info.frames, recovered.trimmed_bytes) == (375, 1)
    assert soundfile.info(path).frames == 375


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0" * 200, b"ID3 not a wav file at all" * 10])
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(wav.WavError, match=r"x\.wav"):
        wav.recover(path)
    assert path.read_bytes() == content


def test_another_programs_header_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "foreign.wav"
    soundfile.write(path, np.zeros(100, np.int16), 8000)
    before = path.read_bytes()
    with pytest.raises(wav.WavError, match="not written by this recorder"):
        wav.recover(path)
    assert path.read_bytes() == before
    assert wav.read_info(path).frames == 100


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_one_error(data: bytes) -> None:
    for head in (data, b"RIFF\0\0\0\0WAVE" + data, wav.build_header("pcmu", 2, 8000, 4)[:60] + data):
        try:
            info = wav.parse_header(head)
        except wav.WavError:
            continue
        assert info.channels in (1, 2)
        assert info.frame_bytes > 0


@pytest.mark.parametrize(("channels", "size"), [(3, 0), (0, 0), (2, 3), (1, -2)])
def test_impossible_headers_are_refused(channels: int, size: int) -> None:
    with pytest.raises(ValueError, match="bytes|channels"):
        wav.build_header("pcm16", channels, 8000, size)


def test_hash_and_sidecar(tmp_path: Path) -> None:
    recording = tmp_path / "a.wav"
    data = io.BytesIO(b"x" * 3_000_000).getvalue()
    recording.write_bytes(data)
    assert wav.hash_file(recording) == hashlib.sha256(data).hexdigest()
    wav.write_sidecar(recording, {"caller": "old"})
    written = wav.write_sidecar(recording, {"caller": "张伟", "segments": [{"offset_ms": 0}]})
    assert written == tmp_path / "a.wav.json"
    assert json.loads(written.read_text()) == {"caller": "张伟", "segments": [{"offset_ms": 0}]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "a.wav.json"]


def test_a_sidecar_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav.json").mkdir()  # a folder in the way makes the rename fail
    with pytest.raises(OSError, match="directory"):
        wav.write_sidecar(tmp_path / "a.wav", {"caller": "1001"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav.json"]


def test_what_a_crash_leaves_of_a_sidecar_is_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying, pytest.raises(Killed):
        dying.setattr(os, "rename", die)
        wav.write_sidecar(tmp_path / "a.wav", {"caller": "1001"})
    assert len(list(tmp_path.iterdir())) == 1
    assert list(find_orphans(tmp_path)) == []


def test_publish_replaces_in_one_step(tmp_path: Path) -> None:
    (tmp_path / ".a.part").write_bytes(b"new")
    (tmp_path / "a").write_bytes(b"old")
    wav.publish(tmp_path / ".a.part", tmp_path / "a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]
