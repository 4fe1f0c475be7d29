"""Writes batches into the database, each in one transaction, together with the call records folded from it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, Engine, Executable, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbx.events.catalogue import Record, RecordingArchived
from pbx.events.folds.cdr import CdrFold
from pbx.events.folds.detail import CallDetail
from pbx.events.line import Line, parse_line

from . import tables as t
from .database import WriterLock
from .rows import make_cdr_row, make_recording_rows, make_segment_rows, make_topic_rows
from .writes import PutAnswer, PutBinding, PutCheckpoint, PutFold, PutVoicemail, Write

SNAPSHOT_EVERY = 10_000
"""Events between two snapshots of the fold: what a restart has to read again at most."""

_SQLITE_INSERT = "INSERT OR IGNORE INTO events (seq, at, type, call_id, topics, json) VALUES (?, ?, ?, ?, ?, ?)"
_POSTGRES_INSERT = (
    "INSERT INTO events (seq, at, type, call_id, topics, json) SELECT * FROM unnest"
    "(%s::bigint[], %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING"
)
_DELETE_CHECKPOINTS = delete(t.checkpoints).where(t.checkpoints.c.call_id == bindparam("of_call"))
_DELETE_SEGMENTS = delete(t.segments).where(t.segments.c.call_id == bindparam("of_call"))


class BatchWriter:
    """The one writer of a log. Used by one thread at a time; repeats of a batch are harmless."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._postgres = engine.dialect.name == "postgresql"
        self._lock = WriterLock(engine)
        self._connection: Connection | None = None
        self._fold = CdrFold()
        self._fold_seq = 0
        self._snapshot_seq = 0
        self._changed: dict[str, CallDetail] = {}

    def connect(self) -> Connection:
        """A connection that holds the writer's lock. Raises AlreadyWriting, or what SQLAlchemy raises."""
        connection = self._engine.connect()
        try:
            self._lock.acquire(connection)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def probe(self) -> Connection:
        """Like ``connect``, and the database takes writes: an SQLite that somebody locks does not."""
        connection = self.connect()
        if not self._postgres:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.rollback()
            except BaseException:
                connection.close()
                raise
        return connection

    def use(self, connection: Connection) -> None:
        """Write over this connection from now on."""
        self.drop()
        self._connection = connection

    def drop(self) -> None:
        """Let go of a connection that may be broken."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def cut(self) -> None:
        """From another thread: make a write that hangs fail. Only for PostgreSQL."""
        connection = self._connection
        if connection is None or not self._postgres:
            return
        try:
            line = socket.socket(fileno=os.dup(connection.connection.driver_connection.fileno()))  # type: ignore[union-attr]
        except Exception:  # closed in the meantime: there is nothing left to cut
            return
        with line:
            line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.drop()
        self._lock.release()

    def recover(self) -> None:
        """Bring the fold up to the last event in the database."""
        connection = self._require()
        row = connection.execute(select(t.folds.c.seq, t.folds.c.state).where(t.folds.c.name == "cdr")).one_or_none()
        if row is not None:
            self._fold, self._fold_seq = CdrFold(bytes(row.state)), row.seq
            self._snapshot_seq = row.seq
        query = select(t.events.c.json).where(t.events.c.seq > bindparam("since")).order_by(t.events.c.seq).limit(5000)
        decode = msgspec.json.Decoder(Record).decode
        while True:
            page = [decode(row.json) for row in connection.execute(query, {"since": self._fold_seq})]
            if not page:
                break
            self._apply(page)
        connection.rollback()
        if self._changed:
            self.write([])

    def save_fold(self) -> None:
        """Before a planned end: the next start has nothing to read again."""
        if self._fold_seq > self._snapshot_seq:
            self.write([(PutFold(name="cdr", seq=self._fold_seq, state=self._fold.snapshot()), None)])
            self._snapshot_seq = self._fold_seq

    def write(self, batch: Sequence[tuple[Write, Record | None]]) -> None:
        """Commit all of it or nothing. Raises what SQLAlchemy raises."""
        connection = self._require()
        lines: list[Line] = []
        others: dict[type, list[Any]] = {}
        archived: list[RecordingArchived] = []
        for write, record in batch:
            if type(write) is Line:
                lines.append(write)
                if write.type == RecordingArchived.__name__:
                    archived.append(cast(RecordingArchived, (record or parse_line(write)).event))
                if write.seq > self._fold_seq:
                    self._apply((record or parse_line(write),))
            else:
                others.setdefault(type(write), []).append(write)
        with connection.begin():
            if lines:
                self._insert_events(connection, lines)
            if self._changed:
                self._put_details(connection, list(self._changed.values()))
            if archived:
                self._move_recordings(connection, archived)
            self._put_others(connection, others)
            snapshot_due = self._fold_seq - self._snapshot_seq >= SNAPSHOT_EVERY
            if snapshot_due:
                self._put_folds(connection, [PutFold(name="cdr", seq=self._fold_seq, state=self._fold.snapshot())])
        self._changed.clear()
        if snapshot_due:
            self._snapshot_seq = self._fold_seq

    def _require(self) -> Connection:
        if self._connection is None:
            self._connection = self.connect()
        return self._connection

    def _apply(self, records: Iterable[Record]) -> None:
        for record in records:
            # Counted first: a record the fold chokes on must not stop the log when the batch is tried again.
            self._fold_seq = record.seq
            self._fold.apply(record)
        for detail in self._fold.take_changed():
            self._changed[detail.call] = detail

    def _insert_events(self, connection: Connection, lines: list[Line]) -> None:
        rows = [(li.seq, li.at, li.type, li.call or None, "\n".join(li.topics), li.json) for li in lines]
        if self._postgres:
            # One statement for the batch: executemany would cost a round trip's bookkeeping for every row.
            connection.exec_driver_sql(_POSTGRES_INSERT, tuple(list(column) for column in zip(*rows, strict=True)))
        else:
            connection.exec_driver_sql(_SQLITE_INSERT, rows)

    def _put_details(self, connection: Connection, details: list[CallDetail]) -> None:
        self._upsert(connection, t.cdr, [make_cdr_row(detail) for detail in details])
        if topics := [row for detail in details for row in make_topic_rows(detail)]:
            self._upsert(connection, t.cdr_topics, topics)
        connection.execute(_DELETE_SEGMENTS, [{"of_call": detail.call} for detail in details])
        if segments := [row for detail in details for row in make_segment_rows(detail)]:
            connection.execute(t.segments.insert(), segments)
        if recordings := [row for detail in details for row in make_recording_rows(detail)]:
            self._upsert(connection, t.recordings, recordings)

    def _move_recordings(self, connection: Connection, archived: list[RecordingArchived]) -> None:
        """Long after its call, when the fold has let go of it, a recording becomes another file."""
        connection.execute(
            update(t.recordings)
            .where(t.recordings.c.recording == bindparam("of_recording"))
            .values(path=bindparam("to_path"), size_bytes=bindparam("size"), sha256=bindparam("hash")),
            [
                {"of_recording": fact.recording, "to_path": fact.path, "size": fact.size_bytes, "hash": fact.sha256}
                for fact in archived
            ],
        )

    def _put_others(self, connection: Connection, others: dict[type, list[Any]]) -> None:
        if checkpoints := others.get(PutCheckpoint):
            self._put_checkpoints(connection, checkpoints)
        if bindings := others.get(PutBinding):
            self._put_bindings(connection, bindings)
        if folds := others.get(PutFold):
            self._put_folds(connection, folds)
        if voicemail := others.get(PutVoicemail):
            self._put_voicemail(connection, voicemail)
        if answers := others.get(PutAnswer):
            rows = {
                (put.user, put.request): {
                    "user_name": put.user,
                    "request": put.request,
                    "at": put.at,
                    "answer": put.answer,
                }
                for put in answers
            }
            self._upsert(connection, t.answers, list(rows.values()))

    def _put_checkpoints(self, connection: Connection, puts: list[PutCheckpoint]) -> None:
        last = {put.call: put.state for put in puts}
        if kept := [{"call_id": call, "state": state} for call, state in last.items() if state]:
            self._upsert(connection, t.checkpoints, kept)
        if gone := [{"of_call": call} for call, state in last.items() if not state]:
            connection.execute(_DELETE_CHECKPOINTS, gone)

    def _put_voicemail(self, connection: Connection, puts: list[PutVoicemail]) -> None:
        last = {put.key: put.state for put in puts}
        if kept := [{"key": key, "state": state} for key, state in last.items() if state]:
            self._upsert(connection, t.voicemail, kept)
        if gone := [{"of_key": key} for key, state in last.items() if not state]:
            connection.execute(delete(t.voicemail).where(t.voicemail.c.key == bindparam("of_key")), gone)

    def _put_bindings(self, connection: Connection, puts: list[PutBinding]) -> None:
        last = {(put.extension, put.contact): put for put in puts}
        kept = [
            {
                "extension": put.extension,
                "contact": put.contact,
                "expires_at": put.expires_at,
                "binding": put.binding,
            }
            for put in last.values()
            if put.binding
        ]
        if kept:
            self._upsert(connection, t.registrations, kept)
        if gone := [{"e": put.extension, "c": put.contact} for put in last.values() if not put.binding]:
            table = t.registrations
            statement = delete(table).where(table.c.extension == bindparam("e"), table.c.contact == bindparam("c"))
            connection.execute(statement, gone)

    def _put_folds(self, connection: Connection, puts: list[PutFold]) -> None:
        last = {put.name: {"name": put.name, "seq": put.seq, "state": put.state} for put in puts}
        self._upsert(connection, t.folds, list(last.values()))

    def _upsert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        connection.execute(_make_upsert(table, self._postgres), rows)


@cache
def _make_upsert(table: Table, postgres: bool) -> Executable:
    """Building the statement costs more than carrying it out, and each batch needs four."""
    insert = postgresql.insert(table) if postgres else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)
