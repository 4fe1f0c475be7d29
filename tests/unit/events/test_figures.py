"""Figures out of the log: the golden case as events, an agent's day, and what lies across the edges of the span."""

from __future__ import annotations

from typing import Literal

import pytest

from pbx.events import catalogue as facts
from pbx.events.folds.counts import ServiceGoal
from pbx.events.folds.figures import RESOLUTION_S, FiguresFold
from pbx.events.indicators import measure_all
from pbx.events.kpi import measure_abandonment, measure_occupancy, measure_service_level, measure_speed_of_answer

DAY = 1_700_000_000.0


class Log:
    """Writes events and lets a fold read them in order of time."""

    def __init__(self) -> None:
        self.records: list[tuple[float, facts.AnyEvent]] = []

    def add(self, at: float, event: facts.AnyEvent) -> None:
        self.records.append((DAY + at, event))

    def call(self, call: str, at: float, waited: float, reason: str, agent: str = "", caller: str = "") -> None:
        """A call in the queue and how it left."""
        offered = facts.Offered(call=call, leg="l", direction="inbound", device="trunk:t", caller=caller, called="1")
        self.add(at, offered)
        self.add(at, facts.Queued(call=call, item=call, queue="q", priority=0, position=1, entry=f"{call}#1"))
        left = facts.QueueLeft(
            call=call, item=call, queue="q", reason=reason, waited_s=waited, agent=agent, entry=f"{call}#1"
        )
        self.add(at + waited, left)
        self.add(at + waited + 1, facts.CallCleared(call=call, outcome="answered", reason=""))

    def fold(self, from_at: float = 0.0, to_at: float = 86_400.0) -> FiguresFold:
        fold = FiguresFold(DAY + from_at, DAY + to_at, {"q": ServiceGoal(20.0, 5.0)})
        at = DAY
        for n, (when, event) in enumerate(sorted(self.records, key=lambda record: record[0])):
            at = when
            fold.read(facts.Record(n, at, event))
        fold.close(at)
        return fold


def test_the_golden_case_out_of_the_log() -> None:
    log = Log()
    for n, waited in enumerate((3, 12, 20, 21, 60)):
        log.call(f"a{n}", 100.0 * n, waited, "answered", "ann")
    for n, waited in enumerate((2, 8, 40)):
        log.call(f"b{n}", 1000.0 + 100 * n, waited, "abandoned")
    log.call("x", 2000.0, 30, "overflow")
    counts = log.fold().queues["q"]
    assert counts.offered == 9
    assert measure_service_level(counts) == pytest.approx(3 / 7)
    assert measure_speed_of_answer(counts) == pytest.approx(23.2)
    assert measure_abandonment(counts) == pytest.approx(2 / 7)
    assert counts.longest_wait_s == 60
    total = log.fold().total()
    assert (total.queue.offered, total.queue.answered_in_time) == (9, 3)
    assert total.agents.handled == 5


def test_an_entry_belongs_to_the_span_it_began_in() -> None:
    log = Log()
    log.call("before", 90.0, 20.0, "answered", "ann")
    log.call("across", 190.0, 20.0, "answered", "ann")
    log.call("after", 200.0, 20.0, "answered", "ann")
    fold = log.fold(100.0, 200.0)
    assert (fold.queues["q"].answered, fold.agents["ann"].handled) == (1, 1)
    assert fold.is_done(DAY + 200.0)
    assert not fold.is_done(DAY + 199.0)


def test_what_is_open_is_not_counted() -> None:
    log = Log()
    log.add(1.0, facts.Queued(call="c", item="c", queue="q", priority=0, position=1))
    fold = log.fold()
    assert fold.queues == {}
    assert not fold.is_done(DAY + 86_400.0)


