"""Thresholds of queues and limits of reasons on the whole switch, in virtual time."""

from __future__ import annotations

from pbx.adapters.webhooks import ALARMS
from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from tests.sim.test_callbacks import SWITCH, Scene


def changes(scene: Scene) -> list[tuple[str, bool]]:
    return [(alarm.threshold, alarm.raised) for alarm in scene.facts(facts.QueueAlarm)]


def call(scene: Scene) -> None:
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:100@{SWITCH}"))
    scene.world.run(10)


def test_alarms_are_raised_once_and_cleared() -> None:
    scene = Scene(queue={"alarms": {"waiting": 2, "longest_wait": "60s"}, "max_wait": "1h"})
    call(scene)
    assert changes(scene) == []
    call(scene)
    assert changes(scene) == [("waiting", True)]
    scene.world.run(120)
    assert changes(scene) == [("waiting", True), ("longest_wait", True)], "raised once, not at every look"
    first, second = scene.facts(facts.QueueAlarm)
    assert (first.queue, first.value, first.limit) == ("q", 2, 2)
    assert 60 <= second.value <= 66 and second.limit == 60
    scene.carrier.at(scene.world.now, scene.carrier.hangup)
    scene.world.run(10)
    assert sorted(changes(scene)[2:]) == [("longest_wait", False), ("waiting", False)]


def test_too_few_agents_are_ready() -> None:
    scene = Scene(queue={"alarms": {"agents_ready": 1}})
    scene.world.run(6)
    assert changes(scene) == [("agents_ready", True)]
    scene.ready()
    scene.world.run(6)
    assert changes(scene)[1:] == [("agents_ready", False)]


def test_a_restart_forgets_no_alarm() -> None:
    scene = Scene(queue={"alarms": {"agents_ready": 1}})
    scene.world.run(6)
    scene.restart()
    scene.world.run(20)
    assert changes(scene) == [("agents_ready", True)]
    scene.ready()
    scene.world.run(6)
    assert changes(scene)[1:] == [("agents_ready", False)]


def test_a_reasons_limit_is_told() -> None:
    scene = Scene(reasons={"lunch": {"title": "Lunch", "limit": "30m"}})
    scene.do(cti.SetAgentState(state="not_ready", agent="1", reason="lunch"))
    scene.world.run(1790)
    assert not scene.facts(facts.AgentOverstayed)
    scene.world.run(20)
    told = scene.one(facts.AgentOverstayed)
    assert (told.agent, told.state, told.reason, round(told.lasted_s)) == ("1", "not_ready", "lunch", 1800)


def test_webhooks_tell_of_alarms_unasked() -> None:
    assert {"QueueAlarm", "AgentOverstayed"} <= ALARMS
