"""Deleting what is older than the configuration wants it kept: events, call records, the list of recordings."""

from __future__ import annotations

from sqlalchemy import Engine, delete, func, select

from pbx.storage import tables as t

BATCH = 2000
"""Rows of a table deleted in one transaction: the log's writer waits for no longer than that takes."""


def delete_before(engine: Engine, before: float, *, limit: int = BATCH) -> int:
    """Delete at most ``limit`` rows of each table that are older than ``before`` (seconds since 1970). Blocks.

    The newest event stays, because numbering goes on from it, and so does every event that a fold still has to read.
    Returns the number of rows; 0 means that nothing is left to delete.
    """
    with engine.begin() as connection:
        oldest = connection.execute(select(func.min(t.events.c.seq))).scalar()
        newest = connection.execute(select(func.max(t.events.c.seq))).scalar()
        if oldest is None or newest is None:
            return 0
        folded = connection.execute(select(func.min(t.folds.c.seq))).scalar()
        last = min(oldest + limit - 1, newest - 1, newest if folded is None else folded)
        count = connection.execute(delete(t.events).where(t.events.c.seq <= last, t.events.c.at < before)).rowcount
        calls = [
            str(call)
            for call in connection.execute(
                select(t.cdr.c.call_id).where(t.cdr.c.ended_at < before).limit(limit)
            ).scalars()
        ]
        recordings = [
            str(recording)
            for recording in connection.execute(
                select(t.recordings.c.recording).where(t.recordings.c.started_at < before).limit(limit)
            ).scalars()
        ]
        if calls:
            connection.execute(delete(t.segments).where(t.segments.c.call_id.in_(calls)))
            connection.execute(delete(t.cdr).where(t.cdr.c.call_id.in_(calls)))
        if recordings:
            connection.execute(delete(t.recordings).where(t.recordings.c.recording.in_(recordings)))
        return count + len(calls) + len(recordings)
