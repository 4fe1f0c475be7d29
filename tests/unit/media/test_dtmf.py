"""The in-band detector at the limits of ITU-T Q.24, through G.711, and its silence on speech and music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media import g711, tones
from media.dsp import level
from media.dsp.dtmf import DtmfListener, generate_dtmf
from media.dsp.resample import resample
from media.prompts.music import compose
from media.prompts.speech import Speaker
from media.prompts.voice import Voice
from tools import listen

Floats = NDArray[np.float64]
DIGITS = "123A456B789C*0#D"
ROUNDS = 6


def make_burst(
    rng: np.random.Generator,
    digit: str,
    on_ms: float,
    off_ms: float,
    *,
    dbfs: float = -20.0,
    twist: float = 0.0,
    low_offset: float = 0.0,
    high_offset: float = 0.0,
) -> Floats:
    """One digit at any phase; ``dbfs`` is the level of each component before twist."""
    low, high = tones.DTMF[digit]
    t = np.arange(round(8 * on_ms)) / 8000
    amplitude = 10 ** (dbfs / 20) * 2**0.5 * 32768
    a, b = rng.uniform(0, 2 * np.pi, 2)
    tone = amplitude * 10 ** (-twist / 40) * np.sin(2 * np.pi * low * (1 + low_offset) * t + a)
    tone += amplitude * 10 ** (twist / 40) * np.sin(2 * np.pi * high * (1 + high_offset) * t + b)
    return np.concatenate([tone, np.zeros(round(8 * off_ms))])


def hear(samples: Floats, law: g711.Law = "PCMU") -> str:
    pcm = samples.clip(-32768, 32767).astype(np.int16)
    return "".join(
        digit for began, digit, _, _ in DtmfListener().feed(g711.decode(g711.encode(pcm, law), law)) if began
    )


def hear_all(on_ms: float = 50, off_ms: float = 50, *, snr_db: float | None = None, **burst: float) -> list[str]:
    """All sixteen digits, several rounds, each at another place in the detector's hops."""
    rng = np.random.default_rng(17)
    heard = []
    for round_ in range(ROUNDS):
        parts = [np.zeros(rng.integers(0, 64))]
        for digit in DIGITS:
            parts.append(make_burst(rng, digit, on_ms, off_ms + rng.uniform(0, 8), **burst))
        signal = np.concatenate(parts)
        if snr_db is not None:
            power = 2 * (10 ** (burst.get("dbfs", -20.0) / 20) * 32768) ** 2
            signal += rng.standard_normal(len(signal)) * (power * 10 ** (-snr_db / 10)) ** 0.5
        heard.append(hear(signal, "PCMU" if round_ % 2 else "PCMA"))
    return heard


ALL = [DIGITS] * ROUNDS
NONE = [""] * ROUNDS


@pytest.mark.parametrize("on_ms", [40, 45, 60, 100, 500])
def test_tones_of_40_ms_and_more_are_accepted(on_ms: float) -> None:
    assert hear_all(on_ms=on_ms, off_ms=40) == ALL


@pytest.mark.parametrize("on_ms", [10, 18, 23])
def test_tones_of_23_ms_and_less_are_refused(on_ms: float) -> None:
    assert hear_all(on_ms=on_ms) == NONE


@pytest.mark.parametrize(("low", "high"), [(1, 1), (-1, -1), (1, -1), (-1, 1)])
def test_frequencies_within_1_5_percent_are_accepted(low: int, high: int) -> None:
    assert hear_all(low_offset=low * 0.015, high_offset=high * 0.015) == ALL


@pytest.mark.parametrize(("low", "high"), [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)])
def test_frequencies_3_5_percent_off_are_refused(low: int, high: int) -> None:
    assert hear_all(low_offset=low * 0.035, high_offset=high * 0.035) == NONE


@pytest.mark.parametrize("twist", [-8.0, -4.0, 4.0, 5.0])
def test_twist_that_lines_cause_is_accepted(twist: float) -> None:
    assert hear_all(twist=twist) == ALL


@pytest.mark.parametrize("twist", [-12.0, 8.0])
def test_twist_that_no_telephone_makes_is_refused(twist: float) -> None:
    assert hear_all(twist=twist) == NONE


@pytest.mark.parametrize("dbm0", [-25.0, -15.0, -3.0, 0.0])
def test_levels_a_line_delivers_are_accepted(dbm0: float) -> None:
    assert hear_all(dbfs=dbm0 - 6.15) == ALL


@pytest.mark.parametrize("dbm0", [-29.0, -35.0, -50.0])
def test_levels_below_29_dbm0_are_refused(dbm0: float) -> None:
    assert hear_all(dbfs=dbm0 - 6.15) == NONE


@pytest.mark.parametrize("snr_db", [24, 15, 12])
def test_noise_does_not_hide_digits(snr_db: float) -> None:
    assert hear_all(on_ms=40, off_ms=40, snr_db=snr_db) == ALL


def test_an_interruption_of_10_ms_does_not_make_two_digits() -> None:
    rng = np.random.default_rng(2)
    for shift in range(0, 64, 7):
        parts = [np.zeros(shift), make_burst(rng, "5", 60, 10), make_burst(rng, "5", 60, 100)]
        assert hear(np.concatenate(parts)) == "5"


