"""Queues open and close by their calendars on the whole switch, in virtual time, while nobody enters."""

from __future__ import annotations

from typing import Any

import pytest

from pbx.config.model import Configuration
from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from pbx.events.folds.live import LiveFold
from pbx.testing.switch_node import EPOCH
from tests.sim.test_callbacks import SWITCH, Scene

# The virtual wall clock starts on Friday, 2027-01-15, at 16:00 in Shanghai.
OFFICE = {"hours": {"mon-fri": "09:00-16:30"}}
CLOSING = 1800.0
MORNING = 17 * 3600.0


def changes(scene: Scene) -> list[tuple[float, bool, str]]:
    """Seconds since the start, and what the queue became."""
    return [
        (round(record.at - EPOCH, 1), record.event.open, record.event.reason)
        for record in scene.node.records
        if isinstance(record.event, facts.QueueStateChanged)
    ]


def run_until(scene: Scene, since_start: float) -> None:
    scene.world.run(since_start - scene.world.now)


def call(scene: Scene) -> None:
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:100@{SWITCH}"))
    scene.world.run(5)


@pytest.mark.parametrize("rule", ["keep", "overflow"])
def test_who_waits_at_closing_time_follows_the_rule_of_the_queue(rule: str) -> None:
    queue = {"on_close": rule, "overflow": {"closed": "extension:1002"}, "max_wait": "2h"}
    scene = Scene(calendar=OFFICE, queue=queue)
    call(scene)
    run_until(scene, CLOSING - 1)
    assert changes(scene) == [] and len(scene.facts(facts.Queued)) == 1
    run_until(scene, CLOSING + 10)
    assert changes(scene) == [(CLOSING, False, "closed")]
    (waiting,) = scene.node.switch.exchange.calls.values()
    if rule == "overflow":
        assert scene.one(facts.QueueLeft).reason == "overflow"
        assert {leg.device for leg in waiting.live()} == {"trunk:carrier", "extension:1002"}
    else:
        assert not scene.facts(facts.QueueLeft)
        scene.ready()
        scene.world.run(5)
        assert scene.hears("trunk:carrier", "extension:1001"), "who stayed is served after hours"
    scene.close()


def test_it_opens_on_monday_morning_and_not_on_the_holiday() -> None:
    holiday = {"name": "Founders' day", "date": "2027-01-18"}
    scene = Scene(agents=0, calendar=OFFICE | {"holidays": [holiday]})
    run_until(scene, MORNING + 4 * 86_400 + 60)
    midnight = 8 * 3600.0
    assert changes(scene) == [
        (CLOSING, False, "closed"),
        (midnight + 2 * 86_400, False, "holiday"),
        (midnight + 3 * 86_400, False, "closed"),
        (MORNING + 3 * 86_400, True, ""),
        (CLOSING + 4 * 86_400, False, "closed"),
        (MORNING + 4 * 86_400, True, ""),
    ]


def test_a_supervisors_hand_lasts_until_the_next_opening() -> None:
    scene = Scene(agents=0, calendar={"hours": {"daily": "09:00-16:30"}})
    run_until(scene, CLOSING + 60)
    scene.do(cti.SetQueueOpen(queue="q", open=True))
    run_until(scene, CLOSING + 7200)
    assert changes(scene)[-1][1:] == (True, ""), "the hours of looking in between change nothing"
    scene.do(cti.SetQueueOpen(queue="q", open=False))
    run_until(scene, MORNING + 1)
    assert changes(scene)[-1] == (MORNING, True, "")


def test_a_calendar_switched_by_phone_closes_its_queues_at_once() -> None:
    scene = Scene(agents=0, calendar=OFFICE | {"digit": "1", "pin": {"env": "CALENDAR_PIN"}})
    scene.node.switch.exchange.settings.reveal = lambda source: "4711"
    phone = scene.phones["1001"]
    phone.at(scene.world.now, lambda: phone.call(f"sip:*551*4711@{SWITCH}"))
    scene.world.run(5)
    assert [change[1:] for change in changes(scene)] == [(False, "closed")]
    fold = LiveFold()
    for record in scene.node.records:
        fold.apply(record)
    assert fold.state.queues["q"].closed == "closed", "desktops and wallboards show it"


def test_a_queue_that_is_restarted_after_hours_is_closed_at_once() -> None:
    scene = Scene(calendar=OFFICE, queue={"on_close": "overflow", "overflow": {"closed": "extension:1002"}})
    call(scene)
    run_until(scene, CLOSING - 3)
    scene.restart(down=10)
    assert changes(scene)[-1][1:] == (False, "closed")
    scene.world.run(5)
    assert scene.one(facts.QueueLeft).reason == "overflow"


def test_a_calendar_taken_away_opens_its_queue() -> None:
    scene = Scene(agents=0, calendar=OFFICE)
    run_until(scene, CLOSING + 60)
    table: dict[str, Any] = scene.configuration.model_dump(mode="json", exclude_unset=True)
    del table["queues"]["q"]["calendar"]
    changed = Configuration.model_validate(table)
    scene.world.post(SWITCH, scene.node.configure(changed, scene.flows, scene.world.now))
    assert changes(scene)[-1][1:] == (True, "")
