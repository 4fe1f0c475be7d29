"""Call detail records folded from the log."""

from __future__ import annotations

import pytest

from pbx.core.ids import SeededIds
from pbx.events import catalogue as e
from pbx.events.catalogue import AnyEvent, Record
from pbx.events.folds.cdr import ABANDONED_S, SETTLED_S, CdrFold
from pbx.events.folds.detail import CallDetail
from pbx.storage.rows import make_cdr_row, make_recording_rows, make_segment_rows, make_topic_rows
from pbx.testing.scenarios import make_call, make_history

T = 1_795_000_000.0


def fold(*timed: tuple[float, AnyEvent]) -> dict[str, CallDetail]:
    """Records of the calls that ended; times are seconds after T."""
    found: dict[str, CallDetail] = {}
    cdr = CdrFold()
    for n, (at, event) in enumerate(timed, 1):
        cdr.apply(Record(n, T + at, event))
        found |= {detail.call: detail for detail in cdr.take_changed()}
    return found


def offered(at: float = 0.0, direction: str = "inbound", device: str = "trunk:x") -> tuple[float, AnyEvent]:
    return at, e.Offered(call="c", leg="t", direction=direction, device=device, caller="100", called="8000")  # type: ignore[arg-type]


def established(at: float, leg: str, device: str, agent: str = "") -> tuple[float, AnyEvent]:
    return at, e.Established(call="c", leg=leg, device=device, agent=agent)


def cleared(at: float, leg: str, device: str, agent: str = "") -> tuple[float, AnyEvent]:
    return at, e.ConnectionCleared(call="c", leg=leg, device=device, by="remote", cause=16, agent=agent)


def ended(at: float, outcome: str = "answered") -> tuple[float, AnyEvent]:
    return at, e.CallCleared(call="c", outcome=outcome, reason="")  # type: ignore[arg-type]


def test_a_queue_call_from_ring_to_wrap_up() -> None:
    at, timed = 0.0, []
    for delay, event in make_call("c", agent="1001", queue="support", ids=SeededIds(3)):
        at += delay
        timed.append((at, event))
    detail = fold(*timed)["c"]
    offer, visit = detail.offers[0], detail.queues[0]
    trunk, agent = detail.talks
    assert (detail.direction, detail.outcome, detail.destination) == ("inbound", "answered", "flow:main")
    assert (visit.queue, visit.reason, visit.agent) == ("support", "answered", "1001")
    assert (offer.agent, offer.result, offer.ringing_s) == ("1001", "accepted", 0.9)
    assert trunk.agent == "" and (agent.agent, agent.queue, agent.disposition) == ("1001", "support", "solved")
    assert agent.rang_at is not None and agent.answered_at == pytest.approx(agent.rang_at + 0.9)
    assert detail.flows[0].reason == "queue" and detail.data["language"] == "en"
    assert 3 <= agent.after_call_s <= 26
    assert detail.recordings[0].state == "completed" and detail.recordings[0].sha256 == "ab"