def test_an_agents_day() -> None:
    log = Log()
    log.add(0.0, facts.AgentLoggedOn(agent="ann", device="extension:1"))
    log.add(0.0, facts.AgentNotReady(agent="ann", reason="logged_on"))
    log.add(100.0, facts.AgentReady(agent="ann"))
    log.add(400.0, facts.AgentRinging(agent="ann", item="c1"))
    results: tuple[Literal["accepted", "no_answer"], ...] = ("accepted", "no_answer")
    for result in results:
        ended = facts.OfferEnded(
            call="c1",
            item="c1",
            queue="q",
            agent="ann",
            offer="o",
            result=result,
            ringing_s=5.0,
        )
        log.add(405.0, ended)
    log.add(405.0, facts.AgentBusy(agent="ann", item="c1"))
    log.add(450.0, facts.Held(call="c1", leg="l", device="extension:1", agent="ann"))
    log.add(480.0, facts.Retrieved(call="c1", leg="l", device="extension:1", agent="ann"))
    log.add(490.0, facts.Held(call="c1", leg="l", device="extension:1", agent="ann"))
    kinds: tuple[tuple[Literal["blind", "attended", "takeover"], str], ...] = (
        ("blind", "extension:2"),
        ("attended", "extension:2"),
        ("blind", "queue:q"),
        ("takeover", "x"),
    )
    for kind, destination in kinds:
        moved = facts.Transferred(
            call="c1",
            leg="l",
            device="extension:1",
            destination=destination,
            kind=kind,
            agent="ann",
        )
        log.add(500.0, moved)
    log.add(505.0, facts.AgentWorkingAfterCall(agent="ann", item="c1"))
    log.add(535.0, facts.AgentReady(agent="ann"))
    log.add(600.0, facts.AgentLoggedOff(agent="ann"))
    log.add(700.0, facts.AgentReady(agent="bob"))
    times = log.fold().agents["ann"]
    assert (times.not_ready_s, times.idle_s, times.ring_s, times.after_call_s) == (100.0, 365.0, 5.0, 30.0)
    assert (times.talk_s, times.hold_s, times.held) == (55.0, 45.0, 1)
    assert times.logged_on_s == 600.0
    assert (times.offers, times.missed) == (2, 1)
    assert (times.transferred_blind, times.transferred_attended, times.transferred_to_queue) == (1, 1, 1)
    assert measure_occupancy(times) == pytest.approx(135 / 500)
    cut = log.fold(450.0, 520.0).agents["ann"]
    assert (cut.talk_s, cut.hold_s, cut.after_call_s, cut.idle_s) == (10.0, 45.0, 15.0, 0.0)


def test_who_comes_back_was_not_helped() -> None:
    log = Log()
    log.call("c1", 0.0, 5.0, "answered", "ann", caller="+861")
    log.call("c2", 0.0, 5.0, "answered", "ann", caller="+862")
    log.call("c3", 5000.0, 5.0, "answered", "ann", caller="+861")
    log.call("c4", RESOLUTION_S + 6000.0, 5.0, "answered", "ann", caller="+862")
    total = log.fold().total()
    assert (total.solved_base, total.solved_first_time) == (3, 2)
    assert measure_all(total)["first_call_resolution"] == pytest.approx(2 / 3)


def test_blocked_calls_stand_beside() -> None:
    log = Log()
    log.add(5.0, facts.CallCleared(call="c", outcome="blocked", reason="trunk full"))
    log.add(90_000.0, facts.CallCleared(call="d", outcome="blocked", reason="trunk full"))
    assert log.fold().total().blocked == 1


def test_queues_with_different_thresholds_add_up() -> None:
    fold = FiguresFold(0.0, 100.0, {"quick": ServiceGoal(10.0, 2.0), "slow": ServiceGoal(60.0, 2.0)})
    for n, queue in enumerate(("quick", "slow")):
        fold.read(facts.Record(n, 1.0, facts.Queued(call=queue, item=queue, queue=queue, priority=0, position=1)))
        left = facts.QueueLeft(call=queue, item=queue, queue=queue, reason="answered", waited_s=30.0, agent="ann")
        fold.read(facts.Record(n + 2, 31.0, left))
    total = fold.total().queue
    assert (total.answered, total.answered_in_time, total.answered_wait_s) == (2, 1, 60.0)
