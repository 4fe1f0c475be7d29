"""Searches call records and recordings. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Engine, Select, and_, exists, or_, select

from .log_reader import reading
from .tables import cdr, cdr_topics, recordings, segments


class CdrFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; empty fields do not matter. Times are seconds since 1970."""

    from_at: float | None = None
    to_at: float | None = None
    caller: str = ""
    """Beginning of the caller's number; with a leading ``*`` any part of it."""
    called: str = ""
    agent: str = ""
    queue: str = ""
    outcome: str = ""
    direction: str = ""
    device: str = ""
    disposition: str = ""
    visible: tuple[str, ...] | None = None
    """Topics one of which the call must have met; None: everything may be seen."""


class Page(msgspec.Struct, frozen=True):
    """Rows, newest first, and the cursor of the next page (empty at the end)."""

    rows: list[dict[str, Any]]
    next: str


_CDR_COLUMNS = [column for column in cdr.columns if column.name not in ("topics", "detail")]


class Records:
    """Call records and recordings. Raises StorageUnavailable where the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def search(self, wanted: CdrFilter, *, limit: int = 50, cursor: str = "") -> Page:
        """Calls that ended, newest first. Raises ValueError for a cursor that is none of ours."""
        query = select(*_CDR_COLUMNS).where(*_build_conditions(wanted))
        return self._page(query, cdr.c.started_at, cdr.c.call_id, limit, cursor)

    def read_call(self, call: str, visible: Sequence[str] | None = None) -> dict[str, Any] | None:
        """One record with its segments and the whole detail; None if there is none or it may not be seen."""
        with reading(self._engine) as connection:
            query = select(cdr).where(cdr.c.call_id == call, *_limit_to(visible))
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            parts = connection.execute(select(segments).where(segments.c.call_id == call).order_by(segments.c.n))
            found: dict[str, Any] = dict(row)
            found["detail"] = msgspec.json.decode(row["detail"])
            found["segments"] = [dict(part) for part in parts.mappings()]
            return found

    def search_recordings(self, wanted: CdrFilter, *, call: str = "", limit: int = 50, cursor: str = "") -> Page:
        """Recordings of the calls that ``wanted`` finds, newest first; ``agent`` and ``queue`` are the call's."""
        query = (
            select(recordings, cdr.c.caller, cdr.c.called, cdr.c.queue)
            .join(cdr, cdr.c.call_id == recordings.c.call_id)
            .where(*_build_conditions(wanted))
        )
        if call:
            query = query.where(recordings.c.call_id == call)
        return self._page(query, recordings.c.started_at, recordings.c.recording, limit, cursor)

    def find_recording(self, recording: str, visible: Sequence[str] | None = None) -> dict[str, Any] | None:
        """One recording of a call that ended, if it may be heard."""
        query = select(recordings).join(cdr, cdr.c.call_id == recordings.c.call_id)
        with reading(self._engine) as connection:
            row = (
                connection.execute(query.where(recordings.c.recording == recording, *_limit_to(visible)))
                .mappings()
                .one_or_none()
            )
            return dict(row) if row is not None else None

    def _page(self, query: Select[Any], at: Column[float], key: Column[str], limit: int, cursor: str) -> Page:
        if cursor:
            when, name = _parse_cursor(cursor)
            query = query.where(or_(at < when, and_(at == when, key < name)))
        query = query.order_by(at.desc(), key.desc()).limit(limit + 1)
        with reading(self._engine) as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        more = len(rows) > limit
        rows = rows[:limit]
        last = f"{rows[-1][at.name]!r}~{rows[-1][key.name]}" if more and rows else ""
        return Page(rows, last)


def _parse_cursor(cursor: str) -> tuple[float, str]:
    at, _, name = cursor.partition("~")
    try:
        return float(at), name
    except ValueError:
        raise ValueError("this is no cursor: expected what the page before gave as next") from None


def _build_conditions(wanted: CdrFilter) -> list[ColumnElement[bool]]:
    found = _limit_to(wanted.visible)
    if wanted.from_at is not None:
        found.append(cdr.c.started_at >= wanted.from_at)
    if wanted.to_at is not None:
        found.append(cdr.c.started_at < wanted.to_at)
    for column, text in ((cdr.c.caller, wanted.caller), (cdr.c.called, wanted.called)):
        if text.startswith("*"):
            found.append(column.contains(text[1:], autoescape=True))
        elif text:
            found.append(column.startswith(text, autoescape=True))
    for column, text in (
        (cdr.c.outcome, wanted.outcome),
        (cdr.c.direction, wanted.direction),
        (cdr.c.device, wanted.device),
        (cdr.c.disposition, wanted.disposition),
    ):
        if text:
            found.append(column == text)
    for kind, text in (("agent", wanted.agent), ("queue", wanted.queue)):
        if text:
            found.append(_met([f"{kind}:{text}"]))
    return found


def _limit_to(visible: Sequence[str] | None) -> list[ColumnElement[bool]]:
    return [] if visible is None else [_met(visible)]


def _met(topics: Sequence[str]) -> ColumnElement[bool]:
    """The call met one of these agents and queues."""
    return exists().where(cdr_topics.c.call_id == cdr.c.call_id, cdr_topics.c.topic.in_(topics))
