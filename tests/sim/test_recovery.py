"""Call control dies and another process takes over, in virtual time: calls go on, places are kept, records agree."""

from __future__ import annotations

from functools import partial

import pytest

from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from pbx.testing.phone import Behaviour
from pbx.testing.switch_node import SwitchNode
from tests.sim.test_desk_commands import FOUR, LINA, ONE, TRUNK, Room
from tests.sim.test_whole_switch import AGENTS, SWITCH, sample


class Restarting(Room):
    def restart(self, down: float = 2.0) -> None:
        """The server dies this instant; a new one stands at its address ``down`` seconds later."""
        died = self.node
        self.world.remove(SWITCH)
        self.world.run(down)
        configuration, flows = sample()
        self.node = SwitchNode(configuration, flows, host=SWITCH, seed=77, start=self.world.now, after=died)
        self.world.add(SWITCH, self.node)

    def state(self, agent: str) -> str:
        return self.node.switch.exchange.acd.view_agent(agent).state


@pytest.fixture
def room() -> Restarting:
    return Restarting()


def test_a_conversation_goes_on_and_can_be_held_and_hung_up(room: Restarting) -> None:
    before = room.call_lina()
    room.world.run(2)
    heard, recorded = dict(room.node.media.bridges), dict(room.node.media.recordings)
    assert recorded
    room.restart()
    assert room.node.media.bridges == heard and room.node.media.recordings == recorded, "nobody hears anything of it"
    call = room.node.switch.exchange.calls[before.id]
    assert call is not before and room.state("8001") == "talking"
    assert room.facts(facts.ServerStarted)[-1].recovered_calls == 1
    room.do(cti.HoldCall(call=call.id), LINA)
    assert room.music_at(call, TRUNK) and not room.hears(call, TRUNK, ONE)
    room.do(cti.RetrieveCall(call=call.id), LINA)
    assert room.hears(call, TRUNK, ONE) and room.hears(call, ONE, TRUNK)
    room.phones["1001"].at(room.world.now, room.phones["1001"].hangup)
    room.world.run(5)
    assert all(talk.ended for talk in room.carrier.talks.values()), "the carrier was told"
    completed = [event.recording for event in room.facts(facts.RecordingCompleted)]
    assert sorted(completed) == sorted(recorded), "the recorder of before reports to the one after"
    room.close()
    assert [event.outcome for event in room.facts(facts.CallCleared)] == ["answered"]


def test_a_conversation_can_be_transferred_afterwards(room: Restarting) -> None:
    name = room.call_lina().id
    room.world.run(2)
    room.restart()
    call = room.node.switch.exchange.calls[name]
    room.do(cti.ConsultationCall(call=name, destination="1004"), LINA)
    room.world.run(3)
    assert room.hears(call, ONE, FOUR) and room.music_at(call, TRUNK)
    room.do(cti.TransferCall(call=name), LINA)
    room.world.run(1)
    assert room.hears(call, TRUNK, FOUR) and room.hears(call, FOUR, TRUNK)
    assert room.state("8001") != "talking"
    room.close()


def test_a_held_party_and_a_consultation_survive(room: Restarting) -> None:
    name = room.call_lina().id
    room.do(cti.ConsultationCall(call=name, destination="1004"), LINA)
    room.world.run(4)
    room.restart()
    call = room.node.switch.exchange.calls[name]
    assert room.music_at(call, TRUNK) and room.hears(call, ONE, FOUR)
    room.do(cti.ReconnectCall(call=name), LINA)
    room.world.run(1)
    assert room.hears(call, TRUNK, ONE) and not room.music_at(call, TRUNK)
    room.close()


def test_a_phone_that_transfers_by_refer_is_served_afterwards(room: Restarting) -> None:
    name = room.call_lina().id
    room.world.run(2)
    room.restart()
    phone = room.phones["1001"]
    phone.at(room.world.now, lambda: phone.transfer(phone.live_talks()[0].leg, "1004"))
    room.world.run(5)
    call = room.node.switch.exchange.calls[name]
    assert room.hears(call, TRUNK, FOUR) and room.facts(facts.Transferred)[-1].kind == "blind"
    room.close()


