"""The live state and the wallboard."""

from __future__ import annotations

import pytest

from pbx.events import catalogue as e
from pbx.events.catalogue import AnyEvent, Record
from pbx.events.folds.counts import WINDOW_S, ServiceGoal
from pbx.events.folds.live import LiveFold, LiveState
from pbx.events.folds.wallboard import make_wallboard
from pbx.testing.scenarios import make_history

T = 1_795_000_000.0


def fold(*timed: tuple[float, AnyEvent], live: LiveFold | None = None) -> LiveState:
    live = live or LiveFold()
    for n, (at, event) in enumerate(timed, live.state.seq + 1):
        live.apply(Record(n, T + at, event))
    return live.state


OFFERED = e.Offered(call="c", leg="t", direction="inbound", device="trunk:x", caller="100", called="8000")
QUEUED = e.Queued(call="c", item="c", queue="q", priority=3, position=1, entry="n1")


def test_a_call_through_its_life() -> None:
    live = LiveFold()
    call = fold((0, OFFERED), (1, e.FlowEntered(call="c", flow="main", version="1")), live=live).calls["c"]
    assert (call.flow, call.legs["t"].state, call.caller) == ("main", "initiated", "100")
    fold(
        (2, e.NodeEntered(call="c", flow="main", node="menu")),
        (3, e.FlowLeft(call="c", flow="main", reason="q")),
        live=live,
    )
    assert (call.flow, call.node) == ("", "")
    fold((4, QUEUED), (4, e.CallInformation(call="c", data={"a": "1", "b": "2"})), live=live)
    assert (call.queue, call.queued_at) == ("q", T + 4)
    left = e.QueueLeft(call="c", item="c", queue="q", reason="answered", waited_s=6, entry="n1")
    fold(
        (5, e.AgentOffered(call="c", item="c", queue="q", agent="ann", offer="o")),
        (5, e.Originated(call="c", leg="a", device="extension:1", called="1", agent="ann")),
        (6, e.Delivered(call="c", leg="a", device="extension:1", agent="ann")),
        live=live,
    )
    assert call.legs["a"].state == "alerting" and call.agents == ["ann"]
    fold(
        (9, e.Established(call="c", leg="a", device="extension:1", agent="ann")),
        (10, left),
        (10, e.Bridged(call="c", legs=("t", "a"))),
        (11, e.RecordingStarted(call="c", recording="r", leg="t", path="p")),
        (12, e.RecordingPaused(call="c", recording="r", offset_ms=1, masked=True)),
        (12, e.Held(call="c", leg="a", device="extension:1")),
        (12, e.CallInformation(call="c", data={"a": ""})),
        live=live,
    )
    assert (call.queue, call.talking, call.recordings, call.data) == ("", ("t", "a"), {"r": "paused"}, {"b": "2"})
    assert (call.legs["a"].state, call.legs["a"].since, call.legs["a"].agent) == ("hold", T + 12, "ann")
    fold((20, e.ConnectionCleared(call="c", leg="t", device="trunk:x", by="remote", cause=16)), live=live)
    assert call.talking == () and list(call.legs) == ["a"]
    assert fold((21, e.CallCleared(call="c", outcome="answered", reason="")), live=live).calls == {}


def test_agents_states() -> None:
    live = LiveFold()
    ann = fold((0, e.AgentLoggedOn(agent="ann", device="extension:1")), live=live).agents["ann"]
    assert (ann.state, ann.device, ann.logged_on_at) == ("not_ready", "extension:1", T)
    for at, event, state in (
        (1, e.AgentReady(agent="ann"), "ready"),
        (2, e.AgentNotReady(agent="ann", reason="lunch"), "not_ready"),
        (3, e.AgentRinging(agent="ann", item="c"), "ringing"),
        (4, e.AgentBusy(agent="ann", item="c"), "talking"),
        (5, e.AgentWorkingAfterCall(agent="ann", item="c", until_s=30), "after_call_work"),
        (6, e.AgentLoggedOff(agent="ann", reason="shift"), "logged_off"),
    ):
        fold((at, event), live=live)
        assert (ann.state, ann.since) == (state, T + at)
        assert ann.until == (T + 35 if at == 5 else None)
        assert ann.reason == {2: "lunch", 6: "shift"}.get(at, "")
    assert ann.handled == 1 and ann.device == ""


