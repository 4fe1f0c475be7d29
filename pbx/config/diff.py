"""What changed between two configurations: for the report of a reload, and for what cannot change without a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from pydantic import BaseModel

from pbx.config.extensions import Ha1
from pbx.config.model import Configuration
from pbx.core.problems import Problem

RESTART = (
    "data_dir",
    "fetching",
    "gateways",
    "http.address",
    "http.port",
    "notices",
    "prompts",
    "recording.full_watermark",
    "recording.low_watermark",
    "rtp",
    "sip.reliable_provisional",
    "sip.session_timer",
    "sip.timers",
    "sip.udp_switch_bytes",
    "sources",
    "speech",
    "storage",
)
"""Beginnings of paths that are read only when the server starts."""

_HIDDEN = {"password_hash"}


class ReloadReport(msgspec.Struct, frozen=True):
    """What came of a reload; true if it was applied."""

    applied: bool
    changes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Why it was refused, of the configuration or its flows."""
    reason: str = ""
    """Why it was refused otherwise."""

    def __bool__(self) -> bool:
        return self.applied


class Change(NamedTuple):
    """One difference."""

    path: str
    """``queues.support.max_wait``; of a list the entry's own name, ``routes.inbound[+861055550100]``."""
    what: Literal["added", "removed", "changed"]
    before: str = ""
    after: str = ""

    @property
    def needs_restart(self) -> bool:
        """True where the running server goes on with the old value."""
        return any(self.path == start or self.path.startswith((f"{start}.", f"{start}[")) for start in RESTART)

    def __str__(self) -> str:
        if self.what == "changed":
            text = f"{self.path}: {self.before} -> {self.after}"
        else:
            text = f"{self.path}: {self.what}"
        return f"{text} (after a restart)" if self.needs_restart else text


def compare(old: Configuration, new: Configuration) -> tuple[Change, ...]:
    """Every difference, in the order of the fields. Never shows a secret."""
    return tuple(_compare("", old, new))


def _compare(path: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, BaseModel) and type(old) is type(new) and not isinstance(old, Ha1):
        for name in type(old).model_fields:
            inner = f"{path}.{name}" if path else name
            if name in _HIDDEN and getattr(old, name) != getattr(new, name):
                yield Change(inner, "changed", "(secret)", "(secret)")
            else:
                yield from _compare(inner, getattr(old, name), getattr(new, name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_mappings(path, old, new)
    elif _is_list_of_models(old, new):
        yield from _compare_mappings(path, _by_label(old), _by_label(new), brackets=True)
    else:
        yield Change(path, "changed", _show(old), _show(new))


def _compare_mappings(
    path: str, old: Mapping[str, Any], new: Mapping[str, Any], *, brackets: bool = False
) -> Iterator[Change]:
    common = [key for key in old if key in new]
    for key in [*old, *(key for key in new if key not in old)]:
        inner = f"{path}[{key}]" if brackets else f"{path}.{key}"
        if key not in new:
            yield Change(inner, "removed", _show(old[key]))
        elif key not in old:
            yield Change(inner, "added", "", _show(new[key]))
        else:
            yield from _compare(inner, old[key], new[key])
    if brackets and common != [key for key in new if key in old]:
        yield Change(path, "changed", "order " + ", ".join(old), "order " + ", ".join(new))


def _is_list_of_models(old: Any, new: Any) -> bool:
    if type(old) is not tuple or type(new) is not tuple:
        return False
    return all(isinstance(entry, BaseModel) for entry in (*old, *new))


def _by_label(entries: tuple[BaseModel, ...]) -> dict[str, BaseModel]:
    """The entries of a list by what a person would call them."""
    found: dict[str, BaseModel] = {}
    for entry in entries:
        name = next((str(getattr(entry, key)) for key in ("name", "did", "number", "trunk") if hasattr(entry, key)), "")
        label, count = name, 2
        while label in found:
            label, count = f"{name}#{count}", count + 1
        found[label] = entry
    return found


def _show(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, Ha1):
        return "(secret)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, BaseModel):
        given = [
            f"{name}: {_show(getattr(value, name))}"
            for name in type(value).model_fields
            if name in value.model_fields_set
        ]
        shown = [text for text in given if text.partition(":")[0] not in _HIDDEN]
        return "{" + ", ".join(shown) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) + "}"
    if type(value) is tuple:
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return str(value)
