"""Events as lines for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

_FIRST = ("call", "agent", "queue", "leg", "device")
_NEVER = ("type", "why")


def format_time(at: float) -> str:
    """Local time with milliseconds."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def format_event(record: dict[str, Any]) -> str:
    """Number, time, type, and the fields, those that identify first."""
    event: dict[str, Any] = record["event"]
    names = [name for name in _FIRST if name in event]
    names += [name for name in event if name not in _FIRST and name not in _NEVER]
    fields = " ".join(f"{name}={format_value(event[name])}" for name in names)
    return f"{record['seq']:>8}  {format_time(record['at'])}  {event['type']:<22} {fields}".rstrip()


def format_value(value: Any) -> str:
    if isinstance(value, str) and value and not any(sign.isspace() or sign in "\"'=" for sign in value):
        return value
    return msgspec.json.encode(value).decode()
