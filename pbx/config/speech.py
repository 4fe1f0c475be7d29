"""Prompts, synthesised speech, music."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, model_validator

from pbx.config.base import KEY, ConfigPath, Language, Model, Name, Seconds, Secret, keyed, refuse


class SpeechEngine(Model):
    """One way of turning text into speech."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the engine: the key it stands under."""
    kind: Literal["espeak", "command", "http"] = "espeak"
    """The built-in espeak-ng, a program that reads text and writes WAV (Piper ...), or an HTTP service."""
    command: tuple[str, ...] = ()
    """Program and arguments (kind command); {voice} and {language} are replaced; the text comes on standard input."""
    url: HttpUrl | None = None
    """POST target (kind http); the body is the text, the answer audio in any format libsndfile reads."""
    token: Secret | None = None
    """Bearer token of the service (kind http)."""
    timeout: Seconds = 20.0
    """Longest wait for one text."""

    @model_validator(mode="after")
    def _check_kind(self) -> SpeechEngine:
        if self.kind == "command" and not self.command:
            raise refuse(f"the speech engine {self.name!r} has no command", "command: [program, argument, ...]")
        if self.kind == "http" and self.url is None:
            raise refuse(f"the speech engine {self.name!r} has no url", "url: http://...")
        return self


class Voice(Model):
    """How one language is spoken."""

    engine: Name = "espeak"
    """Name of the engine."""
    voice: str = ""
    """The engine's own name of the voice; empty: its usual one for the language."""
    rate: Annotated[int, Field(ge=50, le=300)] = 100
    """Speed in percent of the voice's own."""
    pitch: Annotated[int, Field(ge=50, le=200)] = 100
    """Pitch in percent of the voice's own."""


class SpeechRecogniser(Model):
    """How callers who speak one language are understood."""

    language: Annotated[Language, Field(json_schema_extra=KEY)]
    """Language: the key it stands under."""
    kind: Literal["pocketsphinx", "http"]
    """pocketsphinx (English; pip install 'tandem-pbx[recognition]'), or an HTTP service."""
    url: HttpUrl | None = None
    """POST target (kind http): gets a WAV, with language, digits and the phrases of the menu as parameters; answers
    JSON with text and confidence."""
    token: Secret | None = None
    """Bearer token of the service (kind http)."""
    timeout: Annotated[Seconds, Field(gt=0, le=10)] = 5.0
    """Longest wait for an answer; then the call goes on with digits alone."""
    least_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """What is less sure counts as not understood."""

    @model_validator(mode="after")
    def _check_kind(self) -> SpeechRecogniser:
        if self.kind == "http" and self.url is None:
            raise refuse(f"the recogniser for {self.language!r} has no url", "url: http://...")
        if self.kind == "pocketsphinx" and self.language.split("-")[0].lower() != "en":
            raise refuse(f"pocketsphinx does not understand {self.language!r}", "en, or kind: http")
        return self


class Speech(Model):
    """Synthesised speech, and understanding what callers say."""

    engines: Annotated[Mapping[Name, SpeechEngine], keyed("name")] = Field(
        default_factory=lambda: {"espeak": SpeechEngine(name="espeak")}
    )
    """Engines by name; `espeak` is always there."""
    voices: Mapping[Language, Voice] = Field(default_factory=lambda: {"en": Voice(), "zh": Voice()})
    """The voice of each language."""
    recognisers: Annotated[Mapping[Language, SpeechRecogniser], keyed("language")] = {}
    """Languages in which callers may answer menus by speaking; in others by digits alone."""


class MusicClass(Model):
    """Music for waiting and hold."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the class: the key it stands under."""
    folder: ConfigPath | None = None
    """Folder of audio files, played in name order as one endless stream; default: Tandem's own piece."""
    gain_db: Annotated[float, Field(ge=-60, le=20)] = 0.0
    """Louder or softer."""


class Prompts(Model):
    """Recorded prompts."""

    folders: tuple[ConfigPath, ...] = ()
    """Folders searched, in order, after the flow's own: LANGUAGE/NAME.wav before NAME.wav."""
    synthesise_missing: bool = True
    """Speak the text of a prompt whose recording is missing."""