def test_hold_is_not_talk_and_a_transfer_ends_the_agents_part() -> None:
    detail = fold(
        offered(),
        established(1, "t", "trunk:x"),
        (2, e.AgentOffered(call="c", item="c", queue="support", agent="ann", offer="o1")),
        (2, e.Originated(call="c", leg="a", device="extension:1", called="1", agent="ann")),
        established(5, "a", "extension:1", "ann"),
        (15, e.Held(call="c", leg="a", device="extension:1", agent="ann")),
        (15, e.Held(call="c", leg="a", device="extension:1", agent="ann")),
        (25, e.Retrieved(call="c", leg="a", device="extension:1", agent="ann")),
        (30, e.Held(call="c", leg="a", device="extension:1", agent="ann")),
        (
            35,
            e.Transferred(
                call="c", leg="a", device="extension:1", destination="extension:2", kind="blind", agent="ann"
            ),
        ),
        cleared(36, "a", "extension:1", "ann"),
        (36, e.Originated(call="c", leg="b", device="extension:2", called="2", agent="bob")),
        established(40, "b", "extension:2", "bob"),
        cleared(100, "b", "extension:2", "bob"),
        cleared(100, "t", "trunk:x"),
        ended(100),
    )["c"]
    ann = next(talk for talk in detail.talks if talk.agent == "ann")
    bob = next(talk for talk in detail.talks if talk.agent == "bob")
    assert (ann.hold_s, ann.holds, ann.ended_by, ann.queue) == (16, 2, "transfer_blind", "support")
    assert detail.measure_talk(ann) == 36 - 5 - 16
    assert (detail.measure_talk(bob), bob.queue) == (60, "")
    assert detail.talk_s == 15 + 60 and detail.hold_s == 16
    assert [(t.kind, t.destination, t.agent) for t in detail.transfers] == [("blind", "extension:2", "ann")]
    row = make_cdr_row(detail)
    assert (row["agent"], row["transfers"], row["talk_s"]) == ("bob", 1, 75)
    assert [row["topic"] for row in make_topic_rows(detail)] == ["agent:ann", "agent:bob"]


def test_an_outbound_call_is_answered_by_the_other_side() -> None:
    detail = fold(
        offered(direction="outbound", device="extension:1"),
        (1, e.Originated(call="c", leg="x", device="trunk:x", called="+4930")),
        established(2, "t", "extension:1", "ann"),
        established(9, "x", "trunk:x"),
        cleared(20, "x", "trunk:x"),
        cleared(20, "t", "extension:1", "ann"),
        ended(20),
    )["c"]
    assert detail.answered_at == T + 9
    assert detail.talk_s == 11


def test_extension_to_extension_without_agents() -> None:
    detail = fold(
        offered(direction="internal", device="extension:1"),
        (0, e.Originated(call="c", leg="b", device="extension:2", called="2")),
        established(4, "b", "extension:2"),
        established(4, "t", "extension:1"),
        ended(10),
    )["c"]
    assert detail.talk_s == 6 and all(talk.left_at == T + 10 for talk in detail.talks)


def test_a_busy_call_has_no_talk() -> None:
    detail = fold(
        offered(direction="outbound", device="extension:1"),
        (1, e.Originated(call="c", leg="x", device="trunk:x", called="1")),
        (2, e.Failed(call="c", leg="x", device="trunk:x", status=486, cause=17, reason="busy")),
        cleared(3, "t", "extension:1"),
        ended(3, "busy"),
    )["c"]
    assert (detail.answered_at, detail.talk_s, detail.outcome) == (None, 0, "busy")
    assert detail.talks[1].ended_by == "failed:486"


def test_two_visits_to_one_queue_count_twice_but_a_repeat_does_not() -> None:
    def queued(at: float, entry: str) -> tuple[float, AnyEvent]:
        return at, e.Queued(call="c", item="c", queue="q", priority=0, position=1, entry=entry)

    def left(at: float, entry: str, reason: str, waited: float) -> tuple[float, AnyEvent]:
        return at, e.QueueLeft(call="c", item="c", queue="q", reason=reason, waited_s=waited, entry=entry)

    detail = fold(
        offered(),
        queued(1, "e1"),
        queued(2, "e1"),
        left(11, "e1", "exit_key", 10),
        queued(20, "e2"),
        left(25, "e2", "abandoned", 5),
        ended(25, "abandoned"),
    )["c"]
    assert [(v.entry, v.reason, v.waited_s) for v in detail.queues] == [("e1", "exit_key", 10), ("e2", "abandoned", 5)]
    assert detail.wait_s == 15


