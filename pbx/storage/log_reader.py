"""Reads the event log; blocking, so call it from a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, select

from pbx.events.line import Line

from .database import StorageUnavailable, is_away
from .tables import answers, cdr, cdr_topics, checkpoints, events, folds, recordings, registrations, segments, voicemail
from .writes import PutBinding

_COLUMNS = select(events.c.seq, events.c.at, events.c.type, events.c.call_id, events.c.topics, events.c.json)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with. Raises StorageUnavailable where the database is away."""
    try:
        with engine.connect() as connection:
            yield connection
    except Exception as error:
        if is_away(error):
            raise StorageUnavailable(f"the database is not available: {error.__class__.__name__}") from error
        raise


class LogReader:
    """What is in the database; the newest durable events may still be on their way (see EventLog.read)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, since: int, limit: int, *, kind: str = "", newest: bool = False) -> list[Line]:
        """Up to ``limit`` events after ``since`` in order, of type ``kind`` if given. ``newest``: the last ones."""
        query = _COLUMNS.where(events.c.seq > since)
        if kind:
            query = query.where(events.c.type == kind)
        query = query.order_by(events.c.seq.desc() if newest else events.c.seq).limit(limit)
        found = self._fetch(query)
        return found[::-1] if newest else found

    def read_call(self, call: str, *, limit: int = 100_000) -> list[Line]:
        """All events of a call."""
        return self._fetch(_COLUMNS.where(events.c.call_id == call).order_by(events.c.seq).limit(limit))

    def read_bounds(self) -> tuple[int, int]:
        """First and last number kept; (0, 0) for an empty log."""
        with reading(self._engine) as connection:
            first, last = connection.execute(select(func.min(events.c.seq), func.max(events.c.seq))).one()
            return first or 0, last or 0

    def read_fold(self, name: str) -> tuple[int, bytes]:
        """(seq, state) of a fold's last snapshot; (0, b"") if there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(select(folds.c.seq, folds.c.state).where(folds.c.name == name)).one_or_none()
            return (row.seq, bytes(row.state)) if row is not None else (0, b"")

    def read_checkpoints(self) -> dict[str, bytes]:
        """Calls to take back after a restart."""
        with reading(self._engine) as connection:
            return {row.call_id: bytes(row.state) for row in connection.execute(select(checkpoints))}

    def read_bindings(self, wall: float) -> list[PutBinding]:
        """Registrations that have not run out at ``wall``."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(registrations).where(registrations.c.expires_at > wall))
            return [PutBinding(**row) for row in rows.mappings()]

    def read_voicemail(self) -> dict[str, str]:
        """What :class:`PutVoicemail` kept, by key."""
        with reading(self._engine) as connection:
            return {row.key: row.state for row in connection.execute(select(voicemail))}

    def read_answers(self, since_at: float) -> list[tuple[str, str, float, str]]:
        """(user, request, at, answer) of commands answered since, oldest first."""
        with reading(self._engine) as connection:
            query = select(answers).where(answers.c.at >= since_at).order_by(answers.c.at)
            return [(row.user_name, row.request, row.at, row.answer) for row in connection.execute(query)]

    def forget(self, before: float, *, chunk: int = 5000) -> int:
        """Delete what is older than ``before`` (wall clock) from the log, call records, recordings' table and answers.

        Returns how many events went. The files of recordings are somebody else's."""
        gone = 0
        while True:
            with reading(self._engine) as connection, connection.begin():
                # The last one stays, whatever its age: numbers go on from it.
                newest = select(func.max(events.c.seq)).scalar_subquery()
                old = select(events.c.seq).where(events.c.at < before, events.c.seq < newest)
                old = old.order_by(events.c.seq).limit(chunk)
                count = connection.execute(delete(events).where(events.c.seq.in_(old.scalar_subquery()))).rowcount
                gone += count
            if count < chunk:
                break
        with reading(self._engine) as connection, connection.begin():
            past = select(cdr.c.call_id).where(cdr.c.ended_at < before)
            connection.execute(delete(cdr_topics).where(cdr_topics.c.call_id.in_(past)))
            connection.execute(delete(segments).where(segments.c.call_id.in_(past)))
            connection.execute(delete(cdr).where(cdr.c.ended_at < before))
            connection.execute(delete(recordings).where(recordings.c.started_at < before))
            connection.execute(delete(answers).where(answers.c.at < before))
        return gone

    def _fetch(self, query: Select[Any]) -> list[Line]:
        with reading(self._engine) as connection:
            return [
                Line(
                    seq=row.seq,
                    at=row.at,
                    type=row.type,
                    call=row.call_id or "",
                    topics=tuple(row.topics.split("\n")) if row.topics else (),
                    json=row.json,
                )
                for row in connection.execute(query)
            ]
