"""Levels, normalising, trimming and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from media.dsp import level
from media.dsp.resample import resample, resample_loop
from tools import listen

Floats = NDArray[np.float32]
RATE = 16_000


def tone(hz: float, seconds: float, amplitude: float = 0.1, rate: int = RATE) -> Floats:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def silence(seconds: float) -> Floats:
    return np.zeros(round(seconds * RATE), np.float32)


def test_levels_of_known_signals() -> None:
    assert level.rms_dbfs(tone(1000, 1, 1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level.peak_dbfs(tone(1000, 1, 0.5)) == pytest.approx(-6.02, abs=0.01)
    for quiet in (silence(0.1), silence(0)):
        assert level.rms_dbfs(quiet) == level.peak_dbfs(quiet) == level.FLOOR_DBFS


def test_pauses_do_not_count_as_speech() -> None:
    spoken = np.concatenate([tone(300, 1), silence(3), tone(300, 1)])
    assert level.active_level_dbfs(spoken, RATE) == pytest.approx(level.rms_dbfs(tone(300, 1)), abs=0.1)
    assert level.active_level_dbfs(silence(1), RATE) == level.FLOOR_DBFS


@pytest.mark.parametrize("amplitude", [0.001, 0.05, 0.9])
def test_normalising_reaches_the_target(amplitude: float) -> None:
    made = level.normalise(np.concatenate([silence(0.5), tone(300, 1, amplitude)]), RATE)
    assert level.active_level_dbfs(made, RATE) == pytest.approx(level.SPEECH_RMS_DBFS, abs=0.2)


def test_peaks_limit_the_gain() -> None:
    clicks = silence(1)
    clicks[::1000] = 0.01
    assert level.peak_dbfs(level.normalise(clicks, RATE)) == pytest.approx(level.SPEECH_PEAK_DBFS, abs=0.01)
    assert not np.any(level.normalise(silence(1), RATE))


def test_trimming_leaves_short_pads() -> None:
    made = level.trim_silence(np.concatenate([silence(1), tone(300, 0.5), silence(2)]), RATE)
    assert len(made) / RATE == pytest.approx(0.5 + 0.03 + 0.12, abs=0.011)
    assert len(level.trim_silence(silence(1), RATE)) == 0
    assert len(level.trim_silence(silence(0), RATE)) == 0


def test_conversion_to_16_bits_rounds_and_clips() -> None:
    assert level.to_int16(np.array([0, 1, -1, 2, -2, 0.5 / 32768], np.float32)).tolist() == [
        0,
        32767,
        -32768,
        32767,
        -32768,
        0,
    ]
    samples = np.arange(-32768, 32768, 7).astype(np.int16)
    assert np.array_equal(level.to_int16(level.to_float(samples)), samples)
    assert level.apply_gain(level.to_float(samples), 0.0).dtype == np.float32


@pytest.mark.parametrize("new_rate", [8000, 22_050, 48_000])
def test_resampling_keeps_duration_pitch_and_level(new_rate: int) -> None:
    made = resample(tone(1000, 1, 0.3), RATE, new_rate)
    assert len(made) == pytest.approx(new_rate, abs=1)
    assert listen.tone_level_dbfs(made, new_rate, 1000, 0.1, 0.9) == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.05)
    assert len(resample(silence(0), RATE, new_rate)) == 0


@pytest.mark.parametrize("new_rate", [8000, 48_000])
def test_a_resampled_loop_has_no_seam(new_rate: int) -> None:
    loop = tone(400, 1, 0.5)  # 400 whole periods
    made = resample_loop(loop, RATE, new_rate)
    assert len(made) == new_rate
    exact = tone(400, 1, 0.5, new_rate)
    assert np.max(np.abs(made - exact)) < 0.001
