"""The voices of the configuration in the form that media gateways read (media.prompts.speech)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pbx.config.base import SecretSource
from pbx.config.speech import Speech, SpeechEngine, Voice

_ESPEAK_VOICES: Mapping[str, tuple[str, int]] = {"en": ("en-us", 160), "en-gb": ("en", 160), "zh": ("cmn", 150)}
"""Voice and words a minute where nothing is said."""
_WORDS_PER_MINUTE = 160
_PITCH = 45


def encode_voices(speech: Speech, reveal: Callable[[SecretSource], str]) -> bytes:
    """JSON of all voices. Holds the tokens of services: for a file that nobody else may read."""
    voices = {
        language: _describe(
            language, voice, speech.engines.get(voice.engine) or SpeechEngine(name=voice.engine), reveal
        )
        for language, voice in speech.voices.items()
    }
    return msgspec.json.encode(voices)


def _describe(
    language: str, voice: Voice, engine: SpeechEngine, reveal: Callable[[SecretSource], str]
) -> dict[str, Any]:
    name, speed = _ESPEAK_VOICES.get(language.lower(), (language, _WORDS_PER_MINUTE))
    described: dict[str, Any] = {
        "engine": engine.kind,
        "voice": voice.voice or (name if engine.kind == "espeak" else ""),
        "timeout_s": engine.timeout,
    }
    if engine.kind == "espeak":
        described["words_per_minute"] = min(450, max(80, speed * voice.rate // 100))
        described["pitch"] = min(99, _PITCH * voice.pitch // 100)
    elif engine.kind == "command":
        described["command"] = list(engine.command)
    else:
        described["url"] = str(engine.url)
        if engine.token is not None:
            described["headers"] = {"Authorization": f"Bearer {reveal(engine.token)}"}
    return described