def test_segments_say_where_in_the_recording_each_party_is() -> None:
    recorded = e.RecordingStarted(call="c", recording="r", leg="t", path="c.wav")
    detail = fold(
        offered(),
        established(0, "t", "trunk:x"),
        (0, e.FlowEntered(call="c", flow="main", version="1")),
        (10, recorded),
        (10, e.FlowLeft(call="c", flow="main", reason="queue")),
        established(20, "a", "extension:1", "ann"),
        (30, e.RecordingPaused(call="c", recording="r", offset_ms=20_000, masked=True)),
        (35, e.RecordingResumed(call="c", recording="r", offset_ms=25_000)),
        cleared(50, "a", "extension:1", "ann"),
        established(55, "b", "extension:2", "bob"),
        cleared(80, "b", "extension:2", "bob"),
        cleared(80, "t", "trunk:x"),
        ended(80),
        (
            81,
            e.RecordingCompleted(
                call="c", recording="r", leg="t", path="c.wav", duration_ms=70_000, size_bytes=5, sha256="x"
            ),
        ),
    )["c"]
    rows = make_segment_rows(detail)
    assert [(r["kind"], r["party"]) for r in rows] == [
        ("flow", "flow:main"),
        ("talk", "trunk:x"),
        ("talk", "extension:1"),
        ("talk", "extension:2"),
    ]
    assert [(r["recording_from_ms"], r["recording_to_ms"]) for r in rows[1:]] == [
        (0, 70_000),
        (10_000, 40_000),
        (45_000, 70_000),
    ]
    assert detail.recordings[0].pauses_ms == [(20_000, 25_000)]
    assert make_recording_rows(detail)[0]["state"] == "completed"


def test_after_call_work_ends_with_the_next_state() -> None:
    detail = fold(
        offered(),
        established(1, "a", "extension:1", "ann"),
        ended(10),
        (10, e.AgentWorkingAfterCall(agent="ann", item="c", until_s=30)),
        (20, e.AgentWorkingAfterCall(agent="ann", item="c", until_s=60)),
        (22, e.WrapUpCompleted(agent="ann", item="c", disposition="sold", note="twice")),
        (25, e.AgentNotReady(agent="ann", reason="lunch")),
        (99, e.AgentReady(agent="ann")),
    )["c"]
    _, talk = detail.talks
    assert (talk.after_call_s, talk.disposition, talk.note) == (15, "sold", "twice")


def test_a_server_that_recovered_nothing_ends_what_ran() -> None:
    detail = fold(offered(), established(1, "t", "trunk:x"), (60, e.ServerStarted(version="1")))["c"]
    assert (detail.outcome, detail.reason, detail.ended_at) == ("indeterminate", "server_restarted", T + 60)
    assert "c" not in fold(offered(), (60, e.ServerStarted(version="1", recovered_calls=1)))


def test_nothing_is_kept_of_calls_that_are_complete() -> None:
    fold_ = CdrFold()
    history = make_history(100)
    for record in history:
        fold_.apply(record)
    last = history[-1]
    fold_.apply(Record(last.seq + 1, last.at + SETTLED_S + 1, e.AgentReady(agent="x")))
    assert fold_.open_calls() == {}
    late = e.MediaQuality(
        call="c1-1", leg="l", device="d", received=1, lost=0, jitter_ms=1, late=0, duplicates=0, mos=4
    )
    fold_.apply(Record(last.seq + 2, last.at + 20, late))
    assert fold_.open_calls() == {}


def test_a_recording_that_never_ends_is_waited_for_only_so_long() -> None:
    fold_ = CdrFold()
    events = [offered(), (1, e.RecordingStarted(call="c", recording="r", leg="t", path="p")), ended(2)]
    for n, (at, event) in enumerate(events):
        fold_.apply(Record(n, T + at, event))
    for n in range(10, 3600, 10):
        fold_.apply(Record(n, T + n, e.AgentReady(agent="x")))
    assert "c" in fold_.open_calls()
    for n in range(3600, 3700, 10):
        fold_.apply(Record(n, T + 2 + n + ABANDONED_S - 3600, e.AgentReady(agent="x")))
    assert fold_.open_calls() == {}


