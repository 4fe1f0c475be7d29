"""A caller who goes from queue to queue unserved keeps the time he has waited, whichever way he goes."""

from __future__ import annotations

from typing import Any

import pytest

from pbx.config.model import Configuration
from pbx.cti import commands as cti
from pbx.cti.actor import Actor
from pbx.events import catalogue as facts
from tests.sim.test_callbacks import SWITCH, Scene


def build() -> Scene:
    """Two queues: agent 1 serves q, agent 2 serves the other."""
    scene = Scene(agents=2, queue={"keys": {"2": "queue:other"}})
    table: dict[str, Any] = scene.configuration.model_dump(mode="json", exclude_unset=True)
    table["queues"]["other"] = {"number": "2002", "ring_timeout": "20s", "keys": {"2": "queue:q"}}
    table["agents"]["2"]["queues"] = ["other"]
    table["routes"]["inbound"].append({"did": "101", "to": "queue:other"})
    changed = Configuration.model_validate(table)
    scene.world.post(SWITCH, scene.node.configure(changed, scene.flows, scene.world.now))
    return scene


def call(scene: Scene, did: str) -> Any:
    known = set(scene.node.switch.exchange.calls)
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:{did}@{SWITCH}"))
    scene.world.run(3)
    (name,) = set(scene.node.switch.exchange.calls) - known
    return scene.node.switch.exchange.calls[name]


@pytest.mark.parametrize("way", ["key", "two keys", "supervisor"])
def test_the_waited_time_goes_with_him(way: str) -> None:
    scene = build()
    first = call(scene, "100")
    scene.world.run(120)
    second = call(scene, "101")
    scene.world.run(5)
    if way == "supervisor":
        scene.do(cti.MoveWorkItem(item=first.id, queue="other"))
    else:
        for _ in range(1 if way == "key" else 3):
            scene.press(first.id, "2")
    scene.world.run(2)
    assert scene.facts(facts.Queued)[-1].position == 1, "before the one who came later, in this queue earlier"
    scene.ready("2")
    scene.world.run(5)
    assert "extension:1002" in {leg.device for leg in first.live()}
    assert {leg.device for leg in second.live()} == {"trunk:carrier"}
    left = scene.facts(facts.QueueLeft)[-1]
    assert (left.reason, left.queue, left.agent) == ("answered", "other", "2")


def test_who_was_served_begins_anew() -> None:
    scene = build()
    scene.ready("1")
    first = call(scene, "100")
    scene.world.run(30)
    second = call(scene, "101")
    leg = next(leg.id for leg in first.live() if leg.device == "extension:1001")
    scene.do(cti.SingleStepTransferCall(call=first.id, leg=leg, destination="queue:other"))
    scene.world.run(2)
    assert scene.facts(facts.Queued)[-1].position == 2
    scene.ready("2")
    scene.world.run(5)
    assert "extension:1002" in {leg.device for leg in second.live()}


def test_supervisors_take_nobody_out_of_queues_that_are_not_theirs() -> None:
    scene = build()
    first = call(scene, "100")
    stranger = Actor(user="eve", role="supervisor", teams=("night",))
    for command in (cti.MoveWorkItem(item=first.id, queue="other"), cti.PullWorkItem(item=first.id, agent="2")):
        refused = scene.give(command, stranger)
        assert isinstance(refused, cti.CommandRejected) and refused.code == "unknown_object"
    item = scene.node.switch.exchange.acd.view_item(first.id, scene.world.now)
    assert item is not None and item.queue == "q"
