"""Searching call records and recordings, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pbx.events.catalogue import Record, RecordingArchived
from pbx.storage.event_log import EventLog
from pbx.storage.records import CdrFilter, Records
from pbx.testing.scenarios import make_history

OpenLog = Callable[..., EventLog]


@pytest.fixture
def records(url: str, open_log: OpenLog) -> Records:
    log = open_log(url)
    log.append(make_history(70, agents=5))
    assert log.flush()
    return Records(log.engine)


def find(records: Records, **wanted: object) -> list[str]:
    page = records.search(CdrFilter(**wanted), limit=1000)  # type: ignore[arg-type]
    return [row["call_id"] for row in page.rows]


def test_pages_neither_skip_nor_repeat(records: Records) -> None:
    found: list[str] = []
    cursor, pages = "", 0
    while True:
        page = records.search(CdrFilter(), limit=9, cursor=cursor)
        found += [row["call_id"] for row in page.rows]
        pages += 1
        cursor = page.next
        if not cursor:
            break
    assert pages == 8 and len(found) == len(set(found)) == 70
    with pytest.raises(ValueError, match="no cursor"):
        records.search(CdrFilter(), cursor="nonsense")


def test_filters(records: Records) -> None:
    assert len(find(records, outcome="abandoned")) == 10
    assert len(find(records, queue="support")) == 35
    assert len(find(records, agent="1001", outcome="answered")) == 12
    assert find(records, agent="100") == []
    some = records.search(CdrFilter(), limit=30).rows
    middle = some[15]["started_at"]
    assert len(find(records, from_at=middle)) == 16
    assert len(find(records, to_at=middle)) == 70 - 16
    number = some[3]["caller"]
    assert some[3]["call_id"] in find(records, caller=number[:7])
    assert some[3]["call_id"] in find(records, caller="*" + number[-6:])
    for odd in ("%", "_", "*%", "' OR 1=1 --", "\n"):
        assert find(records, caller=odd) == [] and find(records, agent=odd) == []


def test_only_what_may_be_seen(records: Records) -> None:
    everything = find(records)
    assert set(find(records, visible=("agent:1001",))) < set(everything)
    assert find(records, visible=()) == []
    many = tuple(f"agent:x{n}" for n in range(3000))
    assert find(records, visible=many) == []
    assert find(records, visible=(*many, "queue:support")) == find(records, queue="support")
    (call, *_) = find(records, agent="1001", outcome="answered")
    assert records.read_call(call, ("agent:1002",)) is None
    assert records.find_recording(f"{call}-r", ("agent:1002",)) is None
    whole = records.read_call(call, ("agent:1001",))
    assert whole is not None and whole["detail"]["call"] == call and len(whole["segments"]) == 4
    recording = records.find_recording(f"{call}-r", ("agent:1001",))
    assert recording is not None and (recording["call_id"], recording["state"]) == (call, "completed")
    assert records.find_recording("none") is None and records.read_call("none") is None


def test_recordings_of_calls(records: Records) -> None:
    page = records.search_recordings(CdrFilter(queue="sales"), limit=1000)
    assert len(page.rows) == 30 and {row["queue"] for row in page.rows} == {"sales"}
    (one,) = records.search_recordings(CdrFilter(), call="c1-3").rows
    assert one["recording"] == "c1-3-r"


def test_a_recording_moves_into_its_archive(url: str, open_log: OpenLog) -> None:
    """At once while the call is remembered, and long after."""
    log = open_log(url)
    history = make_history(3, agents=1)
    log.append(history)
    records = Records(log.engine)
    for number, later in ((0, 1.0), (1, 30 * 86400.0)):
        fact = RecordingArchived(
            call=f"c1-{number}", recording=f"c1-{number}-r", path="x.flac", format="flac", size_bytes=9, sha256="cd"
        )
        last = history[-1]
        log.append([Record(seq=last.seq + 1 + number, at=last.at + later, event=fact)])
        assert log.flush()
        found = records.find_recording(fact.recording)
        assert found is not None
        assert (found["path"], found["size_bytes"], found["sha256"], found["state"]) == ("x.flac", 9, "cd", "completed")


def test_a_record_is_written_again_when_more_is_known(url: str, open_log: OpenLog) -> None:
    log = open_log(url)
    history = make_history(1, agents=1)
    ended = next(n for n, record in enumerate(history) if type(record.event).__name__ == "CallCleared") + 1
    log.append(history[:ended])
    assert log.flush()
    records = Records(log.engine)
    before = records.read_call("c1-0")
    assert before is not None and (before["disposition"], before["detail"]["recordings"][0].get("state")) == ("", None)
    log.append(history[ended:])
    assert log.flush()
    after = records.read_call("c1-0")
    assert after is not None and (after["disposition"], after["detail"]["recordings"][0]["state"]) == (
        "solved",
        "completed",
    )
