"""Comfort noise has the level and the colour it was described with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.dsp.comfort import ComfortNoise, describe_noise
from tools import listen


def make_noise(payload: bytes, count: int = 40_000) -> np.ndarray:
    noise = ComfortNoise(7)
    assert noise.set(payload)
    noise.generate(8000)  # the level glides in
    return listen.from_int16(noise.generate(count))


@pytest.mark.parametrize("level", [30, 50, 70])
@pytest.mark.parametrize(
    "shape", [b"", bytes([20]), bytes([230, 60]), bytes([60, 190, 100, 140, 127, 120, 130, 128, 127, 127])]
)
def test_the_level_is_right_whatever_the_shape(level: int, shape: bytes) -> None:
    heard = make_noise(bytes([level]) + shape)
    assert listen.level_dbfs(heard, 8000) == pytest.approx(-level, abs=0.7)
    assert max(listen.tone_share(heard[:8000], 8000, hz) for hz in range(100, 4000, 100)) < 0.05


def test_noise_described_and_made_again_has_the_same_colour() -> None:
    rng = np.random.default_rng(1)
    white = rng.standard_normal(16_000)
    dark = np.convolve(white, [0.25, 0.5, 0.25], mode="same") * 300
    payload = describe_noise(dark.astype(np.int16))
    assert payload[0] == round(-listen.level_dbfs((dark / 32768).astype(np.float32), 8000))
    again = make_noise(payload)

    def treble_db(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples)) ** 2
        return float(10 * np.log10(power[len(power) // 2 :].sum() / power[: len(power) // 2].sum()))

    assert treble_db(again) == pytest.approx(treble_db(dark), abs=2.0)
    assert treble_db(again) < treble_db(white) - 8


def test_the_level_glides() -> None:
    noise = ComfortNoise(3)
    noise.set(bytes([40]))
    noise.generate(8000)
    noise.set(bytes([60]))
    levels = listen.frame_levels(listen.from_int16(noise.generate(8000)), 8000)
    assert levels[0] > -47
    assert np.mean(levels[-10:]) == pytest.approx(-60, abs=1)


def test_nothing_said_is_silence() -> None:
    noise = ComfortNoise()
    assert not noise.set(b"")
    assert not np.any(noise.generate(160))
    assert describe_noise(np.zeros(160, np.int16)) == bytes([127])
    assert describe_noise(np.zeros(0, np.int16)) == b""


@given(st.binary(min_size=1, max_size=40))
@settings(max_examples=60)
def test_any_payload_makes_bounded_noise(payload: bytes) -> None:
    noise = ComfortNoise(5)
    noise.set(payload)
    made = noise.generate(4000)
    assert np.all(np.isfinite(made.astype(float)))
    if payload[0] & 127 >= 60:
        assert np.max(np.abs(made.astype(int))) < 5000


@given(st.lists(st.integers(-32768, 32767), max_size=400))
@settings(max_examples=60)
def test_any_samples_can_be_described(samples: list[int]) -> None:
    assert len(describe_noise(np.array(samples, np.int16))) <= 5
