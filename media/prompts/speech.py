"""Speech synthesis behind one small interface: a voice is a line of configuration, an engine one registry row.

``espeak`` speaks more than a hundred languages from pip alone (espeak-ng in a worker process of its own); ``command``
runs any program that reads text and writes WAV, such as Piper; ``http`` posts to a speech service. What an engine
delivers is trimmed and levelled here, so that prompts of different engines sound as loud as each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from media.dsp.level import Floats, normalise, trim_silence
from media.prompts.errors import PromptError

MAX_TEXT = 4000
"""Characters in one item; longer texts belong in several."""
MAX_AUDIO_BYTES = 64 * 1024 * 1024
RENDERING = 1
"""Version of the trimming and levelling; part of the cache key."""

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

# Both end up in file names and command lines of engines.
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}([-_][A-Za-z0-9]{1,8}){0,4}")
_VOICE = re.compile(r"\w[\w +./:-]{0,99}")

_SAME_LANGUAGE = {"cmn": "zh", "mandarin": "zh", "eng": "en", "zho": "zh", "chi": "zh"}


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


def _make_espeak() -> Synthesiser:
    from media.prompts.speech_espeak import Espeak

    return Espeak()


def _make_command() -> Synthesiser:
    from media.prompts.speech_command import CommandSpeech

    return CommandSpeech()


def _make_http() -> Synthesiser:
    from media.prompts.speech_http import HttpSpeech

    return HttpSpeech()


ENGINES: dict[str, Callable[[], Synthesiser]] = {
    "espeak": _make_espeak,
    "command": _make_command,
    "http": _make_http,
}


def parse_voices(data: bytes | str) -> dict[str, Voice]:
    """Voices from YAML or JSON: a mapping from language tag (or ``*``) to :class:`Voice`, added to the default ones.

    :raises PromptError: unreadable, a field unknown or of the wrong type, an engine that does not exist."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        voices = msgspec.convert(YAML(typ="safe", pure=True).load(data), dict[str, Voice], strict=False)
    except (YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise PromptError(f"voices: {' '.join(str(error).split())}") from error
    for language, voice in voices.items():
        if voice.engine not in ENGINES:
            raise PromptError(f"voices: {language}: no engine {voice.engine!r}; known: {', '.join(sorted(ENGINES))}")
        if voice.engine == "command" and not voice.command:
            raise PromptError(f"voices: {language}: engine 'command' needs `command`")
        if voice.engine == "http" and not voice.url:
            raise PromptError(f"voices: {language}: engine 'http' needs `url`")
    return DEFAULT_VOICES | {language.lower(): voice for language, voice in voices.items()}


class Speaker:
    """Chooses the voice for a language and renders text with its engine."""

    def __init__(self, voices: Mapping[str, Voice] | None = None) -> None:
        self._voices = {tag.lower(): voice for tag, voice in (DEFAULT_VOICES if voices is None else voices).items()}
        self._engines: dict[str, Synthesiser] = {}

    def find_voice(self, language: str, name: str = "") -> Voice:
        """The voice for a BCP 47 tag: of the tag itself, else of its language, else of ``*``.

        :raises PromptError: no voice speaks it, or it is no tag, or the name is none of a voice."""
        if not _LANGUAGE.fullmatch(language):
            raise PromptError(f"{language[:40]!r} is not a language tag")
        if name and (not _VOICE.fullmatch(name) or ".." in name):
            raise PromptError(f"{name[:40]!r} is not the name of a voice")
        tag = language.lower().replace("_", "-")
        primary = tag.split("-")[0]
        primary = _SAME_LANGUAGE.get(primary, primary)
        for candidate in (tag, primary, "*"):
            if candidate in self._voices:
                voice = self._voices[candidate]
                break
        else:
            raise PromptError(f"no voice for language {language[:40]!r}; configured: {', '.join(sorted(self._voices))}")
        if name:
            return msgspec.structs.replace(voice, voice=name)
        return voice if voice.voice else msgspec.structs.replace(voice, voice=tag)

    def identity(self, language: str, name: str = "") -> bytes:
        """What, beside the text, decides how it sounds. Stable between runs; holds no secret."""
        voice = self.find_voice(language, name)
        public = msgspec.structs.replace(voice, headers={}, timeout_s=0.0)
        return msgspec.json.encode((RENDERING, self._engine(voice.engine).version, public))

    def speak(self, text: str, language: str, name: str = "") -> Clip:
        """Render ``text``; trimmed, and levelled to -20 dBFS (at most -3 dBFS peak).

        :raises PromptError: unknown language or voice, text too long, or the engine failed or took too long."""
        if not text.strip():
            raise PromptError("speech with no text")
        if len(text) > MAX_TEXT:
            raise PromptError(f"speech of {len(text)} characters; the limit is {MAX_TEXT}")
        voice = self.find_voice(language, name)
        clip = self._engine(voice.engine).speak(text, language, voice)
        audio = trim_silence(clip.audio, clip.rate)
        if len(audio) == 0:
            raise PromptError(f"{voice.engine} spoke {len(text)} characters of {language[:40]!r} as silence")
        return Clip(normalise(audio, clip.rate) if voice.normalise else audio, clip.rate)

    def close(self) -> None:
        """Close all engines; they start again when used."""
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.close()

    def _engine(self, name: str) -> Synthesiser:
        # Two threads may both build one the first time; setdefault keeps a single winner, and an unused engine
        # has started nothing yet.
        engine = self._engines.get(name)
        return engine if engine is not None else self._engines.setdefault(name, ENGINES[name]())