def test_what_flows_recordings_and_media_add() -> None:
    detail = fold(
        (0, e.ServiceInitiated(call="c", device="extension:1", agent="ann", called="110")),
        offered(1, direction="outbound", device="extension:1"),
        offered(2),
        (2, e.Routed(call="c", destination="queue:a", rule="r")),
        (3, e.Routed(call="c", destination="queue:b", rule="r")),
        (3, e.FlowEntered(call="c", flow="main", version="2")),
        (3, e.FlowTagged(call="c", flow="other", tag="x")),
        (4, e.FlowTagged(call="c", flow="main", tag="vip")),
        (5, e.FlowLeft(call="c", flow="main", reason="hangup")),
        (6, e.Diverted(call="c", device="extension:1", destination="extension:2", reason="busy")),
        (6, e.CallInformation(call="c", data={"a": "1", "b": "2"})),
        (7, e.CallInformation(call="c", data={"a": ""})),
        (8, e.RecordingResumed(call="c", recording="none", offset_ms=1)),
        (9, e.VoicemailLeft(call="c", mailbox="1", path="v.wav", duration_ms=5, caller="100")),
        ended(10, "no_answer"),
        (11, e.RecordingFailed(call="c", recording="r1", leg="t", path="a.wav", reason="disk", kept=False)),
        (
            12,
            e.RecordingCompleted(
                call="c", recording="r2", leg="t", path="b.wav", duration_ms=3000, size_bytes=1, sha256=""
            ),
        ),
        (12, e.MediaQuality(call="c", leg="t", device="d", received=1, lost=0, jitter_ms=1, late=0, duplicates=0)),
        (
            13,
            e.MediaQuality(
                call="c", leg="t", device="d", received=1, lost=0, jitter_ms=1, late=0, duplicates=0, mos=4.1
            ),
        ),
        ended(14, "answered"),
    )["c"]
    assert (detail.destination, detail.direction, detail.outcome) == ("queue:a", "outbound", "no_answer")
    assert (detail.flows[0].tags, detail.data, detail.voicemails) == (["vip"], {"b": "2"}, ["v.wav"])
    assert [(r.recording, r.state, r.started_at - T) for r in detail.recordings] == [
        ("r1", "failed", 11),
        ("r2", "completed", 9),
    ]
    assert detail.mos == {"t": 4.1}


def test_unknown_names_change_nothing() -> None:
    detail = fold(
        offered(),
        (1, e.FlowLeft(call="c", flow="main", reason="")),
        (1, e.QueueLeft(call="c", item="c", queue="q", reason="answered", waited_s=1)),
        (1, e.OfferEnded(call="c", item="c", queue="q", agent="a", offer="o", result="declined", ringing_s=1)),
        (1, e.RecordingPaused(call="c", recording="none", offset_ms=1, masked=True)),
        (1, e.AgentWorkingAfterCall(agent="ann", item="other")),
        (1, e.AgentWorkingAfterCall(agent="ann", item="c")),
        (1, e.WrapUpCompleted(agent="ann", item="other")),
        (1, e.WrapUpCompleted(agent="ann", item="c", disposition="x")),
        ended(2),
    )["c"]
    assert (detail.flows, detail.queues, detail.offers, detail.recordings) == ([], [], [], [])
    assert all(not talk.disposition for talk in detail.talks)


def test_a_queue_that_is_still_open_at_the_end_is_closed_with_the_call() -> None:
    detail = fold(
        offered(),
        (1, e.Queued(call="c", item="c", queue="q", priority=0, position=1)),
        (2, e.FlowEntered(call="c", flow="main", version="1")),
        established(3, "a", "extension:1", "ann"),
        (4, e.Held(call="c", leg="a", device="extension:1")),
        ended(9),
    )["c"]
    assert (detail.queues[0].left_at, detail.queues[0].reason, detail.queues[0].waited_s) == (T + 9, "ended", 8)
    assert detail.flows[0].left_at == T + 9 and detail.hold_s == 5
