"""Walking the options of steps: every template, expression or prompt piece with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")
Path = tuple[str | int, ...]


def find_all(holder: Any, kind: type[T], path: Path = ()) -> Iterator[tuple[Path, T]]:
    """All values of ``kind`` in options, with their path as an admin wrote it."""
    if isinstance(holder, kind):
        yield path, holder
    if isinstance(holder, BaseModel):
        for name, field in type(holder).model_fields.items():
            yield from find_all(getattr(holder, name), kind, (*path, field.alias or name))
    elif isinstance(holder, dict):
        for key, value in holder.items():
            yield from find_all(value, kind, (*path, key))
    elif isinstance(holder, list | tuple):
        for index, value in enumerate(holder):
            yield from find_all(value, kind, (*path, index))
