"""The contract of the event log, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pbx.events import catalogue as e
from pbx.events.catalogue import Record
from pbx.events.line import Line, parse_line
from pbx.storage.database import AlreadyWriting
from pbx.storage.event_log import EventLog
from pbx.storage.writes import PutAnswer, PutBinding, PutCheckpoint, PutFold
from pbx.testing.scenarios import make_history

OpenLog = Callable[..., EventLog]


def test_what_is_appended_is_read_in_order(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    history = make_history(40)
    for start in range(0, len(history), 7):
        log.append(history[start : start + 7])
    assert log.flush()
    assert [parse_line(line) for line in log.read(0, 10_000)] == history
    assert [line.seq for line in log.reader.read(100, 5)] == [101, 102, 103, 104, 105]
    assert log.reader.read_bounds() == (1, len(history))
    assert [parse_line(line) for line in log.reader.read(0, 10_000)] == history


def test_every_event_is_announced_once_after_it_is_durable(url: str, open_log: OpenLog) -> None:
    seen: list[int] = []
    stored: list[int] = []

    def check(lines: list[tuple[Line, Record]]) -> None:
        assert all(record.seq == line.seq for line, record in lines)
        seen.extend(line.seq for line, _ in lines)
        stored.append(log.reader.read_bounds()[1] - seen[-1])

    log = open_log(url, on_durable=check)
    log.append(make_history(10))
    assert log.flush()
    assert seen == list(range(1, log.last_seq + 1))
    assert set(stored) == {0}


def test_numbers_go_on_after_a_restart(url: str, open_log: OpenLog) -> None:
    history = make_history(20)
    log = open_log(url)
    assert log.last_seq == 0
    log.append(history[:100])
    assert log.close()
    log = open_log(url)
    assert log.last_seq == log.durable_seq == 100
    with pytest.raises(ValueError, match="event 150 does not follow 100"):
        log.append(history[149:])
    log.append(history[100:])
    assert log.flush()
    assert [parse_line(line) for line in log.read(0, 10_000)] == history


def test_a_call_is_read_whole(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    history = make_history(20)
    log.append(history)
    assert log.flush()
    wanted = [record for record in history if getattr(record.event, "call", "") == "c1-3"]
    assert [parse_line(line) for line in log.read_call("c1-3")] == wanted
    assert log.read_call("nobody") == []


def test_topics_do_not_depend_on_restarts(url: str, open_log: OpenLog) -> None:
    history = make_history(60)
    log = open_log(url)
    log.append(history[:333])
    assert log.close()
    log = open_log(url)
    log.append(history[333:])
    assert log.flush()
    from pbx.events.folds.topics import TopicFold

    fold = TopicFold()
    expected = [fold.apply(record).topics for record in history]
    assert [line.topics for line in log.reader.read(0, 10_000)] == expected


def test_one_writer_only(url: str, open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(url)
    second = EventLog(url, journal=tmp_path / "second")
    with pytest.raises(AlreadyWriting):
        second.open()
    second.close()
    log.append([Record(1, 1.0, e.AgentReady(agent="a"))])
    assert log.close()
    open_log(url)


def test_state_beside_the_events(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    written = threading.Event()
    log.put(PutCheckpoint(call="c1", state=b"\x00one"))
    log.put(PutCheckpoint(call="c2", state=b"two"))
    log.put(PutCheckpoint(call="c1", state=b"\xff\x00newer"))
    log.put(PutCheckpoint(call="c2"))
    log.put(PutBinding(extension="1001", contact="sip:a@192.0.2.1", expires_at=2000.0, binding="{}"))
    log.put(PutBinding(extension="1001", contact="sip:b@192.0.2.1", expires_at=1000.0, binding="{}"))
    log.put(PutBinding(extension="1002", contact="sip:c@192.0.2.1", expires_at=3000.0, binding="{}"))
    log.put(PutBinding(extension="1002", contact="sip:c@192.0.2.1"))
    log.put(PutFold(name="live", seq=7, state=b"state"))
    log.put(PutAnswer(user="anna", request="r1", at=5.0, answer="{}"), written.set)
    assert written.wait(10)
    assert log.reader.read_checkpoints() == {"c1": b"\xff\x00newer"}
    bindings = log.reader.read_bindings(1500.0)
    assert [(put.extension, put.contact) for put in bindings] == [("1001", "sip:a@192.0.2.1")]
    assert log.reader.read_fold("live") == (7, b"state")
    assert log.reader.read_fold("none") == (0, b"")
    assert log.reader.read_answers(4.0) == [("anna", "r1", 5.0, "{}")]
    assert log.reader.read_answers(6.0) == []


def test_half_characters_and_zero_bytes_are_no_reason_to_lose_a_fact(url: str, open_log: OpenLog) -> None:
    alarms: list[object] = []
    log = open_log(url, on_alarm=alarms.append)
    odd = e.Offered(
        call="c\x00\udcff1",
        leg="l",
        direction="inbound",
        device="trunk:x",
        caller="a\x00b",
        called="\udce4",
        caller_name="",
    )
    log.append([Record(1, 1.0, odd), Record(2, 2.0, e.AgentReady(agent="a\x00b"))])
    assert log.flush()
    lines = log.reader.read(0, 10)
    assert [line.seq for line in lines] == [1, 2]
    assert msgspec.json.decode(lines[0].json)["event"]["caller"] == "a\ufffdb"
    assert alarms == []


def test_retention_deletes_from_the_old_end(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    history = make_history(20)
    log.append(history)
    assert log.flush()
    middle = history[150].at
    gone = log.reader.forget(middle, chunk=40)
    assert gone == sum(record.at < middle for record in history)
    assert log.reader.read_bounds() == (gone + 1, len(history))
    with log.engine.connect() as connection:
        ended = connection.exec_driver_sql("SELECT min(ended_at) FROM cdr").scalar()
    assert ended is not None and ended >= middle


def test_numbers_go_on_even_if_everything_was_deleted(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    log.append(make_history(5))
    last = log.last_seq
    assert log.flush() and log.reader.forget(9e9) == last - 1
    assert log.close()
    assert open_log(url).last_seq == last


def test_the_audit_trail_is_found_by_type(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    entry = e.AuditEntry(user="susan", action="recording_heard", object="r1")
    log.append(
        [Record(1, 1.0, e.AgentReady(agent="a")), Record(2, 2.0, entry), Record(3, 3.0, e.AgentReady(agent="b"))]
    )
    assert log.flush()
    assert [parse_line(line).event for line in log.reader.read(0, 10, kind="AuditEntry")] == [entry]
    assert [line.seq for line in log.reader.read(0, 2, newest=True)] == [2, 3]
