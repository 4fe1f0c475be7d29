"""Speech synthesis behind one small interface: a voice is a line of configuration, an engine one registry row.

``espeak`` speaks more than a hundred languages from pip alone (espeak-ng in a worker process of its own); ``command``
runs any program that reads text and writes WAV, such as Piper; ``http`` posts to a speech service. What an engine
delivers is trimmed and levelled here, so that prompts of different engines sound as loud as each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from media.dsp.level import normalise, trim_silence
from media.prompts.errors import PromptError
from media.prompts.voice import DEFAULT_VOICES, Clip, Synthesiser, Voice

MAX_TEXT = 4000
"""Characters in one item; longer texts belong in several."""
RENDERING = 1
"""Version of the trimming and levelling; part of the cache key."""

# Both end up in file names and command lines of engines.
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}([-_][A-Za-z0-9]{1,8}){0,4}")
_VOICE = re.compile(r"\w[\w +./:-]{0,99}")

_SAME_LANGUAGE = {"cmn": "zh", "mandarin": "zh", "eng": "en", "zho": "zh", "chi": "zh"}


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
