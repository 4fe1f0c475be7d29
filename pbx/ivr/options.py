"""What verbs' options are made of: durations, targets, prompts, texts per language; each reads what an admin types."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from pbx.ivr.expressions import Expression, Template

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
VARIABLE = r"[A-Za-z][A-Za-z0-9_]{0,63}"
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def described(default: Any, en: str, zh: str, **more: Any) -> Any:
    """A field with its description in both languages; they make the pages of docs/ivr.md."""
    return Field(default, description=en, json_schema_extra={"zh": zh}, **more)


def read_duration(value: Any) -> float:
    """``5s``, ``500ms``, ``2m``, ``1h`` or plain seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError("expected a duration such as 5s, 500ms or 2m")
    return float(match[1]) * _UNITS[match[2]]


Seconds = Annotated[
    float,
    PlainValidator(read_duration),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h)?$"}),
]


class Target:
    """Where a branch goes: the name of a node, or steps written in place."""

    __slots__ = ("name", "steps")

    def __init__(self, name: str = "", steps: Any = None) -> None:
        self.name = name
        self.steps = steps

    def __repr__(self) -> str:
        return f"Target({self.name or self.steps!r})"


def _read_target(value: Any) -> Target:
    if isinstance(value, Target):
        return value
    if isinstance(value, str) and value:
        return Target(name=value)
    if isinstance(value, dict | list) and value:
        return Target(steps=value)
    raise ValueError("expected the name of a node, or steps written here")


TargetField = Annotated[
    Target,
    PlainValidator(_read_target),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"x-ref": "steps"}], "description": "a node, or steps"}),
]


class OptionModel(BaseModel):
    """Base of everything an admin writes in a flow."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, coerce_numbers_to_str=True)


class VerbOptions(OptionModel):
    """Options of a verb. ``shorthand`` names the field that ``verb: value`` sets."""

    shorthand: ClassVar[str] = ""
    takes_mapping: ClassVar[bool] = False
    """A mapping is the shorthand's value, not the options (``set``, ``data``)."""

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, data: Any) -> Any:
        if data is None:
            return {}
        if isinstance(data, dict) and not cls.takes_mapping:
            return data
        if not cls.shorthand:
            raise ValueError("expected options, one per line")
        return {cls.shorthand: data}


def _read_texts(value: Any) -> Any:
    return {"": value} if isinstance(value, str) else value


Texts = Annotated[
    dict[str, Template],
    BeforeValidator(_read_texts),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
]
"""A text, or one per language."""


class PromptItem(OptionModel):
    """One piece of a prompt: exactly one of its kinds."""

    prompt: str = described("", "Name of a prompt of this flow.", "本流程中提示音的名称。")
    say: Texts | None = described(None, "Text to speak, or one per language.", "要朗读的文字，可按语言分别给出。")
    file: str = described(
        "", "Audio file in the flow's prompts folder; {language} stands for the language in force.",
        "流程 prompts 目录下的音频文件；{language} 代表当前语言。",
    )  # fmt: skip
    recording: Template | None = described(
        None, "A recording made in the call or a voice message, by its path.", "通话中录制的录音或留言，以路径给出。"
    )
    tone: str = described("", "beep, busy, ringback, congestion, dial or waiting.", "提示音名称，如 beep、busy。")
    country: str = described("cn", "Country whose tones are meant.", "采用哪个国家的信号音。")
    silence: Seconds = described(0.0, "So much silence.", "静音时长。")
    music: str = described("", "Music class of the configuration.", "配置中的音乐类别。")
    duration: Seconds = described(0.0, "Length of a tone.", "信号音时长。")

    @model_validator(mode="after")
    def _check_one(self) -> PromptItem:
        given = [
            k for k in ("prompt", "say", "file", "recording", "tone", "silence", "music") if k in self.model_fields_set
        ]
        if len(given) != 1:
            raise ValueError("expected exactly one of prompt, say, file, recording, tone, silence, music")
        return self


def _read_prompt(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"prompt": item} if isinstance(item, str) else item for item in items]


Prompt = Annotated[
    tuple[PromptItem, ...],
    BeforeValidator(_read_prompt),
    Field(min_length=1, max_length=50),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"x-ref": "PromptItem"},
                {"type": "array", "items": {"anyOf": [{"type": "string"}, {"x-ref": "PromptItem"}]}},
            ]
        }
    ),
]
"""A prompt's name, a piece, or a list of both."""


def _read_named_prompt(value: Any) -> Any:
    """In the flow's ``prompts`` a plain text is text to speak, not a name."""
    if isinstance(value, str):
        return [{"say": value}]
    if isinstance(value, list):
        return [{"say": item} if isinstance(item, str) else item for item in value]
    return [value]


NamedPrompt = Annotated[tuple[PromptItem, ...], BeforeValidator(_read_named_prompt), Field(min_length=1)]

Digits = Annotated[str, Field(pattern=r"^[0-9*#A-D]*$", max_length=32)]
Variable = Annotated[str, Field(pattern=f"^{VARIABLE}$")]
Values = dict[Variable, Template]
Condition = Expression


def _refuse_greedy(pattern: str) -> str:
    """Patterns come from flows, but the text from callers: nested repetition would let one caller stall all."""
    if len(pattern) > 200 or re.search(r"[*+}]\)*\)[*+{]", pattern) or re.search(r"\\[1-9]", pattern):
        raise ValueError("expected a pattern without nested repetition and back references")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"this is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, BeforeValidator(_refuse_greedy)]
