"""What all configuration models are made of: the frozen base and the small types a person writes.

Everything arrives as text (pbx.core.yaml_tree), so each type here reads text; it also takes the Python value itself,
which is how tests and tools build a configuration without files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError

from pbx.core.destination import Destination, parse_destination
from pbx.core.patterns import NumberPattern


class Model(BaseModel):
    """A frozen piece of configuration; a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())


def refuse(
    message: str, expected: str = "", hint: str = "", *, at: tuple[str | int, ...] = (), secret: bool = False
) -> PydanticCustomError:
    """The error a validator raises: our own words reach the reader unchanged. ``at``: the place below the value."""
    context = {"message": message, "expected": expected, "hint": hint, "at": at, "secret": secret}
    return PydanticCustomError("tandem", "{message}", context)


# --- keys -----------------------------------------------------------------------------------------------------

KEY = {"from_key": True}
"""Marks the field of an item that is the key it stands under; nobody writes it inside the item."""


def keyed(field: str) -> BeforeValidator:
    """For a mapping of items by name: each item gets its key as ``field``."""

    def put_keys(items: Any) -> Any:
        if not isinstance(items, Mapping):
            return items
        for key, item in items.items():
            if isinstance(item, Mapping) and item.get(field, key) != key:
                expected = "the key under which the item stands, and nothing else"
                raise refuse(f"{field!r} of {key!r} is already said", expected, "remove this line", at=(key, field))
        return {key: _put_key(field, key, item) for key, item in items.items()}

    return BeforeValidator(put_keys)


def _put_key(field: str, key: Any, item: Any) -> Any:
    if item is None:
        return {field: key}
    if not isinstance(item, Mapping):
        return item
    return {**item, field: key}


# --- durations, sizes, percentages --------------------------------------------------------------------------------

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_DURATION_TEXT = "a duration such as 30 (seconds), 20s, 5m, 1h30m, 7d or 500ms"


def parse_duration(value: Any) -> float:
    """Seconds of ``30``, ``20s``, ``5m``, ``1h30m``, ``7d`` or ``500ms``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) and len(text) < 16:
        return float(text)
    match = _DURATION.fullmatch(text) if text and len(text) < 40 else None
    if not isinstance(value, str) or match is None:
        raise refuse("this is no duration", _DURATION_TEXT)
    days, hours, minutes, seconds, milliseconds = (float(part) if part else 0.0 for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9. dhms]+$"}]}),
]
"""A duration; in Python always seconds."""

_SIZE_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(value: Any) -> int:
    """Bytes of ``500M``, ``10G``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)(?:i?B)?", str(value).strip(), re.ASCII)
    if match is None:
        raise refuse("this is no size", "a size in bytes such as 500M or 10G")
    return int(match[1]) * _SIZE_UNITS[match[2]]


Bytes = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+ *[KMGT]?(i?B)?$"}]}),
]


def parse_percent(value: Any) -> Any:
    """``80`` and ``80%`` are the same."""
    return value.strip().removesuffix("%") if isinstance(value, str) else value


Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    Field(ge=0, le=100),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[0-9.]+ *%?$"}]}),
]

# --- names and numbers --------------------------------------------------------------------------------------------

_TYPED_NUMBER: dict[str, Any] = {"type": ["string", "integer"]}

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
"""A name used in references: letters, digits, ``_``, ``-`` and ``.``."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Text for people, in any language."""

InternalNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,12}$"), WithJsonSchema(_TYPED_NUMBER | {"pattern": "^[0-9]{1,12}$"})
]
"""A number dialled inside: an extension, a queue, a ring group."""

FeatureCode = Annotated[str, StringConstraints(pattern=r"^[0-9*#]{1,8}$"), WithJsonSchema(_TYPED_NUMBER)]
"""What is dialled for a feature, for example ``*31``."""

PhoneNumber = Annotated[
    str, StringConstraints(pattern=r"^\+?[0-9*#]{1,20}$"), WithJsonSchema(_TYPED_NUMBER | {"pattern": r"^\+?[0-9*#]+$"})
]
"""A telephone number, international with ``+`` in front."""

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9*#]*$", max_length=32), WithJsonSchema(_TYPED_NUMBER)]

CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""BCP 47 tag: ``en``, ``zh``, ``zh-HK``."""


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise refuse(f"{name!r} is no time zone", "an IANA name such as Asia/Shanghai or Europe/London") from None
    return name


Timezone = Annotated[str, AfterValidator(_check_timezone)]
"""IANA name of a time zone."""

# --- references, patterns, paths ----------------------------------------------------------------------------------


def _read_destination(value: Any) -> Destination:
    if isinstance(value, Destination):
        return value
    if not isinstance(value, str):
        raise refuse("this is no destination", "a destination such as queue:support or extension:1001")
    try:
        return parse_destination(value)
    except ValueError as error:
        found, _, expected = str(error).partition(": expected ")
        raise refuse(found, expected) from None


Target = Annotated[
    Destination,
    PlainValidator(_read_destination),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["flow:main", "queue:support", "extension:1001", "hangup:busy"]}),
]
"""Where a call goes: ``kind:name`` (pbx.core.destination)."""


def _read_pattern(value: Any) -> NumberPattern:
    if isinstance(value, NumberPattern):
        return value
    if not isinstance(value, str):
        raise refuse("this is no number pattern", "a number or pattern such as +8610X. or /^0[1-9]/")
    try:
        return NumberPattern.parse(value)
    except ValueError as error:
        found, _, expected = str(error).partition(": expected ")
        raise refuse(found, expected) from None


Pattern = Annotated[
    NumberPattern,
    PlainValidator(_read_pattern),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["+861055550100", "+86[2-9]XXXX", "0.", "/^00[1-9]/"]}),
]


def _place_path(path: Path, info: ValidationInfo) -> Path:
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    return path if folder is None or path.is_absolute() else Path(os.path.normpath(Path(folder) / path))


def _expand_user(value: Any) -> Any:
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


ConfigPath = Annotated[
    Path, BeforeValidator(_expand_user), AfterValidator(_place_path), WithJsonSchema({"type": "string"})
]
"""A path; a relative one is taken from the configuration's folder."""


class AlsoWritten:
    """In the JSON Schema: other ways to write the same."""

    def __init__(self, *alternatives: dict[str, Any]) -> None:
        self.alternatives = alternatives

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*self.alternatives, handler(schema)]}


# --- prompts ------------------------------------------------------------------------------------------------------


class Prompt(Model):
    """Something said to a caller or an agent: a recording, or texts to speak."""

    file: str = ""
    """Audio file in the prompt folders, with or without suffix; a language's own folder is searched first."""
    text: Mapping[Language, str] = Field(default_factory=dict)
    """Spoken where there is no recording, by language."""

    def model_post_init(self, context: Any, /) -> None:
        if not self.file and not any(self.text.values()):
            raise refuse("this prompt says nothing", "a file name, or texts by language such as {en: Hello, zh: 您好}")


def _read_prompt(value: Any) -> Any:
    if isinstance(value, str):
        return {"file": value}
    if isinstance(value, Mapping) and not {"file", "text"} & set(value):
        return {"text": value}
    return value


PromptRef = Annotated[
    Prompt,
    BeforeValidator(_read_prompt),
    AlsoWritten({"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}),
]
"""A prompt: a file name, ``{en: Hello, zh: 您好}``, or both under ``file`` and ``text``."""

# --- secrets ------------------------------------------------------------------------------------------------------


class SecretSource(Model):
    """Where a secret comes from; the configuration itself never holds one. Exactly one of the three."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of an environment variable."""
    file: ConfigPath | None = None
    """A file whose first line is the secret; it must not be readable by others."""
    generated: Name | None = None
    """Made by Tandem at the first start, kept in the data folder under this name, printed once."""
    digits: Annotated[int, Field(ge=4, le=18)] | None = None
    """Of a generated secret: so many decimal digits instead of letters and digits, for PINs that are dialled."""

    def model_post_init(self, context: Any, /) -> None:
        if sum(source is not None for source in (self.env, self.file, self.generated)) != 1:
            raise refuse("a secret needs exactly one source", "one of env: NAME, file: PATH, generated: NAME")
        if self.digits is not None and self.generated is None:
            raise refuse("only a generated secret can have a number of digits", "digits: beside generated:")

    def __str__(self) -> str:
        kind = "env" if self.env else "file" if self.file else "generated"
        return f"{kind}:{self.env or self.file or self.generated}"


def _refuse_plain_secret(value: Any) -> Any:
    if isinstance(value, str | int | float):
        raise refuse(
            "a secret stands here in plain text",
            "{env: NAME}, {file: PATH} or {generated: NAME}",
            "whoever has read this file knows it now: choose a new one",
            secret=True,
        )
    return value


Secret = Annotated[SecretSource, BeforeValidator(_refuse_plain_secret)]
