"""The one event log: appended to without ever waiting, written in batches by a thread of its own.

    append ──► queue ──► writer thread ──► database      then ``on_durable`` in the event loop
                              └─ away? ──► journal file ─┘  (and into the database when it is back)

An event is durable once it is in the database or in the journal: from then on a ``kill -9`` does not lose it.
Nothing else may be told to a client.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from sqlalchemy import Connection

from pbx.events.catalogue import CallEvent, Record, decode_record, encode_record
from pbx.events.folds.topics import TopicFold
from pbx.events.line import Line, parse_line

from .batch import SNAPSHOT_EVERY, BatchWriter
from .database import AlreadyWriting, StorageUnavailable, is_away, migrate, open_engine
from .journal import Journal, JournalFull
from .log_reader import LogReader
from .writes import PutFold, Write

MAX_BATCH = 4000
TAIL = 20_000
"""Newest durable events kept in memory, for readers who are a little behind."""
TAIL_AT_START = 3000

Durable: TypeAlias = tuple[Line, Record]
_Item: TypeAlias = tuple[Write, Record | None, Callable[[], None] | None]


class StorageAlarm(msgspec.Struct, frozen=True):
    """Something an operator must know about the storage."""

    state: Literal["ok", "away", "journal_failed", "lost", "rejected"]
    """ok: the database is back and has everything; away: the journal takes its place; journal_failed: that cannot be
    written either and events wait in memory; lost: more than memory may hold; rejected: the database refused a row."""
    detail: str


def call_now(callback: Callable[..., object], *args: Any) -> None:
    callback(*args)


class EventLog:
    """``post`` brings a callback into the event loop (``loop.call_soon_threadsafe``); by default it is called in the
    writer's thread. ``on_durable`` gets (line, record) pairs in order, each once. ``linger_s`` is how long a batch
    waits for company, ``patience_s`` how long a PostgreSQL that stands still is waited for."""

    def __init__(
        self,
        url: str,
        *,
        journal: Path,
        password: str = "",
        synchronous: str = "FULL",
        linger_s: float = 0.01,
        patience_s: float = 4.0,
        max_pending: int = 500_000,
        max_journal_bytes: int = 2 << 30,
        post: Callable[..., object] = call_now,
        on_durable: Callable[[Sequence[Durable]], None] = lambda lines: None,
        on_alarm: Callable[[StorageAlarm], None] = lambda alarm: None,
    ) -> None:
        self.engine = open_engine(url, password=password, synchronous=synchronous)
        self.reader = LogReader(self.engine)
        self._writer = BatchWriter(self.engine)
        self._journal_path = journal
        self._max_journal = max_journal_bytes
        self._journal: Journal | None = None
        self._linger = linger_s
        self._patience = patience_s
        self._max_pending = max_pending
        self._post = post
        self._on_durable = on_durable
        self._on_alarm = on_alarm
        self._topics = TopicFold()
        self._snapshot_seq = 0
        self._pending: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._idle = True
        self._closing = False
        self._thread: threading.Thread | None = None
        self._away = False
        self._back: Connection | None = None
        self._probing: threading.Thread | None = None
        self._watching: threading.Thread | None = None
        self._writing_since = 0.0
        self._unsaved: list[_Item] = []
        self._last_seq = 0
        self._durable_seq = 0
        self._tail: list[Line] = []
        self.lost = 0
        """Events dropped because neither database nor disk took them for too long."""

    # --- life -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Lock, migrate, take in what a journal holds, start the writer. Blocks.

        Raises StorageUnavailable, or AlreadyWriting where another server has this log.
        """
        migrate(self.engine)
        try:
            self._writer.use(self._connect(self._writer.connect))
            self._writer.recover()
            self._journal = Journal(self._journal_path, max_bytes=self._max_journal)
            self._drain_journal()
            self._recover_topics()
        except AlreadyWriting:
            raise
        except Exception as error:
            if is_away(error):
                raise StorageUnavailable(str(error)) from error
            raise
        # After a restart everybody comes back at once and is a little behind: that is answered from memory.
        self._tail = self.reader.read(0, TAIL_AT_START, newest=True)
        self._last_seq = self._durable_seq = self._tail[-1].seq if self._tail else 0
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()
        if self.engine.dialect.name == "postgresql":
            self._watching = threading.Thread(target=self._watch, name="event-log-watch", daemon=True)
            self._watching.start()

    def close(self, timeout: float = 10.0) -> bool:
        """Write what is pending and stop. False if that took longer than ``timeout`` seconds."""
        if self._thread is not None and self._last_seq > self._snapshot_seq:
            self.put(PutFold(name="topics", seq=self._last_seq, state=self._topics.snapshot()))
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        done = True
        if self._thread is not None:
            self._thread.join(timeout)
            done = not self._thread.is_alive()
        for helper in (self._probing, self._watching):
            if helper is not None:
                helper.join(timeout)
        if done:
            if self._back is not None:
                self._back.close()
            self._writer.close()
            self.engine.dispose()
            if self._journal is not None:
                self._journal.close()
        return done

    # --- writing --------------------------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """Number of the last event appended; after ``open`` that of the last one kept."""
        return self._last_seq

    @property
    def durable_seq(self) -> int:
        return self._durable_seq

    @property
    def pending(self) -> int:
        """Writes that are not on disk yet."""
        return len(self._pending) + len(self._unsaved)

    @property
    def is_away(self) -> bool:
        """The database is away and the journal takes its place."""
        return self._away

    def append(self, records: Sequence[Record]) -> None:
        """Takes the records in order and returns at once. ``seq`` must count on from ``last_seq``."""
        items: list[_Item] = []
        for record in records:
            if record.seq != self._last_seq + 1:
                raise ValueError(f"event {record.seq} does not follow {self._last_seq}")
            self._last_seq = record.seq
            items.append((*self._make_line(record), None))
        # A snapshot is as large as the calls of the last quarter of an hour are many: fewer of them the more there are.
        if self._last_seq - self._snapshot_seq >= max(SNAPSHOT_EVERY, 2 * len(self._topics)):
            self._snapshot_seq = self._last_seq
            items.append((PutFold(name="topics", seq=self._last_seq, state=self._topics.snapshot()), None, None))
        self._put(items)

    def put(self, write: Write, done: Callable[[], None] | None = None) -> None:
        """State that is kept beside the events, in order with them; ``done`` is posted once it is durable."""
        self._put([(write, None, done)])

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything appended so far is durable. For tests and shutdown; blocks."""
        with self._wake:
            return self._wake.wait_for(lambda: self._idle and not self._pending and not self._unsaved, timeout)

    def _make_line(self, record: Record) -> Durable:
        record, json = _encode(record)
        event = record.event
        concerned = self._topics.apply(record)
        line = Line(
            seq=record.seq,
            at=record.at,
            type=type(event).__name__,
            call=event.call if isinstance(event, CallEvent) else "",
            topics=concerned.topics,
            joined=concerned.joined,
            json=json,
        )
        return line, record

    def _put(self, items: list[_Item]) -> None:
        with self._wake:
            if len(self._pending) + len(items) > self._max_pending:
                self.lost += len(items)
                self._post(self._on_alarm, StorageAlarm("lost", f"{self.lost} events could be kept nowhere"))
                return
            self._pending.extend(items)
            self._wake.notify_all()

    # --- reading --------------------------------------------------------------------------------------------------

    def read(self, since: int, limit: int = 1000) -> list[Line]:
        """Up to ``limit`` durable events after ``since``; fewer only at the end.

        The first may be later than ``since + 1`` where retention deleted some. Blocks unless the events are recent.
        Raises StorageUnavailable.
        """
        recent = self.read_recent(since, limit)
        if recent is not None:
            return recent
        upto = self._durable_seq
        found = self.reader.read(since, limit)
        if not found and since < upto:
            raise StorageUnavailable("the database is being brought up to date")
        return found

    def read_recent(self, since: int, limit: int = 1000) -> list[Line] | None:
        """The same from memory, at once; None where memory does not reach back that far."""
        with self._wake:
            if since >= self._durable_seq:
                return []
            if not self._tail or self._tail[0].seq > since + 1:
                return None
            start = bisect_right(self._tail, since, key=lambda line: line.seq)
            return self._tail[start : start + limit]

    def read_call(self, call: str) -> list[Line]:
        """All durable events of a call. Blocks. Raises StorageUnavailable."""
        stored = self.reader.read_call(call)
        last = stored[-1].seq if stored else 0
        with self._wake:
            return stored + [line for line in self._tail if line.seq > last and line.call == call]

    # --- the writer's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        written = 0.0
        while True:
            # Grouping what arrives within a few milliseconds saves most of the commits at a moderate load.
            if not self._away and not self._closing and time.monotonic() - written < self._linger:
                time.sleep(self._linger)
            items = self._take()
            if items is None:
                break
            if self._back is not None:
                self._come_back()
            self._save(items)
            written = time.monotonic()
            with self._wake:
                self._idle = True
                self._wake.notify_all()
        if self._away:
            self._spill([])
            return
        try:
            self._writer.save_fold()
        except Exception as error:
            self._post(self._on_alarm, StorageAlarm("away", str(error)))

    def _take(self) -> list[_Item] | None:
        with self._wake:
            if not self._pending and not self._closing:
                self._wake.wait_for(lambda: self._pending or self._closing, 0.2 if self._away else None)
            if not self._pending and self._closing:
                return None
            items = [self._pending.popleft() for _ in range(min(MAX_BATCH, len(self._pending)))]
            self._idle = False
            return items

    def _save(self, items: list[_Item]) -> None:
        if not items and not self._unsaved:
            return
        if not self._away:
            items, self._unsaved = self._unsaved + items, []
            try:
                self._write([(write, record) for write, record, _ in items])
                self._report(items)
                return
            except Exception as error:
                if not is_away(error):
                    self._save_singly(items, error)
                    return
                self._go_away(error)
        self._spill(items)

    def _write(self, batch: Sequence[tuple[Write, Record | None]]) -> None:
        self._writing_since = time.monotonic()
        try:
            self._writer.write(batch)
        finally:
            self._writing_since = 0.0

    def _watch(self) -> None:
        """A server that stands still keeps its connections: cut ours, so that the writer sees it is away."""
        while not self._closing:
            with self._wake:
                self._wake.wait_for(lambda: self._closing, self._patience / 4)
            since = self._writing_since
            if since and time.monotonic() - since > self._patience:
                self._writer.cut()

    def _save_singly(self, items: list[_Item], error: Exception) -> None:
        """The database refused the batch: find the row it cannot take, keep it in a file, go on."""
        if len(items) == 1:
            rejected = Journal(self._journal_path.with_suffix(".rejected"))
            rejected.append([items[0][0]])
            rejected.close()
            self._post(self._on_alarm, StorageAlarm("rejected", f"{error.__class__.__name__}: kept in {rejected.path}"))
            self._report(items)
            return
        half = len(items) // 2
        self._save(items[:half])
        self._save(items[half:])

    def _spill(self, items: list[_Item]) -> None:
        assert self._journal is not None
        items = self._unsaved + items
        self._unsaved = []
        try:
            self._journal.append([write for write, _, _ in items])
        except (OSError, JournalFull) as error:
            self._unsaved = items
            if len(items) > self._max_pending:
                self.lost += len(items) - self._max_pending
                self._unsaved = items[: self._max_pending]
                self._post(self._on_alarm, StorageAlarm("lost", f"{self.lost} events could be kept nowhere"))
            self._post(self._on_alarm, StorageAlarm("journal_failed", str(error)))
            time.sleep(0.2)
            return
        self._report(items)

    def _report(self, items: list[_Item]) -> None:
        lines = [(write, record) for write, record, _ in items if type(write) is Line and record is not None]
        with self._wake:
            if lines:
                self._tail.extend(line for line, _ in lines)
                if len(self._tail) > 2 * TAIL:
                    del self._tail[:-TAIL]
                self._durable_seq = lines[-1][0].seq
        if lines:
            self._post(self._on_durable, lines)
        for _, _, done in items:
            if done is not None:
                self._post(done)

    # --- a database that is away ----------------------------------------------------------------------------------

    def _go_away(self, error: Exception) -> None:
        self._away = True
        self._writer.drop()
        self._post(self._on_alarm, StorageAlarm("away", f"{error.__class__.__name__}: {getattr(error, 'orig', error)}"))
        self._probe()

    def _probe(self) -> None:
        """Trying to connect may take seconds: that is another thread's business, so that the journal goes on."""
        self._probing = threading.Thread(target=self._try_connecting, name="event-log-probe", daemon=True)
        self._probing.start()

    def _try_connecting(self) -> None:
        while not self._closing:
            try:
                self._back = self._connect(self._writer.probe)
                return
            except Exception as error:
                if not is_away(error) and not isinstance(error, AlreadyWriting):
                    self._post(self._on_alarm, StorageAlarm("away", str(error)))
            with self._wake:
                self._wake.wait_for(lambda: self._closing, 0.3)

    def _connect(self, connect: Callable[[], Connection]) -> Connection:
        """The lock of a predecessor that was killed takes a moment to go."""
        for attempt in range(20):
            try:
                return connect()
            except AlreadyWriting:
                if attempt == 19 or self._closing:
                    raise
                time.sleep(0.1)
        raise AssertionError("unreachable")

    def _come_back(self) -> None:
        connection, self._back = self._back, None
        assert connection is not None
        self._writer.use(connection)
        try:
            self._drain_journal()
        except Exception as error:
            if not is_away(error):
                self._post(self._on_alarm, StorageAlarm("rejected", f"{error.__class__.__name__}: {error}"))
            self._writer.drop()
            self._probe()
            return
        self._away = False
        self._post(self._on_alarm, StorageAlarm("ok", "the database is back and has everything"))

    def _drain_journal(self) -> None:
        """Into the database with it. What arrives meanwhile is put behind it, so that nobody waits."""
        assert self._journal is not None
        offset = 0
        while True:
            writes, offset = self._journal.read(offset)
            if not writes:
                break
            self._write([(write, None) for write in writes])
            if self._away and (self._pending or self._unsaved):
                self._spill(self._take() or [])
        self._journal.clear()

    # --- topics ---------------------------------------------------------------------------------------------------

    def _recover_topics(self) -> None:
        seq, state = self.reader.read_fold("topics")
        self._topics, self._snapshot_seq = TopicFold(state), seq
        while page := self.reader.read(seq, 5000):
            for line in page:
                self._topics.apply(parse_line(line))
            seq = page[-1].seq


def _encode(record: Record) -> tuple[Record, str]:
    """The record as JSON. What a phone sends may hold half a character or a zero byte, which no database takes: such a
    record is cleaned and not refused."""
    try:
        json = encode_record(record)
        if b"\\u0000" not in json:
            return record, json.decode()
    except UnicodeEncodeError:
        pass
    json = msgspec.json.encode(_clean_deep(msgspec.to_builtins(record)))
    return decode_record(json), json.decode()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _clean_deep(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean_deep(key): _clean_deep(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean_deep(item) for item in value]
    return value
