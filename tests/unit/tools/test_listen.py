"""The ear of the tests is itself tested on sounds whose content is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tools import listen

RATE = 8000


def tone(hz: float, seconds: float, amplitude: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, amplitude: float = 0.1, seed: int = 1) -> NDArray[np.float32]:
    return (amplitude * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_load_keeps_the_channels_apart(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(440, 1), tone(1000, 1)], axis=1), RATE)
    sound = listen.load(tmp_path / "a.wav")
    assert (sound.duration_s, sound.rate) == (1.0, RATE)
    assert listen.tone_present(sound.left, RATE, 440) > 0.99
    assert listen.tone_present(sound.left, RATE, 1000) < 0.001
    assert listen.tone_present(sound.right, RATE, 1000) > 0.99


def test_levels() -> None:
    assert listen.level_dbfs(tone(1000, 1, 1.0), RATE) == pytest.approx(-3.01, abs=0.02)
    levels = listen.frame_levels(np.concatenate([tone(1000, 0.1, 0.5), silence(0.1)]), RATE)
    assert levels[:5] == pytest.approx([-9.03] * 5, abs=0.05)
    assert levels[5:] == pytest.approx([listen.FLOOR_DBFS] * 5)


def test_the_share_of_a_tone_is_its_share_of_the_energy() -> None:
    both = tone(440, 0.5, 0.3) + tone(1700, 0.5, 0.3)
    assert listen.tone_share(both, RATE, 440) == pytest.approx(0.5, abs=0.02)
    assert listen.tone_share(both, RATE, 900) < 0.01
    assert listen.tone_share(silence(0.5), RATE, 440) == 0.0
    assert listen.tone_level_dbfs(both, RATE, 440) == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.2)


def test_a_tone_is_found_where_it_sounds() -> None:
    sound = np.concatenate([silence(0.4), tone(850, 0.6), noise(0.5), tone(850, 0.2), tone(600, 0.3)])
    assert listen.find_tone_intervals(sound, RATE, 850) == [(0.4, 1.0), (1.5, 1.7)]
    assert listen.find_tone_intervals(sound, RATE, 1200) == []


def test_short_interruptions_can_be_passed_over() -> None:
    sound = np.concatenate([tone(850, 0.2), silence(0.02), tone(850, 0.2)])
    assert len(listen.find_tone_intervals(sound, RATE, 850)) == 2
    assert listen.find_tone_intervals(sound, RATE, 850, bridge_ms=20) == [(0.0, 0.42)]


def test_loudest_frequency() -> None:
    assert listen.loudest_hz(tone(1234.5, 0.5) + noise(0.5, 0.01), RATE) == pytest.approx(1234.5, abs=0.5)
    assert listen.loudest_hz(silence(0.5), RATE) == 0.0


def test_gaps_are_found_to_a_millisecond() -> None:
    sound = np.concatenate([tone(400, 0.5), silence(0.03), tone(400, 0.5), silence(0.004), tone(400, 0.5)])
    (gap,) = listen.find_gaps(sound, RATE)
    assert gap == pytest.approx((0.5, 0.53), abs=0.0015)
    assert len(listen.find_gaps(sound, RATE, min_ms=3)) == 2
    assert listen.find_gaps(tone(50, 1.0), RATE, min_ms=2) == []


def test_clicks_are_found_and_smooth_joins_are_not() -> None:
    smooth = tone(400, 0.5)
    assert listen.find_clicks(smooth, RATE) == []
    spliced = np.concatenate([smooth[:1005], -smooth[1005:]])
    (click,) = listen.find_clicks(spliced, RATE)
    assert click == pytest.approx(1005 / RATE, abs=2 / RATE)


@pytest.mark.parametrize("shift", [0, 1, 37, -250, 1600])
def test_offset_between_channels(shift: int) -> None:
    speech = noise(2.0)
    a = np.concatenate([np.zeros(max(-shift, 0), np.float32), speech])
    b = np.concatenate([np.zeros(max(shift, 0), np.float32), speech]) * np.float32(0.3)
    assert listen.find_offset(a, b, RATE) == shift / RATE


def test_signal_to_noise() -> None:
    clean = tone(500, 1.0)
    assert listen.signal_to_noise_db(clean, clean * np.float32(0.5)) > 60
    dirty = clean + noise(1.0, 0.05)
    assert listen.signal_to_noise_db(clean, dirty) == pytest.approx(10 * np.log10(0.125 / 0.0025), abs=0.5)


def test_the_waveform_shows_where_it_is_loud() -> None:
    top, bottom = listen.waveform(np.concatenate([silence(0.5), tone(400, 0.5, 1.0)]), width=20).split("\n")
    assert (top, bottom) == (" " * 10 + "█" * 10, " " * 10 + "█" * 10)
    assert listen.waveform(silence(0), width=5) == "     \n     "


def test_the_command_says_what_it_hears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stereo = np.stack([np.concatenate([silence(0.5), tone(440, 0.5)]), silence(1.0)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE)
    assert listen.main([str(tmp_path / "a.wav"), "--tone", "440"]) == 0
    said = capsys.readouterr().out
    assert "440 Hz: 0.50-1.00 s" in said
    assert "channel 2: silent" in said
    assert "440 Hz: not heard" in said