def test_a_caller_in_a_menu_goes_on_in_the_menu(room: Restarting) -> None:
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550100@{SWITCH}"))
    room.world.run(3)
    (before,) = room.node.switch.exchange.calls.values()
    left = len(room.facts(facts.FlowLeft))
    room.restart()
    (call,) = room.node.switch.exchange.calls.values()
    session = room.node.switch.exchange.top(call)
    assert call.id == before.id and session is not None and session.describe()["stage"] == "flow"
    assert len(room.facts(facts.FlowLeft)) == left
    for _ in range(2):
        room.world.post(SWITCH, room.node.press(call.id, "1", room.world.now))
        room.world.run(4)
    room.world.run(20)
    assert [event.call for event in room.facts(facts.Queued)] == [call.id], "the key chose a queue"
    room.close()


def test_waiting_callers_keep_their_places_and_agents_their_states(room: Restarting) -> None:
    room.do(cti.SetAgentState(state="not_ready", reason="lunch", agent="8002"))
    for agent in ("8001", "8003", "8004"):
        room.do(cti.SetAgentState(state="not_ready", agent=agent))
    for phone in (room.phones["1003"], room.phones["1004"]):
        phone.at(room.world.now, partial(phone.call, "2001"))
        room.world.run(5)
    acd = room.node.switch.exchange.acd
    waiting = [event.item for event in room.facts(facts.Queued)]
    assert len(waiting) == 2
    states = {agent: (room.state(agent), acd.view_agent(agent).reason) for agent in AGENTS.values()}
    before = [view for item in waiting if (view := acd.view_item(item, room.world.now)) is not None]
    waited = [view.waited_s for view in before]
    assert states["8002"] == ("not_ready", "lunch")
    room.restart(down=3.0)
    acd = room.node.switch.exchange.acd
    assert {agent: (room.state(agent), acd.view_agent(agent).reason) for agent in AGENTS.values()} == states
    views = [view for item in waiting if (view := acd.view_item(item, room.world.now)) is not None]
    assert [view.position for view in views] == [1, 2]
    assert [view.waited_s for view in views] == pytest.approx([since + 3.0 for since in waited])
    assert len(room.facts(facts.Queued)) == 2, "nobody queued anew"
    room.do(cti.SetAgentState(state="ready", agent="8001"))
    room.world.run(5)
    calls = [room.node.switch.exchange.calls[event.call] for event in room.facts(facts.Queued)]
    assert [len(call.talkers) for call in calls] == [2, 0], "the first in line first"
    room.close()


def test_an_offer_that_rang_begins_again(room: Restarting) -> None:
    for phone in room.phones.values():
        phone.behaviour = Behaviour(answer_after=6.0, register_every=600)
    room.phones["1004"].at(room.world.now, lambda: room.phones["1004"].call("2001"))
    room.world.run(2)
    assert "ringing" in {room.state(agent) for agent in AGENTS.values()}
    room.restart()
    room.world.run(20)
    (call,) = room.node.switch.exchange.calls.values()
    assert len(call.talkers) == 2
    assert "server restarted" in {event.reason for event in room.facts(facts.ConnectionCleared)}
    room.close()


def test_what_was_not_written_ends_and_what_cannot_be_read_is_reported(room: Restarting) -> None:
    written = room.call_lina().id
    room.world.run(2)
    room.phones["1003"].at(room.world.now, lambda: room.phones["1003"].call("1004"))
    room.world.run(0.15)
    (new,) = set(room.node.switch.exchange.calls) - {written}
    assert new not in room.node.checkpoints
    room.node.checkpoints["spoilt"] = b"\x00"
    legs = set(room.node.media.legs)
    room.restart()
    assert list(room.node.switch.exchange.calls) == [written]
    ended = {event.call: (event.outcome, event.reason) for event in room.facts(facts.CallCleared)}
    assert ended == {new: ("indeterminate", "server_restarted")}
    assert "spoilt" not in room.node.checkpoints and room.node.notes[0].call == "spoilt"
    assert room.node.media.legs.keys() < legs, "the gateway closed what nobody knows"
    room.close()


def test_agents_begin_anew_where_their_state_cannot_be_read(room: Restarting) -> None:
    room.world.run(1)
    room.node.checkpoints["@acd"] = b"\x00"
    room.restart()
    assert {room.state(agent) for agent in AGENTS.values()} == {"logged_off"}
    assert [note.level for note in room.node.notes] == ["error"]
