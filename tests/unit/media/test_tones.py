"""Tones are listened to: frequencies, cadence and level of every country, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import tones
from tools import listen

RATE = 8000


def hear(samples: np.ndarray) -> np.ndarray:
    return listen.from_int16(samples)


def on_off(samples: np.ndarray) -> list[tuple[float, float]]:
    """Bursts as (start, end) in seconds to 10 ms."""
    loud = listen.frame_levels(hear(samples), RATE, 10) > -50
    return listen._runs(loud.tolist(), 0.01)


def test_there_are_tones_of_many_countries() -> None:
    assert len(tones.COUNTRIES) >= 12
    for country, table in tones.COUNTRIES.items():
        assert set(table) == {"dial", "ringback", "busy", "congestion", "waiting"}, country


@pytest.mark.parametrize("country", sorted(tones.COUNTRIES))
def test_every_tone_sounds_at_its_frequencies_in_its_cadence(country: str) -> None:
    for name in tones.COUNTRIES[country]:
        steps = tones.find_tone(name, country)
        heard = tones.render_steps(steps, RATE)
        assert len(heard) * 1000 == tones.cadence_ms(steps) * RATE
        at = 0.0
        for step in steps:
            end = at + step.on_ms / 1000
            burst = hear(heard)[round(at * RATE) : round(end * RATE)]
            share = sum(
                listen.tone_share(burst, RATE, c.hz) / (2 / 3 if c.modulation_hz else 1) for c in step.components
            )
            assert share > 0.9, (country, name)
            pause = hear(heard)[round(end * RATE) : round((end + step.off_ms / 1000) * RATE)]
            assert not np.any(pause)
            at = end + step.off_ms / 1000


def test_ringback_of_the_united_kingdom_is_a_double_ring() -> None:
    heard = tones.render_steps(tones.find_tone("ring", "uk"), RATE)
    assert on_off(heard) == [(0.0, 0.4), (0.6, 1.0)]
    assert listen.tone_present(hear(heard), RATE, 400, 0.0, 0.4) == pytest.approx(0.5, abs=0.03)
    assert listen.tone_present(hear(heard), RATE, 450, 0.0, 0.4) == pytest.approx(0.5, abs=0.03)


def test_ringback_of_china_is_one_second_in_five() -> None:
    heard = tones.render_steps(tones.find_tone("ringback", "cn"), RATE, duration_ms=11_000)
    assert on_off(heard) == [(0.0, 1.0), (5.0, 6.0), (10.0, 11.0)]
    assert listen.loudest_hz(hear(heard), RATE, 0, 1) == pytest.approx(450, abs=0.5)


@pytest.mark.parametrize("level", [-40.0, -16.0, -10.0])
def test_the_level_is_that_of_each_component(level: float) -> None:
    heard = tones.render_steps(tones.parse_spec("440+480/2000"), 16_000, level_db=level)
    for hz in (440, 480):
        assert listen.tone_level_dbfs(hear(heard), 16_000, hz) == pytest.approx(level, abs=0.3)


def test_a_continuous_tone_loops_without_a_seam() -> None:
    for country in tones.COUNTRIES:
        once = tones.render_steps(tones.find_tone("dial", country), RATE)
        twice = np.concatenate([once, once])
        assert listen.find_clicks(hear(twice), RATE, jump=0.01) == [], country


def test_bursts_begin_and_end_softly() -> None:
    heard = hear(tones.render_steps(tones.find_tone("busy", "us"), RATE))
    assert listen.find_clicks(heard, RATE, jump=0.05) == []
    assert abs(heard[0]) < 0.01


def test_special_information_tone_has_three_rising_tones() -> None:
    heard = hear(tones.render_steps(tones.find_tone("sit", "anything"), RATE))
    for index, hz in enumerate((950, 1400, 1800)):
        assert listen.tone_present(heard, RATE, hz, index * 0.33, index * 0.33 + 0.33) > 0.98


@pytest.mark.parametrize("digit", sorted(tones.DTMF))
def test_each_digit_is_its_two_frequencies(digit: str) -> None:
    heard = hear(tones.render_dtmf(digit, RATE, on_ms=100, gap_ms=50))
    assert len(heard) == 1200
    low, high = tones.DTMF[digit]
    assert listen.tone_level_dbfs(heard, RATE, low, 0, 0.1) == pytest.approx(-10, abs=0.4)
    assert listen.tone_level_dbfs(heard, RATE, high, 0, 0.1) == pytest.approx(-10, abs=0.4)
    assert not np.any(heard[800:])


def test_twist_and_pauses_of_dtmf() -> None:
    heard = hear(tones.render_dtmf("1,1", RATE, twist_db=4.0))
    assert len(heard) == round((0.17 + 0.5 + 0.17) * RATE)
    low, high = (listen.tone_level_dbfs(heard, RATE, hz, 0, 0.1) for hz in tones.DTMF["1"])
    assert high - low == pytest.approx(4.0, abs=0.3)
    assert len(tones.render_dtmf("", RATE)) == 0


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("", "is not freq"),
        ("440", "is not freq"),
        ("440/", "is not freq"),
        ("440/100/100/100", "is not freq"),
        ("-440/100", "is not a frequency"),
        ("4a0/100", "is not a frequency"),
        ("99999/100", "is not a frequency"),
        ("440/100,", "is not freq"),
        ("440/99999", "longer than"),
        ("440/0", "lasts 0 ms"),
        ("440/１００", "is not freq"),
        ("+".join(["400"] * 9) + "/100", "is not a frequency"),
        (",".join(["400/1"] * 65), "more than 64|is not freq"),
    ],
)
def test_a_wrong_spec_is_refused_by_its_step(spec: str, complaint: str) -> None:
    with pytest.raises(tones.ToneError, match=complaint):
        tones.parse_spec(spec)


@given(st.text(alphabet="0123456789/+*,. a", max_size=40))
def test_any_spec_renders_or_is_refused(spec: str) -> None:
    try:
        steps = tones.parse_spec(spec)
    except tones.ToneError:
        return
    heard = tones.render_steps(steps, RATE, duration_ms=50)
    assert len(heard) == 400


def test_unknown_names_are_told_what_exists() -> None:
    with pytest.raises(tones.ToneError, match="known: at, au"):
        tones.find_tone("busy", "atlantis")
    with pytest.raises(tones.ToneError, match="ringback"):
        tones.find_tone("rinback", "us")
    with pytest.raises(tones.ToneError, match="not a DTMF digit"):
        tones.render_dtmf("12x", RATE)
    with pytest.raises(tones.ToneError, match="limit"):
        tones.render_steps(tones.find_tone("dial"), RATE, duration_ms=10**9)
