"""Folding the whole log, and folding the rest onto a snapshot, give the same; and no order of events breaks a fold."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.events.catalogue import AnyEvent, Record
from pbx.events.folds.cdr import CdrFold
from pbx.events.folds.live import LiveFold
from pbx.events.folds.topics import TopicFold
from pbx.storage.rows import make_cdr_row, make_recording_rows, make_segment_rows
from pbx.testing.scenarios import make_history

HISTORY = make_history(40, seed=5)
T = 1_795_000_000.0

NAMES = {
    "call": ("c1", "c2", "c3"),
    "leg": ("l1", "l2", "l3"),
    "agent": ("", "a1", "a2"),
    "queue": ("q1", "q2"),
    "item": ("c1", "c2"),
    "entry": ("", "e1", "e2"),
    "offer": ("o1", "o2"),
    "recording": ("r1", "r2"),
    "device": ("trunk:x", "extension:1"),
    "flow": ("main", "night"),
    "reason": ("answered", "abandoned", "closed"),
}


def make_event(kind: Any) -> st.SearchStrategy[Any]:
    """Any event of this kind, with names from small sets so that they meet."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        if field.name in NAMES and field.type is str:
            fields[field.name] = st.sampled_from(NAMES[field.name])
        elif field.type is str:
            fields[field.name] = st.sampled_from(("", "x"))
        elif field.type is float:
            fields[field.name] = st.floats(0, 1000)
        elif field.type is int:
            fields[field.name] = st.integers(0, 100_000)
        elif field.type == float | None:
            fields[field.name] = st.none() | st.floats(0, 100)
        elif field.type == dict[str, Any]:
            fields[field.name] = st.just({})
        else:
            fields[field.name] = st.from_type(field.type)
    return st.builds(kind, **fields)


EVENTS = st.one_of([make_event(kind) for kind in AnyEvent.__args__])
LOGS = st.lists(st.tuples(st.floats(0, 900), EVENTS), max_size=60).map(
    lambda pairs: [Record(n, T + sum(delay for delay, _ in pairs[:n]), event) for n, (_, event) in enumerate(pairs, 1)]
)


def run_cdr(records: list[Record], fold: CdrFold) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for record in records:
        fold.apply(record)
        changed |= {detail.call: msgspec.to_builtins(detail) for detail in fold.take_changed()}
    return changed


def check_split(records: list[Record], cut: int) -> None:
    whole, first = CdrFold(), CdrFold()
    all_details = run_cdr(records, whole)
    details = run_cdr(records[:cut], first)
    second = CdrFold(first.snapshot())
    details |= run_cdr(records[cut:], second)
    assert details == all_details
    assert second.snapshot() == whole.snapshot()

    live, half = LiveFold(), LiveFold()
    for record in records:
        live.apply(record)
    for record in records[:cut]:
        half.apply(record)
    rest = LiveFold(half.snapshot())
    for record in records[cut:]:
        rest.apply(record)
    assert rest.snapshot() == live.snapshot()

    topics, some = TopicFold(), TopicFold()
    expected = [topics.apply(record) for record in records]
    found = [some.apply(record) for record in records[:cut]]
    others = TopicFold(some.snapshot())
    found += [others.apply(record) for record in records[cut:]]
    assert found == expected and others.snapshot() == topics.snapshot()


@given(cut=st.integers(0, len(HISTORY)))
@settings(max_examples=30, deadline=None)
def test_a_snapshot_loses_nothing_of_a_real_history(cut: int) -> None:
    check_split(HISTORY, cut)


@given(records=LOGS, data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_snapshot_loses_nothing_of_any_history(records: list[Record], data: st.DataObject) -> None:
    check_split(records, data.draw(st.integers(0, len(records))))


@given(records=LOGS)
@settings(max_examples=150, deadline=None)
def test_every_record_makes_sound_rows(records: list[Record]) -> None:
    fold = CdrFold()
    for record in records:
        fold.apply(record)
        for detail in fold.take_changed():
            row = make_cdr_row(detail)
            assert row["ended_at"] >= row["started_at"]
            assert row["talk_s"] >= 0 and row["hold_s"] >= 0
            segments = make_segment_rows(detail)
            assert [segment["n"] for segment in segments] == list(range(len(segments)))
            for segment in segments:
                assert segment["to_at"] >= segment["from_at"]
                if segment["recording"]:
                    assert 0 <= segment["recording_from_ms"] <= segment["recording_to_ms"]
            assert len({r["recording"] for r in make_recording_rows(detail)}) == len(detail.recordings)


@given(records=LOGS)
@settings(max_examples=100, deadline=None)
def test_a_call_stays_visible_to_everyone_who_took_part(records: list[Record]) -> None:
    fold = TopicFold()
    began: dict[str, set[str]] = {}
    for record in records:
        concerned = fold.apply(record)
        call = getattr(record.event, "call", "")
        if not call:
            continue
        if call not in began and type(record.event).__name__ in ("Offered", "ServiceInitiated", "Originated"):
            began[call] = set()
        agents = {topic for topic in concerned.topics if topic.startswith("agent:")}
        if call in began and record.at - T < 900:
            assert began[call] <= agents
            began[call] |= agents
