"""Taking telephone numbers out of log lines, for who configures `logging.hide_numbers`."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

_NUMBER = re.compile(r"(?<![0-9A-Za-z.])\+?[0-9]{7,15}(?![0-9A-Za-z])")
"""A subscriber's number: extensions are shorter, ids of calls longer or with letters in them."""
KEPT = 3


def hide_numbers(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: of each telephone number in any text only the last digits stay."""
    for key, value in event.items():
        event[key] = _hide(value)
    return event


def _hide(value: Any) -> Any:
    if isinstance(value, str):
        return _NUMBER.sub(lambda match: "***" + match[0][-KEPT:], value)
    if isinstance(value, list | tuple):
        return [_hide(item) for item in value]
    if isinstance(value, dict):
        return {key: _hide(item) for key, item in value.items()}
    return value
