"""After-call work that asks for a disposition, on the whole switch in virtual time."""

from __future__ import annotations

from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from tests.sim.test_callbacks import SWITCH, Scene


def test_a_required_disposition_holds_the_agent_until_it_is_given() -> None:
    scene = Scene(queue={"dispositions_required": True})
    scene.ready()
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:100@{SWITCH}"))
    scene.world.run(10)
    scene.carrier.at(scene.world.now, scene.carrier.hangup)
    scene.world.run(60)
    assert scene.state() == "after_call_work", "its five seconds are over, the disposition is missing"
    refused = scene.give(cti.SetAgentState(state="wrap_up_done", agent="1", disposition="unheard_of"))
    assert isinstance(refused, cti.CommandRejected)
    scene.do(cti.SetAgentState(state="wrap_up_done", agent="1", disposition="sold", note="two of them"))
    scene.world.run(1)
    told = scene.one(facts.WrapUpCompleted)
    assert (told.disposition, told.note) == ("sold", "two of them")
    assert scene.state() == "ready"
    (record,) = scene.records().values()
    assert "sold" in str(record)
