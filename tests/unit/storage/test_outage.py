"""A database that is away, and a writer that is killed: nothing that was reported durable is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pbx.events.catalogue import Record
from pbx.events.line import Line, parse_line
from pbx.storage.database import StorageUnavailable
from pbx.storage.event_log import EventLog, StorageAlarm
from pbx.storage.journal import Journal, JournalFull
from pbx.testing.scenarios import make_history
from tests.unit.storage.postgres import Postgres

OpenLog = Callable[..., EventLog]


class Watcher:
    """Collects what the log reports; waits without a clock of its own."""

    def __init__(self) -> None:
        self.durable: list[int] = []
        self.alarms: list[str] = []
        self._changed = threading.Condition()

    def on_durable(self, lines: Sequence[tuple[Line, Record]]) -> None:
        with self._changed:
            self.durable += [record.seq for _, record in lines]
            self._changed.notify_all()

    def on_alarm(self, alarm: StorageAlarm) -> None:
        with self._changed:
            self.alarms.append(alarm.state)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout: float = 30) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout), (self.alarms, len(self.durable))


@pytest.mark.postgres
def test_a_stopped_database_loses_nothing_and_delays_nothing(
    postgres: Postgres, open_log: OpenLog, tmp_path: Path
) -> None:
    url, watcher = postgres.create_database(), Watcher()
    log = open_log(url, on_durable=watcher.on_durable, on_alarm=watcher.on_alarm)
    history = make_history(60)
    log.append(history[:200])
    watcher.wait(lambda: len(watcher.durable) == 200)
    postgres.stop()
    try:
        log.append(history[200:400])
        watcher.wait(lambda: len(watcher.durable) == 400)
        assert watcher.alarms == ["away"] and log.is_away
        log.append(history[400:500])
        watcher.wait(lambda: len(watcher.durable) == 500)
        assert len(Journal(tmp_path / "journal")) > 0
        assert [line.seq for line in log.read(300, 1000)] == list(range(301, 501))
        with pytest.raises(StorageUnavailable):
            log.reader.read(0, 10)
    finally:
        postgres.start()
    watcher.wait(lambda: watcher.alarms[-1] == "ok")
    log.append(history[500:])
    assert log.flush()
    assert watcher.durable == [record.seq for record in history]
    assert [parse_line(line) for line in log.reader.read(0, 10_000)] == history
    assert not (tmp_path / "journal").exists()


@pytest.mark.postgres
def test_a_start_takes_in_what_the_journal_holds(postgres: Postgres, tmp_path: Path) -> None:
    url, watcher = postgres.create_database(), Watcher()
    history = make_history(30)
    log = EventLog(url, journal=tmp_path / "journal", on_durable=watcher.on_durable, on_alarm=watcher.on_alarm)
    log.open()
    log.append(history[:100])
    watcher.wait(lambda: len(watcher.durable) == 100)
    postgres.stop()
    try:
        log.append(history[100:300])
        watcher.wait(lambda: len(watcher.durable) == 300)
        log.close()
        again = EventLog(url, journal=tmp_path / "journal")
        with pytest.raises(StorageUnavailable):
            again.open()
        again.close()
    finally:
        postgres.start()
    again = EventLog(url, journal=tmp_path / "journal")
    again.open()
    try:
        assert again.last_seq == 300
        again.append(history[300:])
        assert again.flush()
        assert [parse_line(line) for line in again.reader.read(0, 10_000)] == history
    finally:
        assert again.close()


@pytest.mark.postgres
def test_a_database_that_stopped_answering_is_away_too(postgres: Postgres, open_log: OpenLog) -> None:
    url, watcher = postgres.create_database(), Watcher()
    log = open_log(url, on_durable=watcher.on_durable, on_alarm=watcher.on_alarm, patience_s=0.5)
    history = make_history(20)
    log.append(history[:100])
    watcher.wait(lambda: len(watcher.durable) == 100)
    postgres.freeze(True)
    try:
        log.append(history[100:200])
        watcher.wait(lambda: len(watcher.durable) == 200)
        assert watcher.alarms == ["away"]
    finally:
        postgres.freeze(False)
    watcher.wait(lambda: watcher.alarms[-1] == "ok")
    log.append(history[200:])
    assert log.flush()
    assert [parse_line(line) for line in log.reader.read(0, 10_000)] == history


def test_a_locked_sqlite_is_away_until_it_is_free(open_log: OpenLog, tmp_path: Path) -> None:
    watcher = Watcher()
    url = f"sqlite:///{tmp_path}/tandem.db"
    log = open_log(url, on_durable=watcher.on_durable, on_alarm=watcher.on_alarm)
    history = make_history(10)
    other = sqlite3.connect(tmp_path / "tandem.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log.append(history[:50])
    watcher.wait(lambda: len(watcher.durable) == 50)
    assert watcher.alarms == ["away"]
    other.execute("ROLLBACK")
    other.close()
    watcher.wait(lambda: watcher.alarms[-1] == "ok")
    log.append(history[50:])
    assert log.flush()
    assert [parse_line(line) for line in log.reader.read(0, 10_000)] == history


def test_neither_database_nor_disk_and_still_nothing_lost(open_log: OpenLog, tmp_path: Path) -> None:
    watcher = Watcher()
    log = open_log(
        f"sqlite:///{tmp_path}/tandem.db",
        on_durable=watcher.on_durable,
        on_alarm=watcher.on_alarm,
        max_journal_bytes=100,
    )
    history = make_history(10)
    other = sqlite3.connect(tmp_path / "tandem.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log.append(history[:50])
    watcher.wait(lambda: "journal_failed" in watcher.alarms)
    assert watcher.durable == []
    other.execute("ROLLBACK")
    other.close()
    log.append(history[50:])
    watcher.wait(lambda: len(watcher.durable) == len(history))
    assert watcher.durable == [record.seq for record in history]
    assert log.flush() and log.lost == 0
    assert [parse_line(line) for line in log.reader.read(0, 10_000)] == history


KILLED = """
import sys
from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history

