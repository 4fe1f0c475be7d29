"""Events that come twice, late or for another of the same kind, in the folds."""

from __future__ import annotations

from pbx.events import catalogue as e
from pbx.events.catalogue import AnyEvent, Record
from pbx.events.folds.cdr import CdrFold
from pbx.events.folds.detail import CallDetail
from pbx.events.folds.live import LiveFold, LiveState

T = 1_795_000_000.0
OFFERED = e.Offered(call="c", leg="t", direction="inbound", device="trunk:x", caller="100", called="8000")


def detail_of(*timed: tuple[float, AnyEvent]) -> CallDetail:
    cdr = CdrFold()
    for n, (at, event) in enumerate([(0.0, OFFERED), *timed], 1):
        cdr.apply(Record(n, T + at, event))
    return cdr.open_calls()["c"]


def live_of(*timed: tuple[float, AnyEvent]) -> LiveState:
    live = LiveFold()
    for n, (at, event) in enumerate(timed, 1):
        live.apply(Record(n, T + at, event))
    return live.state


def test_what_comes_first_is_the_record() -> None:
    cleared = e.ConnectionCleared(call="c", leg="a", device="extension:1", by="remote", cause=16)
    detail = detail_of(
        (1, e.ServiceInitiated(call="c", device="extension:9", called="77")),
        (2, e.Established(call="c", leg="a", device="extension:1")),
        (3, e.Established(call="c", leg="a", device="extension:1")),
        (4, cleared),
        (5, cleared),
    )
    talk = next(talk for talk in detail.talks if talk.leg == "a")
    assert detail.called == "8000"
    assert (talk.answered_at, talk.left_at) == (T + 2, T + 4)


def test_a_flow_keeps_a_hundred_tags() -> None:
    tags = [(2.0, e.FlowTagged(call="c", flow="main", tag=f"t{n}")) for n in range(101)]
    detail = detail_of((1, e.FlowEntered(call="c", flow="main", version="1")), *tags)
    assert detail.flows[0].tags == [f"t{n}" for n in range(100)]


def test_leaving_the_outer_of_two_leaves_the_inner_alone() -> None:
    detail = detail_of(
        (1, e.FlowEntered(call="c", flow="outer", version="1")),
        (2, e.FlowEntered(call="c", flow="inner", version="1")),
        (3, e.FlowLeft(call="c", flow="outer", reason="done")),
        (4, e.Queued(call="c", item="c", queue="q", priority=1, position=1, entry="n1")),
        (5, e.Queued(call="c", item="c", queue="r", priority=1, position=1, entry="n2")),
        (6, e.QueueLeft(call="c", item="c", queue="q", reason="overflow", waited_s=2, entry="n1")),
        (7, e.AgentOffered(call="c", item="c", queue="r", agent="ann", offer="o1")),
        (7, e.AgentOffered(call="c", item="c", queue="r", agent="bob", offer="o2")),
        (
            8,
            e.OfferEnded(call="c", item="c", queue="r", agent="ann", offer="o1", result="declined", ringing_s=1),
        ),
    )
    assert [(flow.flow, flow.left_at, flow.reason) for flow in detail.flows] == [
        ("outer", T + 3, "done"),
        ("inner", None, ""),
    ]
    assert [(visit.queue, visit.left_at) for visit in detail.queues] == [("q", T + 6), ("r", None)]
    assert detail.offers[0].result == "declined" and detail.offers[1].result != "declined"


def test_a_recording_told_of_twice_is_one() -> None:
    started = e.RecordingStarted(call="c", recording="r", leg="t", path="p")
    failed = e.RecordingFailed(call="c", recording="r", leg="t", path="p", reason="disk", kept=True)
    detail = detail_of((1, started), (2, started), (3, failed))
    (recording,) = detail.recordings
    assert (recording.state, recording.reason, recording.started_at) == ("failed", "disk", T + 1)


def test_a_call_that_ends_while_it_waits_leaves_its_queue_only() -> None:
    other = e.Offered(call="d", leg="u", direction="inbound", device="trunk:x", caller="101", called="8000")
    state = live_of(
        (0, OFFERED),
        (0, other),
        (1, e.Queued(call="c", item="c", queue="q", priority=1, position=1, entry="n1")),
        (1, e.Queued(call="d", item="d", queue="q", priority=1, position=2, entry="n2")),
        (2, e.CallCleared(call="c", outcome="abandoned", reason="")),
    )
    assert list(state.queues["q"].waiting) == ["n2"] and list(state.calls) == ["d"]


def test_a_connection_nobody_announced_is_shown_and_one_of_no_call_is_not() -> None:
    state = live_of(
        (0, OFFERED),
        (1, e.Established(call="c", leg="a", device="extension:1", agent="ann")),
        (2, e.Established(call="gone", leg="b", device="extension:2")),
    )
    assert (state.calls["c"].legs["a"].state, state.calls["c"].agents) == ("connected", ["ann"])
    assert list(state.calls) == ["c"]


def test_a_place_in_a_queue_told_of_twice_is_one() -> None:
    queued = e.Queued(call="c", item="c", queue="q", priority=1, position=1)
    assert len(live_of((0, OFFERED), (1, queued), (2, queued)).queues["q"].waiting) == 1