def test_a_pause_of_40_ms_makes_two_digits() -> None:
    rng = np.random.default_rng(2)
    for shift in range(0, 64, 7):
        parts = [np.zeros(shift), make_burst(rng, "5", 60, 40), make_burst(rng, "5", 60, 100)]
        assert hear(np.concatenate(parts)) == "55"


def test_begin_end_and_length_are_told() -> None:
    rng = np.random.default_rng(4)
    signal = np.concatenate([np.zeros(8000), make_burst(rng, "#", 200, 200)]).astype(np.int16)
    (began, ended) = DtmfListener().feed(signal)
    assert (began[0], began[1], ended[0], ended[1]) == (True, "#", False, "#")
    assert began[2] == pytest.approx(8000, abs=64)
    assert ended[2] == pytest.approx(9600, abs=64)
    assert ended[3] == pytest.approx(1600, abs=100)


def test_a_digit_is_known_within_45_ms() -> None:
    rng = np.random.default_rng(4)
    listener = DtmfListener()
    signal = make_burst(rng, "7", 100, 0).astype(np.int16)
    heard_after = next(n for n in range(0, 800, 8) if listener.feed(signal[n : n + 8]))
    assert 28 * 8 <= heard_after <= 45 * 8


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
@settings(max_examples=40)
def test_how_the_stream_is_cut_makes_no_difference(cuts: list[int]) -> None:
    rng = np.random.default_rng(9)
    signal = np.concatenate([make_burst(rng, digit, 60, 50) for digit in DIGITS]).astype(np.int16)
    whole = DtmfListener().feed(signal)
    listener, found, at = DtmfListener(), [], 0
    for cut in [*cuts, len(signal)]:
        found += listener.feed(signal[at : at + cut])
        at += cut
    assert found == whole
    assert len(whole) == 32


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_noise_is_no_digit(seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(8000) * 8000
    assert hear(noise) == ""


def test_call_progress_tones_are_no_digits() -> None:
    for country, table in tones.COUNTRIES.items():
        for name in table:
            heard = tones.render_steps(tones.find_tone(name, country), 8000, duration_ms=1500, level_db=-9)
            assert DtmfListener().feed(heard) == [], (country, name)
    assert DtmfListener().feed(tones.render_steps(tones.find_tone("sit"), 8000)) == []


def test_two_keys_at_once_are_no_digit() -> None:
    rng = np.random.default_rng(3)
    assert hear(make_burst(rng, "1", 100, 50) + make_burst(rng, "8", 100, 50)) == ""


TEXT = {
    "en": "Thank you for calling. Our lines are open from nine in the morning until six in the evening. Please leave "
    "your name, your number and a short message, and one of our agents will return your call as soon as possible. "
    "He who would valiant be, see three green trees, who knew that you two flew through blue moon June too. ",
    "zh": "感谢您的来电。我们的服务时间是上午九点到下午六点。"
    "请在提示音后留下您的姓名、电话号码和简短留言，我们会尽快与您联系。"
    "四是四，十是十，十四是十四，四十是四十。",
}


def test_nobody_dials_by_speaking() -> None:
    """Talk-off: men, women, two languages, several pitches and speeds, loud and clipped."""
    speaker = Speaker({"*": Voice()})
    seconds = 0.0
    for language, voices in {
        "en": ("en-us", "en-us+f2", "en-us+f4", "en+m3"),
        "zh": ("cmn", "cmn+f3", "cmn+m5"),
    }.items():
        for voice in voices:
            for pitch in (25, 50, 75):
                speaker._voices = {"*": Voice(pitch=pitch, words_per_minute=120 + pitch)}
                clip = speaker.speak(TEXT[language], language, voice)
                audio = level.apply_gain(resample(clip.audio, clip.rate, 8000), 8.0)
                assert DtmfListener().feed(level.to_int16(audio)) == [], (voice, pitch)
                seconds += len(audio) / 8000
    speaker.close()
    assert seconds > 300


def test_music_does_not_dial() -> None:
    for transpose in (1.0, 2**0.25, 2**0.5, 2**0.75):
        music = resample(compose(16_000), 16_000, round(8000 / transpose / 100) * 100)
        assert DtmfListener().feed(level.to_int16(level.apply_gain(music, 12.0))) == []


# --- generator --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_generated_digits_are_right_in_frequency_level_and_length(rate: int) -> None:
    made = listen.from_int16(generate_dtmf("5D", rate, 100, 60, -12.0))
    for index, digit in enumerate("5D"):
        start = index * 0.16
        for hz in tones.DTMF[digit]:
            assert listen.tone_level_dbfs(made, rate, hz, start, start + 0.1) == pytest.approx(-12, abs=0.4)
        assert listen.level_dbfs(made, rate, start + 0.1, start + 0.16) == listen.FLOOR_DBFS
    edges = made[[0, round(0.1 * rate) - 1]]
    assert np.max(np.abs(edges)) < 0.02


def test_the_detector_hears_what_the_generator_makes() -> None:
    heard = DtmfListener().feed(generate_dtmf(DIGITS, 8000, 50, 50))
    assert "".join(digit for began, digit, _, _ in heard if began) == DIGITS
    assert len(generate_dtmf("", 8000)) == 0
    assert np.array_equal(generate_dtmf("a", 8000), generate_dtmf("A", 8000))


@pytest.mark.parametrize("digits", ["x", "1x", "１", "é"])
def test_what_is_no_digit_is_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="not a DTMF digit"):
        generate_dtmf(digits, 8000)