def test_queue_counts_and_service_level() -> None:
    live = LiveFold(goals={"q": ServiceGoal(20, 5)})
    waits = [
        ("answered", 10),
        ("answered", 30),
        ("abandoned", 3),
        ("abandoned", 40),
        ("overflow", 60),
        ("answered", 20),
    ]
    for n, (reason, waited) in enumerate(waits):
        call = f"c{n}"
        queued = e.Queued(call=call, item=call, queue="q", priority=0, position=1, entry=call)
        left = e.QueueLeft(call=call, item=call, queue="q", reason=reason, waited_s=waited, entry=call)
        fold((n * 100, queued), (n * 100 + waited, left), live=live)
    fold((700, QUEUED), live=live)
    board = make_wallboard(live.state, wall=T + 710, day=live.count_day(T), serving={"q": ["ann"]})
    (row,) = board.queues
    assert (row.offered, row.answered, row.abandoned, row.short_abandoned, row.flow_out) == (7, 3, 2, 1, 1)
    assert row.service_level_today == row.service_level_now == pytest.approx(2 / 4)
    assert (row.waiting, row.longest_wait_s, row.longest_wait_today_s) == (1, 10, 60)
    assert row.average_speed_of_answer_s == 20 and row.abandonment_rate == pytest.approx(1 / 4)
    assert row.agents["logged_off"] == 1
    later = make_wallboard(live.state, wall=T + 710 + WINDOW_S, day=live.count_day(T) + 1, serving={})
    assert later.queues[0].service_level_now is None and later.queues[0].offered == 0
    left = e.QueueLeft(call="c", item="c", queue="q", reason="answered", waited_s=86_400, entry="n1")
    fold((700 + 86_400, left), live=live)
    assert (live.state.queues["q"].counts.offered, live.state.queues["q"].counts.answered) == (0, 1)


def test_a_repeated_entry_counts_once() -> None:
    state = fold((0, OFFERED), (1, QUEUED), (5, QUEUED))
    assert state.queues["q"].counts.offered == 1
    assert state.queues["q"].waiting["n1"].since == T + 1


def test_a_restart_without_recovery_clears_calls() -> None:
    live = LiveFold()
    state = fold((0, OFFERED), (1, QUEUED), (2, e.AgentReady(agent="ann")), live=live)
    fold((3, e.ServerStarted(version="1", recovered_calls=1)), live=live)
    assert "c" in state.calls and state.queues["q"].waiting
    fold((4, e.ServerStarted(version="1")), live=live)
    assert state.calls == {} and not state.queues["q"].waiting and state.agents["ann"].state == "ready"


def test_registrations_trunks_gateways_and_disk() -> None:
    registered = e.DeviceRegistered(device="extension:1", contact="sip:a", user_agent="P", address="192.0.2.1")
    live = LiveFold()
    state = fold(
        (0, registered),
        (1, registered),
        (2, e.DeviceRegistered(device="extension:1", contact="sip:b", user_agent="Q", address="")),
        (3, e.TrunkStateChanged(trunk="x", state="down", reason="503")),
        (4, e.GatewayStateChanged(gateway="g", state="restarted", reason="")),
        (5, e.DiskStateChanged(level="low", free_bytes=1)),
        live=live,
    )
    assert [contact.contact for contact in state.registrations["extension:1"]] == ["sip:a", "sip:b"]
    assert (state.trunks["x"].state, state.gateways["g"].state, state.disk) == ("down", "up", "low")
    for contact in ("sip:a", "sip:b"):
        fold((6, e.DeviceUnregistered(device="extension:1", contact=contact, reason="expired")), live=live)
    assert state.registrations == {}


def test_a_whole_day_leaves_nothing_behind() -> None:
    live = LiveFold()
    for record in make_history(300):
        live.apply(record)
    assert live.state.calls == {}
    assert all(not queue.waiting for queue in live.state.queues.values())
    assert sum(queue.counts.offered for queue in live.state.queues.values()) == 300
    assert {agent.state for agent in live.state.agents.values()} == {"ready"}
