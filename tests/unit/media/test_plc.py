"""Concealment by content: what is played in place of lost packets goes on where the sound was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.dsp.plc import Concealer
from media.prompts.store import PromptStore
from media.protocol import Speech
from tools import listen

Samples = NDArray[np.int16]


def tone(hz: float, rate: int, seconds: float = 1.0) -> Samples:
    return np.round(8000 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def conceal(samples: Samples, rate: int, lost: set[int]) -> Samples:
    frame = rate // 50
    concealer = Concealer(rate)
    frames = [samples[start : start + frame] for start in range(0, len(samples) - frame + 1, frame)]
    return np.concatenate([concealer.lost(frame) if n in lost else concealer.good(f) for n, f in enumerate(frames)])


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("hz", [100, 150, 200, 300, 400])
def test_a_steady_tone_goes_on_through_losses(rate: int, hz: float) -> None:
    whole = tone(hz, rate)
    heard = conceal(whole, rate, {7, 17, 27, 40})
    assert listen.signal_to_noise_db(listen.from_int16(whole), listen.from_int16(heard)) > 15
    assert listen.find_gaps(listen.from_int16(heard), rate, min_ms=3) == []
    assert listen.find_clicks(listen.from_int16(heard), rate, jump=0.03) == []


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_a_long_loss_fades_within_50_ms(rate: int) -> None:
    heard = listen.from_int16(conceal(tone(200, rate), rate, set(range(10, 30))))
    levels = listen.frame_levels(heard, rate, 10)
    assert levels[20] == pytest.approx(levels[19], abs=1)
    assert levels[22] == pytest.approx(levels[19] - 5.2, abs=1)
    assert all(levels[25:60] == listen.FLOOR_DBFS)
    # What comes back rises from silence without a click.
    assert listen.find_clicks(heard, rate, jump=0.05) == []
    assert levels[62] == pytest.approx(levels[19], abs=0.5)


def test_a_sound_that_dies_away_goes_on_dying() -> None:
    dying = (tone(200, 8000) * 0.5 ** (np.arange(8000) / 80)).astype(np.int16)
    dying[:1200] = tone(200, 8000)[:1200]
    dying[1200:] = (tone(200, 8000)[1200:] * 0.5 ** (np.arange(6800) / 80)).astype(np.int16)
    heard = listen.frame_levels(listen.from_int16(conceal(dying, 8000, {8})), 8000, 5)
    wanted = listen.frame_levels(listen.from_int16(dying), 8000, 5)
    assert heard[32:35] == pytest.approx(wanted[32:35], abs=5)


def test_what_arrives_is_not_changed_where_nothing_was_lost() -> None:
    samples = (np.random.default_rng(1).standard_normal(8000) * 5000).astype(np.int16)
    assert np.array_equal(conceal(samples, 8000, set()), samples)
    heard = conceal(samples, 8000, {10})
    changed = np.flatnonzero(heard != samples)
    assert changed.min() >= 1600
    assert changed.max() < 1760 + 80  # at most 10 ms behind the loss


def loudness_distance(wanted: Samples, heard: Samples, rate: int) -> float:
    """How much the loudness in 18 bands over 20 ms differs, against how much there is: 0 for the same sound."""
    size = rate // 50
    edges = np.unique((np.geomspace(150, rate / 2, 19) * size / rate).astype(int))

    def loudness(samples: Samples) -> NDArray[np.float64]:
        frames = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
        power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
        bands = np.add.reduceat(power, edges, axis=1)
        return np.asarray(np.maximum(bands - 1e6, 0) ** 0.23)  # Zwicker's exponent; under the floor nothing is heard

    reference = loudness(wanted)
    return float(np.abs(reference - loudness(heard)).sum() / reference.sum())


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_speech_is_closer_to_what_was_said_than_with_holes(tmp_path: Path, rate: int, language: str) -> None:
    store = PromptStore(tmp_path)
    texts = {"en": "Good morning, please hold on for a moment.", "zh": "您好，请稍候片刻，我们马上为您服务。"}
    speech = store.samples(Speech(text=texts[language] * 3, language=language), rate)
    store.close()
    frame = rate // 50
    speech = speech[: len(speech) // frame * frame]
    for percent in (10, 20):
        draw = np.random.default_rng(percent)
        lost = {n for n in range(len(speech) // frame) if draw.random() < percent / 100}
        holes = speech.copy()
        for n in lost:
            holes[n * frame : (n + 1) * frame] = 0
        concealed = loudness_distance(speech, conceal(speech, rate, lost), rate)
        assert concealed < 0.6 * loudness_distance(speech, holes, rate)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 160)), max_size=40),
    st.sampled_from([8000, 16_000]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_any_sequence_of_losses_and_sizes_is_survived(steps: list[tuple[bool, int]], rate: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    concealer = Concealer(rate)
    for lost, count in steps:
        if lost:
            assert len(concealer.lost(count)) == count
        else:
            frame = rng.integers(-32768, 32768, count).astype(np.int16)
            assert len(concealer.good(frame)) == count


def test_nothing_to_repeat_is_silence() -> None:
    assert not np.any(Concealer(8000).lost(160))
    concealer = Concealer(8000)
    concealer.good(np.full(10, 1000, np.int16))
    assert not np.any(concealer.lost(160))


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="8000 or 16000"):
        Concealer(48_000)
    for count in (0, 161):
        with pytest.raises(ValueError, match="expected 1-160"):
            Concealer(8000).lost(count)
