"""Speech engines: what is spoken, in which voice, and what happens when an engine misbehaves."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from media.dsp import level
from media.prompts.errors import PromptError
from media.prompts.speech import Speaker, parse_voices
from media.prompts.speech_command import CommandSpeech
from media.prompts.speech_espeak import Espeak
from media.prompts.speech_http import HttpSpeech
from media.prompts.voice import DEFAULT_VOICES, Voice
from tools import listen


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


# --- espeak -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "text"), [("en", "Press one for sales."), ("zh-CN", "普通话请按一。")])
def test_speech_is_levelled_and_has_no_silence_around_it(speaker: Speaker, language: str, text: str) -> None:
    clip = speaker.speak(text, language)
    assert 0.8 < len(clip.audio) / clip.rate < 4
    assert level.active_level_dbfs(clip.audio, clip.rate) == pytest.approx(-20.5, abs=1.5)
    assert level.peak_dbfs(clip.audio) <= -2.99
    levels = listen.frame_levels(clip.audio, clip.rate, 10)
    assert max(levels[:8]) > -45
    assert max(levels[-16:]) > -60


def test_the_languages_differ(speaker: Speaker) -> None:
    english, british, chinese = (speaker.speak("123", language).audio for language in ("en", "en-GB", "zh"))
    assert len({len(english), len(british), len(chinese)}) == 3


def test_a_named_voice_and_settings_are_used(speaker: Speaker) -> None:
    plain = speaker.speak("good morning", "en")
    assert len(speaker.speak("good morning", "en", "en-us+f3").audio) != len(plain.audio)
    slow = Speaker({"en": Voice(voice="en-us", words_per_minute=90)})
    assert len(slow.speak("good morning", "en").audio) > 1.3 * len(plain.audio)
    slow.close()


def test_an_unknown_language_is_an_error_that_names_it(speaker: Speaker) -> None:
    with pytest.raises(PromptError, match="no voice 'tlh-xx'"):
        speaker.speak("qapla", "tlh-XX")
    with pytest.raises(PromptError, match="no voice for language 'fr'; configured: en"):
        Speaker({"en": Voice()}).speak("bonjour", "fr")


@pytest.mark.parametrize(
    ("language", "name"),
    [("", ""), ("en/../x", ""), ("-x", ""), ("en;rm", ""), ("en", "../secret"), ("en", "-o"), ("en", "a\n")],
)
def test_what_could_mislead_an_engine_is_refused(speaker: Speaker, language: str, name: str) -> None:
    with pytest.raises(PromptError, match="is not"):
        speaker.speak("hello", language, name)


def test_tags_fall_back_from_region_to_language() -> None:
    speaker = Speaker()
    assert speaker.find_voice("zh-Hans-CN").voice == "cmn"
    assert speaker.find_voice("cmn").voice == "cmn"
    assert speaker.find_voice("en_GB").voice == "en"
    assert speaker.find_voice("en-AU").voice == "en-us"
    assert speaker.find_voice("de").voice == "de"


def test_a_region_the_engine_does_not_know_is_spoken_as_its_language(speaker: Speaker) -> None:
    german, austrian = (speaker.speak("Guten Tag", language) for language in ("de", "de-AT"))
    assert len(austrian.audio) == pytest.approx(len(german.audio), rel=0.02)


def test_a_killed_worker_is_replaced_without_anybody_noticing() -> None:
    engine = Espeak()
    first = engine.speak("one", "en", DEFAULT_VOICES["en"])
    assert engine.worker_pid is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    second = engine.speak("one", "en", DEFAULT_VOICES["en"])
    assert np.array_equal(first.audio, second.audio)
    engine.close()
    assert engine.worker_pid is None


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import sys; sys.stdin.buffer.read()", "worker took too long twice"),
        ("import sys", "worker (ended|failed .*) twice"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 64); sys.stdout.flush(); sys.stdin.read()", "announced"),
        ("import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\1x'); sys.stdout.flush(); sys.stdin.read()", "failed"),
    ],
)
def test_a_worker_that_hangs_dies_or_babbles_is_given_up_after_two_tries(program: str, complaint: str) -> None:
    engine = Espeak((sys.executable, "-c", program))
    with pytest.raises(PromptError, match=complaint):
        engine.speak("secret text", "en", Voice(timeout_s=0.3))
    assert engine.worker_pid is None


def test_errors_do_not_repeat_the_text() -> None:
    engine = Espeak((sys.executable, "-c", ""))
    with pytest.raises(PromptError) as caught:
        engine.speak("your balance is 4711", "en", Voice(timeout_s=1))
    assert "4711" not in caught.value.reason


# --- command ----------------------------------------------------------------------------------------------------------

ECHO_TONE = """
import sys, wave, struct, math
text = sys.stdin.read()
out = open(sys.argv[1], "wb") if len(sys.argv) > 1 else sys.stdout.buffer
with wave.open(out, "wb") as w:
    w.setnchannels(1); w.setsampwidth(2); w.setframerate(16000)
    n = 1600 * len(text)
    w.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * 600 * i / 16000))) for i in range(n)))
