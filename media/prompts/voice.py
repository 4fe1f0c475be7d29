"""How a language is spoken, what an engine is, and what it delivers: what all engines and their users share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from media.dsp.level import Floats

MAX_AUDIO_BYTES = 64 * 1024 * 1024
_DEFAULT_BODY = {"text": "{text}", "voice": "{voice}", "language": "{language}"}


class Voice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How one language is spoken."""

    engine: str = "espeak"
    voice: str = ""
    """The engine's own voice name; for espeak its language code such as ``cmn`` or ``en-gb+f3``."""
    words_per_minute: int = 160
    """espeak only, 80-450."""
    pitch: int = 45
    """espeak only, 0-99."""
    command: tuple[str, ...] = ()
    """``command``: program and arguments; ``{language}``, ``{voice}`` and ``{output}`` are replaced. The text comes on
    standard input in UTF-8; WAV is expected on standard output, or in ``{output}`` where that is named."""
    url: str = ""
    """``http``: posted a JSON object; the answer is audio in any format libsndfile reads."""
    headers: dict[str, str] = {}
    """``http``: for example an Authorization; never shown."""
    body: dict[str, Any] = msgspec.field(default_factory=lambda: dict(_DEFAULT_BODY))
    """``http``: the object, ``{text}``, ``{voice}`` and ``{language}`` replaced in its strings."""
    timeout_s: float = 20.0
    normalise: bool = True

    def __repr__(self) -> str:
        return f"Voice(engine={self.engine!r}, voice={self.voice!r})"


DEFAULT_VOICES: dict[str, Voice] = {
    "en": Voice(voice="en-us"),
    "en-gb": Voice(voice="en"),
    "zh": Voice(voice="cmn", words_per_minute=150),
    "*": Voice(),
}
"""``*`` takes every language that has no line of its own."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono audio as an engine delivers it."""

    audio: Floats
    rate: int


class Synthesiser(Protocol):
    """An engine. Thread-safe and blocking; raises :class:`PromptError`."""

    @property
    def version(self) -> str:
        """Changes when the same text would sound different; part of the cache key."""

    def speak(self, text: str, language: str, voice: Voice) -> Clip:
        """Render one text."""

    def close(self) -> None:
        """Let go of processes and connections."""
