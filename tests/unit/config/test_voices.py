"""Voices as the gateway reads them: its own parser is the judge."""

from media.prompts.speech import parse_voices
from media.prompts.voice import DEFAULT_VOICES
from pbx.config.model import Configuration
from pbx.config.voices import encode_voices


def make(speech: object) -> bytes:
    return encode_voices(Configuration.model_validate({"speech": speech}).speech, lambda source: f"<{source}>")


def test_the_defaults_are_those_of_the_gateway() -> None:
    assert parse_voices(make({})) == DEFAULT_VOICES


def test_every_kind_of_engine() -> None:
    voices = parse_voices(
        make(
            {
                "engines": {
                    "piper": {"kind": "command", "command": ["piper", "--model", "{voice}"], "timeout": "5s"},
                    "cloud": {"kind": "http", "url": "https://tts.example.net/say", "token": {"env": "TTS"}},
                },
                "voices": {
                    "en": {"engine": "piper", "voice": "en_US-amy"},
                    "zh": {"rate": "120", "pitch": "80"},
                    "de": {"engine": "cloud", "voice": "anna"},
                    "fr": {},
                },
            }
        )
    )
    assert (voices["en"].engine, voices["en"].command, voices["en"].voice, voices["en"].timeout_s) == (
        "command",
        ("piper", "--model", "{voice}"),
        "en_US-amy",
        5.0,
    )
    assert (voices["zh"].engine, voices["zh"].voice, voices["zh"].words_per_minute, voices["zh"].pitch) == (
        "espeak",
        "cmn",
        180,
        36,
    )
    assert voices["de"].headers == {"Authorization": "Bearer <env:TTS>"}
    assert voices["de"].url == "https://tts.example.net/say"
    assert voices["fr"].voice == "fr"