"""


@pytest.mark.parametrize("arguments", [(), ("{output}",)])
def test_a_command_speaks_through_standard_output_or_a_file(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    script = tmp_path / "say.py"
    script.write_text(ECHO_TONE)
    voice = Voice(engine="command", command=(sys.executable, str(script), *arguments))
    if not arguments:  # the wave module wants to seek, a pipe cannot
        script.write_text(ECHO_TONE.replace("sys.stdout.buffer", "open('/dev/stdout', 'wb')"))
    clip = CommandSpeech().speak("你好吗", "zh", voice)
    assert (clip.rate, len(clip.audio)) == (16_000, 4800)
    assert listen.tone_share(clip.audio, 16_000, 600) > 0.99


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import sys; sys.exit('no model')", "ended with 1: no model"),
        ("print('hello')", "not readable as audio"),
        ("import sys; sys.stdin.read(); import threading; threading.Event().wait()", "no speech within 0.5 s"),
    ],
)
def test_a_command_that_fails_says_how(program: str, complaint: str) -> None:
    voice = Voice(engine="command", command=(sys.executable, "-c", program), timeout_s=0.5)
    with pytest.raises(PromptError, match=complaint):
        CommandSpeech().speak("hi", "en", voice)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(PromptError, match="no-such-speech-program: No such file"):
        CommandSpeech().speak("hi", "en", Voice(engine="command", command=("no-such-speech-program",)))


# --- http -------------------------------------------------------------------------------------------------------------


def wav_bytes(seconds: float = 0.5) -> bytes:
    out = io.BytesIO()
    wave = 0.2 * np.sin(2 * np.pi * 500 * np.arange(round(seconds * 24_000)) / 24_000)
    soundfile.write(out, wave, 24_000, format="WAV")
    return out.getvalue()


def test_an_http_service_gets_the_text_and_answers_audio() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=wav_bytes())

    voice = Voice(
        engine="http",
        url="https://tts.example/speak?key=k",
        voice="lan",
        headers={"Authorization": "Bearer x"},
        body={"input": {"text": "{text}"}, "v": "{voice}/{language}", "format": ["wav"], "rate": 24000},
    )
    clip = HttpSpeech(httpx.MockTransport(answer)).speak("say {voice}", "zh", voice)
    assert clip.rate == 24_000
    assert listen.tone_share(clip.audio, 24_000, 500) > 0.99
    assert seen[0].headers["authorization"] == "Bearer x"
    assert seen[0].read() == b'{"input":{"text":"say {voice}"},"v":"lan/zh","format":["wav"],"rate":24000}'


def test_http_failures_say_where_but_not_the_secret() -> None:
    def hang(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    voice = Voice(
        engine="http", url="https://user:pw@tts.example/speak?key=topsecret", headers={"Authorization": "B x"}
    )
    answers = {
        "status 500": lambda _: httpx.Response(500),
        "ReadTimeout": hang,
        "not readable as audio": lambda _: httpx.Response(200, content=b"<html>"),
    }
    for complaint, handler in answers.items():
        with pytest.raises(PromptError, match=complaint) as caught:
            HttpSpeech(httpx.MockTransport(handler)).speak("hi", "en", voice)
        assert "tts.example" in caught.value.reason
        assert not any(secret in caught.value.reason for secret in ("topsecret", "pw", "B x"))
    assert "B x" not in repr(voice) and "topsecret" not in repr(voice)


# --- configuration ----------------------------------------------------------------------------------------------------


def test_voices_from_yaml_are_added_to_the_default_ones() -> None:
    voices = parse_voices(
        "zh:\n  engine: command\n  command: [piper, --model, zh.onnx]\n  timeout_s: 5\nno: {pitch: 60}\n"
    )
    assert voices["zh"].command == ("piper", "--model", "zh.onnx")
    assert voices["zh"].timeout_s == 5.0
    assert voices["no"].pitch == 60  # the Norwegians', not a boolean


def test_voices_from_json_are_added_to_the_default_ones() -> None:
    voices = parse_voices('{"ZH": {"engine": "command", "command": ["piper", "--model", "zh.onnx"]}}')
    assert voices["zh"].command[0] == "piper"
    assert voices["en"] == DEFAULT_VOICES["en"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "voices: Expected `object`"),
        ('{"zh": {"engin": "x"}}', "unknown field `engin`"),
        ('{"zh": {"engine": "festival"}}', "no engine 'festival'; known: command, espeak, http"),
        ('{"zh": {"engine": "command"}}', "needs `command`"),
        ('{"zh": {"engine": "http"}}', "needs `url`"),
        ("{", "voices: .*expected"),
        ("", "voices: Expected `object`, got `null`"),
        ("a: &a [*a]", "voices: "),
    ],
)
def test_wrong_voices_are_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(PromptError, match=complaint):
        parse_voices(text)


def test_what_is_cached_depends_on_the_voice_but_not_on_secrets() -> None:
    def identity(**changes: object) -> bytes:
        return Speaker({"en": Voice(engine="http", url="https://t", **changes)}).identity("en")  # type: ignore[arg-type]

    assert identity(headers={"Authorization": "a"}) == identity(headers={"Authorization": "b"}, timeout_s=5.0)
    assert identity(voice="a") != identity(voice="b")
    assert b"Authorization" not in identity(headers={"Authorization": "a"})
