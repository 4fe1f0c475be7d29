"""Agents: every state, what leads into it, and the way out that each has."""

from __future__ import annotations

import pytest

from pbx.acd.messages import (
    AgentDeadlineMissed,
    AgentLoggedOff,
    AgentLoggedOn,
    AgentStateChanged,
    Assigned,
    OfferWithdrawn,
    WrapUpCompleted,
)
from pbx.acd.model import ReasonConfig
from tests.unit.acd.centre import Centre, make_agent, make_queue


def test_log_on_and_off() -> None:
    centre = Centre(agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "extension:9")
    assert centre.one(AgentLoggedOn).device == "extension:9"
    assert centre.changes == [("ann", "not_ready", "logged_on")]
    assert centre.acd.agent_at("extension:9") == "ann"
    centre.do("log_on", "ann", "extension:9", ready=True)
    assert centre.out == [], "already there; the state is the agent's own"
    centre.do("log_off", "ann")
    assert centre.one(AgentLoggedOff).device == "extension:9"
    assert centre.acd.agent_at("extension:9") == ""
    centre.do("log_off", "ann")
    assert centre.rejected == "logged_off"


def test_ready_on_log_on() -> None:
    centre = Centre(agents=(make_agent("ann"),), ready=False, ready_on_log_on=True)
    centre.do("log_on", "ann", "")
    assert centre.changes == [("ann", "ready", "")]


def test_hot_desk() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.do("log_on", "bob", "extension:ann")
    assert [off.agent for off in centre.find(AgentLoggedOff)] == ["ann", "bob"]
    assert centre.acd.agent_at("extension:ann") == "bob"
    assert centre.state("ann") == "logged_off"


def test_nobody_is_pushed_from_a_phone_in_use() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.do("log_on", "bob", "extension:ann")
    assert centre.rejected == "device_busy"
    centre.do("log_on", "ann", "extension:other")
    assert centre.rejected == "agent_busy"
    centre.do("log_off", "bob")
    centre.acd.floor.agents["bob"].configure(make_agent("bob").__class__(id="bob"))
    centre.do("log_on", "bob", "")
    assert centre.rejected == "no_device"


