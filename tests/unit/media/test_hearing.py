"""What the ears of a leg hear: call progress of every country, fax, answering machines, talk; and what they ignore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import webrtcvad
from numpy.typing import NDArray

from media import g711, tones
from media.dsp import level, vad
from media.dsp.dtmf import generate_dtmf
from media.dsp.hearing import Ears
from media.dsp.resample import resample
from media.dsp.vad import VoiceDetector
from media.prompts.music import compose
from media.prompts.speech import Speaker
from media.prompts.voice import Voice

if TYPE_CHECKING:
    from media.dsp.hearing import Want

Samples = NDArray[np.int16]


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


def say(speaker: Speaker, text: str, language: str = "en", rate: int = 8000) -> Samples:
    clip = speaker.speak(text, language)
    return level.to_int16(resample(clip.audio, clip.rate, rate))


def silence(ms: int, rate: int = 8000) -> Samples:
    return np.zeros(rate * ms // 1000, np.int16)


def on_the_line(samples: Samples, noise_dbfs: float = -60.0) -> Samples:
    """Through G.711 with a little noise, beginning anywhere in a frame."""
    rng = np.random.default_rng(11)
    noisy = samples + rng.standard_normal(len(samples)) * 10 ** (noise_dbfs / 20) * 32768
    late = np.concatenate([np.zeros(3333), noisy]).clip(-32768, 32767).astype(np.int16)
    return g711.decode_alaw(g711.encode_alaw(late))


def detected(samples: Samples, *wants: Want, rate: int = 8000) -> list[str]:
    return [value for kind, value, _, _ in Ears(rate, *wants).feed(samples) if kind == "detected"]


def play(name: str, country: str, ms: int = 9000, level_db: float = -16.0) -> Samples:
    return tones.render_steps(tones.find_tone(name, country), 8000, duration_ms=ms, level_db=level_db)


# --- call progress ----------------------------------------------------------------------------------------------------

SHORT_BUSY = {"es", "se", "br", "mx"}
"""Their busy is as fast as the congestion of others."""
SLOW_CONGESTION = {"cn", "jp", "au"}
UNEVEN_CONGESTION = {"gb", "se", "br"}
"""Bursts and pauses of different lengths, which are not looked for."""


@pytest.mark.parametrize("country", sorted(tones.COUNTRIES))
@pytest.mark.parametrize("noise_dbfs", [-60.0, -40.0])
def test_progress_tones_of_every_country(country: str, noise_dbfs: float) -> None:
    def heard(name: str) -> list[str]:
        return detected(on_the_line(play(name, country), noise_dbfs), "progress")

    assert heard("busy") == ["congestion" if country in SHORT_BUSY else "busy"]
    if country not in UNEVEN_CONGESTION:
        assert heard("congestion") == ["busy" if country in SLOW_CONGESTION else "congestion"]
    assert heard("ringback") == ["ringback"]
    assert heard("dial") == []


@pytest.mark.parametrize("level_db", [-35.0, -25.0, -10.0])
def test_progress_tones_at_any_level(level_db: float) -> None:
    assert detected(on_the_line(play("busy", "de", level_db=level_db)), "progress") == ["busy"]
    assert detected(on_the_line(play("ringback", "us", level_db=level_db)), "progress") == ["ringback"]
    assert detected(on_the_line(play("sit", "us", 2000, level_db=level_db)), "progress") == ["sit"]


def test_busy_is_known_within_three_bursts() -> None:
    heard = Ears(8000, "progress").feed(on_the_line(play("busy", "cn")))
    assert [(kind, value) for kind, value, _, _ in heard] == [("detected", "busy")]
    assert heard[0][2] <= 417 + 3 * 700


def test_a_busy_tone_that_stops_is_no_ringback() -> None:
    call = np.concatenate([play("busy", "cn", 2500), silence(2500)])
    assert detected(on_the_line(call), "progress") == ["busy"]


def test_announcements_with_special_information_tone(speaker: Speaker) -> None:
    call = np.concatenate(
        [play("sit", "us", 1000), silence(200), say(speaker, "The number you have dialled is wrong.")]
    )
    assert detected(on_the_line(call), "progress") == ["sit"]
    assert detected(on_the_line(play("sit", "us", 660)), "progress") == []


# --- fax --------------------------------------------------------------------------------------------------------------


def test_fax_tones() -> None:
    assert detected(on_the_line(play("cng", "us", 4000)), "fax") == ["cng"]
    assert detected(on_the_line(play("ced", "us", 3000)), "fax") == ["ced"]
    assert detected(on_the_line(play("cng", "us", 4000)), "progress", "dtmf") == []


def test_a_modems_answer_tone_with_phase_reversals_is_ced() -> None:
    t = np.arange(8000 * 3)
    phase = np.pi * (t // 3600 % 2)
    ansam = 5000 * np.sin(2 * np.pi * 2100 * t / 8000 + phase) * (1 + 0.2 * np.sin(2 * np.pi * 15 * t / 8000))
    assert detected(on_the_line(ansam.astype(np.int16)), "fax") == ["ced"]


@pytest.mark.parametrize("hz", [1000, 1200, 2000, 2200])
def test_neighbouring_tones_are_no_fax(hz: int) -> None:
    tone = tones.render_steps(tones.parse_spec(f"{hz}/3000"), 8000)
    assert detected(on_the_line(tone), "fax") == []


# --- answering machine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "language"), [("Hello?", "en"), ("Yes, hello?", "en"), ("喂，你好？", "zh")])
def test_a_short_greeting_and_silence_is_a_human(speaker: Speaker, text: str, language: str) -> None:
    call = on_the_line(np.concatenate([silence(300), say(speaker, text, language), silence(2000)]), -65)
    assert detected(call, "answering_machine") == ["human"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hi, you have reached Anna. I cannot take your call. Please leave a message after the tone.", "en"),
        ("您好，我现在不方便接听电话，请在提示音后留言，我会尽快给您回电。", "zh"),
    ],
)
@pytest.mark.parametrize(("hz", "ms"), [(1000, 200), (440, 600), (1400, 400), (850, 1000)])
def test_a_long_greeting_is_a_machine_and_its_beep_is_heard(
    speaker: Speaker, text: str, language: str, hz: int, ms: int
) -> None:
    beep = tones.render_steps(tones.parse_spec(f"{hz}/{ms}"), 8000)
    greeting = say(speaker, text, language)
    call = on_the_line(np.concatenate([silence(300), greeting, silence(400), beep, silence(1000)]), -60)
    heard = Ears(8000, "answering_machine").feed(call)
    assert [value for _, value, _, _ in heard] == ["machine", "beep"]
    beep_ends = 417 + 300 + len(greeting) // 8 + 400 + ms
    assert heard[0][2] < 417 + 300 + 3500
    assert heard[1][2] == pytest.approx(beep_ends, abs=70)


def test_nobody_speaks_is_a_human_who_waits() -> None:
    assert detected(on_the_line(silence(4000), -65), "answering_machine") == ["human"]


# --- talk -------------------------------------------------------------------------------------------------------------


def test_webrtcs_detector_is_called_natively(speaker: Speaker) -> None:
    """Frame by frame as its own Python binding decides, but for frames too faint to be anybody."""
    assert vad.native
    speech = say(speaker, "Good morning, how can I help you?")
    call = np.concatenate([silence(500), speech, silence(500), (level.to_int16(compose(8000)) * 2)[:40_000], speech])
    theirs = webrtcvad.Vad(3)
    frames = [call[n : n + 160] for n in range(0, len(call) - 159, 160)]
    expected = [theirs.is_speech(frame.tobytes(), 8000) for frame in frames]
    ours = VoiceDetector(3).voiced(call)
    faint = [level.rms_dbfs(level.to_float(frame)) < -40 for frame in frames]
    clear = [n for n, quiet in enumerate(faint) if not quiet]
    assert [ours[n] for n in clear] == [expected[n] for n in clear]
    assert not any(a and not b for a, b in zip(ours, expected, strict=True))
    by_energy = VoiceDetector(3, by_energy=True).voiced(call)
    assert by_energy != ours


@pytest.mark.parametrize("by_energy", [False, True])
def test_talk_begins_and_ends_where_somebody_speaks(speaker: Speaker, by_energy: bool) -> None:
    speech = say(speaker, "Good morning, how can I help you?")
    call = on_the_line(np.concatenate([silence(1000), speech, silence(1500), speech, silence(1500)]), -65)
    changes = VoiceDetector(2, 400, by_energy=by_energy).feed(call)
    assert [talking for talking, _ in changes] == [True, False, True, False]
    first = 417 + 1000
    second = first + len(speech) // 8 + 1500
    wanted = (first, first + len(speech) // 8, second, second + len(speech) // 8)
    for (_, at), expected in zip(changes, wanted, strict=True):
        assert at == pytest.approx(expected, abs=260)


def test_talk_through_the_ears_has_a_length(speaker: Speaker) -> None:
    speech = say(speaker, "Good morning, how can I help you?", rate=16_000)
    call = np.concatenate([silence(500, 16_000), speech, silence(1000, 16_000)])
    heard = Ears(16_000, "talk").feed(call)
    assert [kind for kind, _, _, _ in heard] == ["talk", "talk end"]
    assert heard[1][3] == pytest.approx(len(speech) // 16, abs=260)


def test_noise_on_the_line_is_no_talk() -> None:
    hiss = (np.random.default_rng(1).standard_normal(80_000) * 60).astype(np.int16)
    assert VoiceDetector(3).feed(hiss) == []
    assert VoiceDetector(2, by_energy=True).feed(hiss) == []


@pytest.mark.parametrize("aggressiveness", [-1, 4])
def test_settings_are_checked(aggressiveness: int) -> None:
    with pytest.raises(ValueError, match="expected 0-3"):
        VoiceDetector(aggressiveness)
    with pytest.raises(ValueError, match="multiple of 8000"):
        Ears(11_025, "talk")


# --- together ---------------------------------------------------------------------------------------------------------

EVERYTHING: tuple[Want, ...] = ("dtmf", "talk", "fax", "answering_machine", "progress")


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_digits_are_heard_at_every_rate(rate: int) -> None:
    heard = Ears(rate, "dtmf").feed(generate_dtmf("159*", rate, 60, 60))
    assert [value for kind, value, _, _ in heard if kind == "digit"] == list("159*")
    lengths = [length for kind, _, _, length in heard if kind == "digit end"]
    assert lengths == pytest.approx([60] * 4, abs=14)


def test_nothing_is_heard_that_was_not_asked_for(speaker: Speaker) -> None:
    call = np.concatenate(
        [play("busy", "us"), generate_dtmf("5", 8000), say(speaker, "hello"), play("cng", "us", 1000)]
    )
    assert Ears(8000).feed(call) == []


def test_speech_and_music_are_neither_tones_nor_digits(speaker: Speaker) -> None:
    text = "Please hold the line, all our agents are busy. Who knew that you two flew to Peru? Moon, June, spoon. "
    for pitch in (20, 45, 70):
        for voice in ("en-us", "en-us+f3", "cmn"):
            speaker._voices = {"*": Voice(pitch=pitch)}
            clip = speaker.speak(
                text if voice != "cmn" else "请稍候，所有座席都在忙，我们会尽快接听您的电话。嗯，哦，呜呜呜。" * 2,
                "x",
                voice,
            )
            audio = level.to_int16(resample(clip.audio, clip.rate, 8000))
            assert detected(on_the_line(audio), "progress", "fax") == [], (voice, pitch)
    music = level.to_int16(compose(8000))
    assert detected(np.concatenate([music, music]), "progress", "fax") == []


def test_how_the_stream_is_cut_makes_no_difference(speaker: Speaker) -> None:
    call = np.concatenate([say(speaker, "hello"), generate_dtmf("12", 8000), silence(800), play("busy", "us", 4000)])
    whole = Ears(8000, *EVERYTHING).feed(call)
    ears, found, at = Ears(8000, *EVERYTHING), [], 0
    for size in np.random.default_rng(2).integers(1, 700, 500):
        found += ears.feed(call[at : at + size])
        at += size
    assert at > len(call)
    assert found == whole
    assert {kind for kind, _, _, _ in whole} == {"digit", "digit end", "talk", "talk end", "detected"}


def test_extreme_samples_do_no_harm() -> None:
    for value in (-32768, 32767):
        Ears(16_000, *EVERYTHING).feed(np.full(32_000, value, np.int16))
    square = np.where(np.arange(32_000) % 2, 32767, -32768).astype(np.int16)
    assert set(detected(square, *EVERYTHING)) <= {"human", "machine"}