url, journal = sys.argv[1:]
def tell(lines):
    print(lines[-1][0].seq, flush=True)
log = EventLog(url, journal=__import__("pathlib").Path(journal), on_durable=tell)
log.open()
history = make_history(3000, start_seq=log.last_seq + 1)
print("ready", flush=True)
for start in range(0, len(history), 20):
    log.append(history[start:start + 20])
    log.flush()
"""


def test_what_was_reported_durable_survives_a_kill(url: str, open_log: OpenLog, tmp_path: Path) -> None:
    last = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, url, str(tmp_path / "journal")], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                if line != "ready\n":
                    last = int(line)
                if last % 997 > 600:
                    writer.send_signal(signal.SIGKILL)
                    break
            last = max([last, *(int(line) for line in writer.stdout.read().split() if line.isdigit())])
        log = open_log(url)
        assert log.last_seq >= last
        found = log.reader.read(0, 1_000_000)
        assert [line.seq for line in found] == list(range(1, log.last_seq + 1))
        assert log.close()
        last = log.last_seq


def test_the_journal_cuts_off_a_torn_line(tmp_path: Path, open_log: OpenLog) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    lines = [Line(seq=n, at=1.0, type="AgentReady", json="{}") for n in range(1, 4)]
    journal.append(lines[:2])
    journal.append(lines[2:])
    journal.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        again = Journal(path)
        found = list(again.read_all())
        again.close()
        assert found == lines[: whole[:cut].count(b"\n")]
    path.write_bytes(whole)
    full = Journal(path, max_bytes=len(whole) + 5)
    with pytest.raises(JournalFull):
        full.append(lines)
    assert list(full.read_all()) == lines and full.last_seq == 3
    full.close()


def test_appending_never_waits(open_log: OpenLog, tmp_path: Path) -> None:
    """Neither database nor journal takes anything: whoever waited for them would wait here for ever."""
    watcher = Watcher()
    log = open_log(f"sqlite:///{tmp_path}/tandem.db", max_journal_bytes=1, on_alarm=watcher.on_alarm)
    history = make_history(200)
    other = sqlite3.connect(tmp_path / "tandem.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for start in range(0, len(history), 10):
        log.append(history[start : start + 10])
    assert log.last_seq == len(history) and log.durable_seq == 0
    watcher.wait(lambda: "journal_failed" in watcher.alarms)
    assert log.durable_seq == 0
    other.execute("ROLLBACK")
    other.close()
    assert log.flush()


def test_a_row_the_database_refuses_is_kept_aside_and_the_rest_goes_on(open_log: OpenLog, tmp_path: Path) -> None:
    watcher = Watcher()
    log = open_log(f"sqlite:///{tmp_path}/tandem.db", on_durable=watcher.on_durable, on_alarm=watcher.on_alarm)
    with log.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.seq = 17 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    history = make_history(10)
    log.append(history)
    watcher.wait(lambda: len(watcher.durable) == len(history))
    assert watcher.alarms == ["rejected"] and watcher.durable == [record.seq for record in history]
    assert log.flush()
    kept = Journal(tmp_path / "journal.rejected")
    assert [write.seq for write in kept.read_all() if isinstance(write, Line)] == [17]
    kept.close()
    assert [line.seq for line in log.reader.read(0, 1000)] == [n for n in range(1, len(history) + 1) if n != 17]
    with log.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM cdr").scalar() == 10


def test_memory_has_an_end_and_says_so(open_log: OpenLog, tmp_path: Path) -> None:
    watcher = Watcher()
    log = open_log(f"sqlite:///{tmp_path}/tandem.db", max_journal_bytes=1, max_pending=100, on_alarm=watcher.on_alarm)
    other = sqlite3.connect(tmp_path / "tandem.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    history = make_history(40)
    log.append(history[:60])
    watcher.wait(lambda: "journal_failed" in watcher.alarms)
    log.append(history[60:120])
    log.append(history[120:])
    watcher.wait(lambda: "lost" in watcher.alarms)
    other.execute("ROLLBACK")
    other.close()
    assert log.flush() and 0 < log.lost < len(history)
