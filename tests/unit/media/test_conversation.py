"""Who spoke how much: figures of speech intervals, and of recordings with known speech, silence and overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media import wav
from media.control.recordings import Sidecar, draft_path, part_path, recover_orphans
from media.conversation import CROSSTALK_LEAST_MS, Interval, measure_conversation, measure_recording
from media.dsp import level
from media.dsp.resample import resample
from media.prompts.speech import Speaker

MS = st.integers(-500, 11_000)
SPANS = st.lists(st.tuples(MS, MS), max_size=12)
LENGTH = 10_000


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


def test_a_conversation() -> None:
    """Question, pause, answer, both at once; the overlap of 100 ms is a change of turns."""
    found = measure_conversation([(0, 2000), (6000, 8000)], [(3500, 6100), (7000, 7500)], LENGTH)
    assert (found.talk_from_ms, found.talk_to_ms, found.talk_ratio) == (4000, 3100, 0.563)
    assert (found.silence_ms, found.longest_silence_ms) == (1500 + 2000, 2000)
    assert (found.crosstalk_ms, found.crosstalk_count) == (500, 1)


def test_nobody_speaks() -> None:
    found = measure_conversation([], [], LENGTH)
    assert (found.talk_ratio, found.silence_ms, found.longest_silence_ms) == (None, LENGTH, LENGTH)
    assert measure_conversation([], [], 0).silence_ms == 0


def test_a_mask_is_neither_talk_nor_silence_and_parts_both() -> None:
    found = measure_conversation([(0, 4000)], [(0, 500)], LENGTH, hidden=[(3000, 8000)])
    assert (found.talk_from_ms, found.silence_ms, found.longest_silence_ms) == (3000, 2000, 2000)
    assert measure_conversation([], [], LENGTH, hidden=[(4000, 5000)]).longest_silence_ms == 5000


def mark(spans: list[Interval]) -> NDArray[np.bool_]:
    """One flag a millisecond: the slow way to the same figures."""
    flags = np.zeros(LENGTH, bool)
    for start, end in spans:
        flags[max(start, 0) : max(end, 0)] = True
    return flags


def runs(flags: NDArray[np.bool_]) -> list[int]:
    return [sum(1 for _ in group) for value, group in itertools.groupby(flags.tolist()) if value]


@given(SPANS, SPANS, SPANS)
def test_the_figures_are_those_of_counting_milliseconds(
    near: list[Interval], far: list[Interval], hidden: list[Interval]
) -> None:
    masked = mark(hidden)
    one, other = mark(near) & ~masked, mark(far) & ~masked
    quiet = runs(~(one | other | masked))
    both = [length for length in runs(one & other) if length >= CROSSTALK_LEAST_MS]
    found = measure_conversation(near, far, LENGTH, hidden)
    assert (found.talk_from_ms, found.talk_to_ms) == (one.sum(), other.sum())
    assert (found.silence_ms, found.longest_silence_ms) == (sum(quiet), max(quiet, default=0))
    assert (found.crosstalk_ms, found.crosstalk_count) == (sum(both), len(both))
    swapped = measure_conversation(far, near, LENGTH, hidden)
    assert (swapped.talk_from_ms, swapped.silence_ms) == (found.talk_to_ms, found.silence_ms)
    if found.talk_ratio is not None and swapped.talk_ratio is not None:
        assert found.talk_ratio + swapped.talk_ratio == pytest.approx(1, abs=0.002)


def say(speaker: Speaker, seconds: float, rate: int) -> NDArray[np.int16]:
    """Speech without a pause in it, this long."""
    clip = speaker.speak("we are all here now and you are there " * 4, "en")
    return level.to_int16(resample(clip.audio, clip.rate, rate))[: int(seconds * rate)]


@pytest.mark.parametrize(
    ("rate", "subtype"), [(8000, "ULAW"), (8000, "PCM_16"), (16_000, "PCM_16"), (48_000, "PCM_16")]
)
def test_a_recording_of_known_speech(tmp_path: Path, speaker: Speaker, rate: int, subtype: str) -> None:
    """Left speaks at 1-4 s and 9-11 s, right at 6-10 s; somebody's line has a little noise."""
    samples = np.random.default_rng(3).standard_normal((13 * rate + rate // 70, 2)) * 12
    for channel, start, seconds in ((0, 1, 3), (0, 9, 2), (1, 6, 4)):
        speech = say(speaker, seconds, rate)
        samples[start * rate : start * rate + len(speech), channel] += speech
    path = tmp_path / ".call.wav.part"
    soundfile.write(path, samples.clip(-32768, 32767).astype(np.int16), rate, subtype, format="WAV")
    found = measure_recording(path)
    near = pytest.approx
    assert found.talk_from_ms == near(5000, abs=400) and found.talk_to_ms == near(4000, abs=300)
    assert found.talk_ratio == near(5 / 9, abs=0.04)
    assert found.longest_silence_ms == near(2000, abs=300)
    assert found.silence_ms == near(1000 + 2000 + 2000, abs=500)
    assert found.crosstalk_count == 1 and found.crosstalk_ms == near(1000, abs=250)
    masked = measure_recording(path, [(5500, 13_500)])
    assert (masked.talk_to_ms, masked.crosstalk_count) == (0, 0) and masked.talk_ratio == 1
    assert masked.silence_ms == near(1000 + 1500, abs=400)


def test_a_repaired_recording_is_measured_without_its_masks(tmp_path: Path, speaker: Speaker) -> None:
    """Its gateway died in the second mask; what the draft says of both counts."""
    speech = say(speaker, 4, 8000)
    samples = np.stack([speech, np.zeros_like(speech)], axis=1).astype("<i2").tobytes()
    final = tmp_path / "call.wav"
    part_path(final).write_bytes(wav.build_header("pcm16", 2, 8000, 0) + samples)
    changes: list[dict[str, Any]] = [
        {"state": "masked", "offset_ms": 500},
        {"state": "recording", "offset_ms": 1000},
        {"state": "masked", "offset_ms": 3000},
    ]
    draft = Sidecar(
        recording="r", leg="l", file=final.name, format="pcm16", rate=8000, started="", interruptions=changes
    )
    draft_path(final).write_bytes(msgspec.json.encode(draft))
    reported: list[Sidecar | None] = []
    recover_orphans(tmp_path, 0.0, lambda sidecar, *_: reported.append(sidecar))
    (sidecar,) = reported
    assert sidecar is not None and sidecar.recovered and sidecar.conversation is not None
    assert sidecar.conversation.talk_from_ms + sidecar.conversation.silence_ms == 2500
    assert sidecar.conversation.talk_from_ms > 2200
    beside = msgspec.json.decode(wav.sidecar_path(final).read_bytes(), type=Sidecar)
    assert beside.conversation == sidecar.conversation


def test_speech_up_to_the_last_sample_ends_there(tmp_path: Path, speaker: Speaker) -> None:
    speech = say(speaker, 2.5, 8000)
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([speech, np.zeros_like(speech)], axis=1), 8000)
    found = measure_recording(path)
    assert found.talk_from_ms + found.silence_ms == 2500 and found.talk_from_ms > 2200


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.zeros(100, np.int16), 8000)
    with pytest.raises(ValueError, match="1 channels"):
        measure_recording(path)
    soundfile.write(path, np.zeros((100, 2), np.int16), 44_100)
    with pytest.raises(ValueError, match="44100 Hz"):
        measure_recording(path)
    path.write_bytes(b"nothing")
    with pytest.raises(soundfile.SoundFileError):
        measure_recording(path)