def test_logging_off_waits_for_the_call() -> None:
    centre = Centre(make_queue(after_call_work_s=10.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("log_off", "ann")
    assert centre.one(AgentStateChanged).pending == "logged_off"
    centre.do("finished", "ann", "c1")
    assert centre.state("ann") == "after_call_work"
    centre.wait(10.0)
    assert centre.one(AgentLoggedOff).agent == "ann"


def test_logging_off_can_be_called_back() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("log_off", "ann")
    centre.do("set_state", "ann", "ready", "")
    assert centre.one(AgentStateChanged).pending == ""
    centre.do("finished", "ann", "c1")
    assert centre.state("ann") == "ready"


def test_forced_log_off_lets_the_call_go_on() -> None:
    centre = Centre(make_queue(after_call_work_s=10.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("log_off", "ann", forced=True)
    assert centre.one(AgentLoggedOff).reason == "forced"
    assert centre.state("ann") == "logged_off"
    centre.do("finished", "ann", "c1")
    assert centre.rejected == "not_served_by_agent"


def test_forced_log_off_ends_after_call_work_and_offers() -> None:
    centre = Centre(make_queue(after_call_work_s=10.0), agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.call("c2")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("log_off", "ann", forced=True)
    assert centre.one(WrapUpCompleted).automatic
    centre.do("log_off", "bob")
    assert (centre.one(OfferWithdrawn).result, centre.one(OfferWithdrawn).reason) == ("withdrawn", "agent_left")


def test_not_ready_after_the_call() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("set_state", "ann", "not_ready", "lunch")
    change = centre.one(AgentStateChanged)
    assert (change.state, change.pending) == ("talking", "not_ready")
    centre.do("finished", "ann", "c1")
    assert centre.changes == [("ann", "not_ready", "lunch")]


def test_not_ready_while_ringing_declines() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.do("set_state", "ann", "not_ready", "lunch")
    assert (centre.one(OfferWithdrawn).result, centre.one(OfferWithdrawn).reason) == ("declined", "agent_not_ready")
    assert centre.offered == [("bob", "c1")]
    assert centre.acd.view_agent("ann").reason == "lunch"


def test_reasons() -> None:
    reasons = (
        ReasonConfig(name="lunch", limit_s=1800.0),
        ReasonConfig(name="break", limit_s=300.0, at_limit="ready", max_agents=1),
    )
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")), reasons=reasons)
    centre.do("set_state", "ann", "not_ready", "yoga")
    assert centre.rejected == "unknown_reason"
    centre.do("set_state", "ann", "not_ready", "break")
    centre.do("set_state", "bob", "not_ready", "break")
    assert centre.rejected == "reason_full"
    centre.do("set_state", "bob", "not_ready", "lunch")
    centre.do("set_state", "bob", "not_ready", "supervisor")
    centre.do("set_state", "bob", "not_ready", "lunch")
    centre.wait(300.0)
    missed = centre.one(AgentDeadlineMissed)
    assert (missed.agent, missed.reason, missed.lasted_s) == ("ann", "break", 300.0)
    assert centre.state("ann") == "ready"
    centre.wait(1500.0)
    assert centre.one(AgentDeadlineMissed).agent == "bob"
    assert centre.state("bob") == "not_ready", "only reported"


def test_an_unreachable_phone_is_not_ready() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.do("device_available", "ann", False)
    assert centre.one(OfferWithdrawn).result == "unreachable"
    assert centre.state("ann") == "not_ready"
    centre.wait(40.0)
    assert centre.acd.view_agent("ann").reason == "device_unreachable"
    centre.do("device_available", "ann", True)
    assert centre.offered == [("ann", "c1")]
    centre.do("device_available", "ann", True)
    assert centre.out == []


def test_a_phone_that_is_back_ends_the_pause_it_caused() -> None:
    centre = Centre(agents=(make_agent("ann"),), failure_pause_s=30.0)
    centre.call("c1")
    centre.do("device_available", "ann", False)
    centre.now += 2
    centre.do("device_available", "ann", True)
    assert centre.offered == [("ann", "c1")]


def test_direct_calls_make_busy() -> None:
    centre = Centre(make_queue(after_call_work_s=10.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.do("busy", "ann", "leg-1")
    assert centre.one(OfferWithdrawn).reason == "agent_busy"
    assert centre.state("ann") == "talking"
    view = centre.acd.view_item("leg-1", centre.now)
    assert view is not None and (view.state, view.agents, view.queue) == ("served", ("ann",), "")
    centre.do("busy", "ann", "leg-1")
    assert centre.rejected == "duplicate"
    centre.do("finished", "ann", "leg-1")
    assert centre.offered == [("ann", "c1")], "no after-call work, and the caller waits no longer"


def test_a_talk_without_end_is_reported_again_and_again() -> None:
    centre = Centre(agents=(make_agent("ann"),), talk_check_s=3600.0)
    centre.call("c1")
    centre.answer("ann")
    centre.wait(7200.0)
    assert [(missed.item, missed.lasted_s) for missed in centre.find(AgentDeadlineMissed)] == [
        ("c1", 3600.0),
        ("c1", 7200.0),
    ]


def test_extending_after_call_work() -> None:
    centre = Centre(make_queue(after_call_work_s=30.0, after_call_work_limit_s=70.0), agents=(make_agent("ann"),))
    centre.do("extend_wrap_up", "ann", 10.0)
    assert centre.rejected == "no_after_call_work"
    centre.call("c1")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("extend_wrap_up", "ann", 30.0)
    assert centre.one(AgentStateChanged).until == 1060.0
    centre.do("extend_wrap_up", "ann", 30.0)
    assert centre.one(AgentStateChanged).until == 1070.0
    centre.do("extend_wrap_up", "ann", 30.0)
    assert centre.rejected == "limit_reached"
    centre.do("extend_wrap_up", "ann", 0.0)
    assert centre.rejected == "no_time"
    centre.wait(70.0)
    assert centre.state("ann") == "ready"


def test_required_dispositions() -> None:
    queue = make_queue(
        after_call_work_s=30.0,
        after_call_work_limit_s=100.0,
        dispositions=("sold", "lost"),
        disposition_required=True,
    )
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("wrap_up", "ann")
    assert centre.rejected == "disposition_required"
    centre.do("wrap_up", "ann", disposition="maybe")
    assert centre.rejected == "unknown_disposition"
    centre.wait(30.0)
    assert centre.one(AgentDeadlineMissed).state == "after_call_work"
    centre.wait(70.0)
    assert centre.one(WrapUpCompleted).missing, "even a required disposition holds nobody for ever"
    centre.do("wrap_up", "ann", disposition="sold")
    assert centre.rejected == "no_after_call_work"


def test_ready_ends_after_call_work() -> None:
    queue = make_queue(after_call_work_s=30.0, disposition_required=True)
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("set_state", "ann", "ready", "")
    assert centre.rejected == "disposition_required"
    centre.do("set_disposition", "ann", "c1", "sold", "")
    centre.do("set_state", "ann", "ready", "")
    assert (centre.one(WrapUpCompleted).disposition, centre.one(WrapUpCompleted).automatic) == ("sold", False)
    assert centre.state("ann") == "ready"


def test_not_ready_waits_for_the_end_of_after_call_work() -> None:
    centre = Centre(make_queue(after_call_work_s=30.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("set_state", "ann", "not_ready", "lunch")
    assert centre.one(AgentStateChanged).pending == "not_ready"
    centre.wait(30.0)
    assert centre.changes == [("ann", "not_ready", "lunch")]


def test_disposition_while_talking() -> None:
    queue = make_queue(after_call_work_s=30.0, dispositions=("sold",), disposition_required=True)
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("set_disposition", "ann", "c1", "maybe", "")
    assert centre.rejected == "unknown_disposition"
    centre.do("set_disposition", "ann", "c1", "sold", "one")
    centre.do("finished", "ann", "c1")
    centre.do("set_disposition", "ann", "c1", "sold", "two")
    centre.wait(30.0)
    done = centre.one(WrapUpCompleted)
    assert (done.disposition, done.note, done.automatic, done.missing) == ("sold", "two", True, False)
    centre.do("set_disposition", "ann", "c1", "sold", "")
    assert centre.rejected == "not_served_by_agent"


def test_after_call_work_of_the_agent() -> None:
    slow, quick = make_agent("ann", after_call_work_s=90.0), make_agent("bob", after_call_work_s=0.0)
    centre = Centre(make_queue(after_call_work_s=30.0), agents=(slow, quick))
    centre.call("c1")
    centre.call("c2")
    centre.answer("ann")
    centre.answer("bob")
    centre.do("finished", "ann", "c1")
    assert centre.one(AgentStateChanged).until == 1090.0
    centre.do("finished", "bob", "c2")
    assert centre.state("bob") == "ready"


def test_chats_beside_each_other() -> None:
    agent = make_agent("ann", {"chat": 1, "support": 1}, capacity={"voice": 3, "chat": 2, "fax": 0})
    centre = Centre(make_queue(), make_queue("chat", channel="chat", after_call_work_s=5.0), agents=(agent,))
    for n in range(3):
        centre.call(f"t{n}", "chat", channel="chat")
        if centre.offered:
            centre.answer("ann")
    assert centre.acd.view_agent("ann").items == ("t0", "t1")
    centre.call("c1")
    assert centre.offered == [("ann", "c1")], "the phone is free"
    centre.answer("ann")
    centre.call("c2")
    assert centre.offered == [], "nobody talks to two callers"
    centre.do("finished", "ann", "t0")
    assert centre.offered == [], "nor does one who talks chat anew"
    centre.do("finished", "ann", "t1")
    assert centre.one(WrapUpCompleted).item == "t0"
    centre.do("finished", "ann", "c1")
    assert centre.state("ann") == "after_call_work"
    centre.do("wrap_up", "ann")
    assert centre.offered == [("ann", "t2")], "who came first, of whatever channel"
    centre.decline("ann")
    centre.do("withdraw", "t2", "abandoned")
    centre.wait(10.0)
    assert centre.offered == [("ann", "c2")]


def test_counts_start_anew() -> None:
    agents = (make_agent("ann"), make_agent("bob"))
    centre = Centre(make_queue(strategy="least_calls"), agents=agents)
    for agent in ("ann", "bob", "ann"):
        centre.call("c")
        centre.answer(agent)
        centre.now += 60
        centre.do("finished", agent, "c")
    centre.do("reset_counts")
    assert centre.acd.view_agent("ann").calls == 0
    centre.call("c")
    assert centre.offered == [("bob", "c")], "longest idle among equals"


@pytest.mark.parametrize("method", ["log_off", "device_available", "busy", "set_state"])
def test_only_who_is_logged_on(method: str) -> None:
    centre = Centre(agents=(make_agent("ann"),), ready=False)
    args = {"device_available": (True,), "busy": ("leg",), "set_state": ("ready", "")}.get(method, ())
    centre.do(method, "ann", *args)
    assert centre.rejected == "logged_off"


def test_the_time_in_a_state_goes_on_when_only_its_end_changes() -> None:
    centre = Centre(make_queue(after_call_work_s=30.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    assert centre.one(Assigned).item == "c1"
    centre.now += 60
    centre.do("finished", "ann", "c1")
    centre.now += 10
    centre.do("extend_wrap_up", "ann", 10.0)
    assert centre.one(AgentStateChanged).since == 1060.0
