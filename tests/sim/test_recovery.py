"""Call control dies and another process takes over, in virtual time: calls go on, places are kept, records agree."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from media import protocol
from pbx.app.outputs import Recognise
from pbx.call.model import Call
from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from pbx.ivr.messages import Recognised
from pbx.testing.fake_media import FakeMedia
from pbx.testing.phone import Behaviour
from pbx.testing.switch_node import SwitchNode
from tests.sim.test_desk_commands import FOUR, LINA, ONE, THREE, TRUNK, Room
from tests.sim.test_whole_switch import AGENTS, SWITCH, sample


class Restarting(Room):
    def restart(self, down: float = 2.0, *, gateway: FakeMedia | None = None) -> None:
        """The server dies this instant; a new one stands at its address ``down`` seconds later. With ``gateway`` its
        gateway died with it, and this is the new one."""
        died = self.node
        self.world.remove(SWITCH)
        self.world.run(down)
        configuration, flows = sample()
        self.node = SwitchNode(
            configuration, flows, host=SWITCH, seed=77, start=self.world.now, after=died, gateway=gateway
        )
        self.world.add(SWITCH, self.node)

    def stage(self, call: Call) -> str:
        """What goes on in ``call``."""
        session = self.node.switch.exchange.top(call)
        return str(session.describe()["stage"]) if session else ""

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


def test_a_caller_who_speaks_is_heard_across_a_restart(room: Restarting) -> None:
    """What he said while call control was away is lost: asked again, he is understood."""
    room.node.switch.exchange.settings.spoken = ("zh", "en")
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550100@{SWITCH}"))
    room.world.run(3)
    room.world.post(SWITCH, room.node.press(next(iter(room.node.switch.exchange.calls)), "1", room.world.now))
    room.world.run(6)

    def listening() -> Any:
        (call,) = room.node.switch.exchange.calls.values()
        session: Any = room.node.switch.exchange.top(call)
        assert session.listening is not None
        return call, session.anchor, f"{session.sid}/{session.listening.request}"

    call, leg, before = listening()
    room.restart()
    call, leg, name = listening()
    assert name == before
    missed = protocol.UtteranceHeard(leg=leg, listening=name, reason="missed", rate=8000, samples=b"")
    room.world.post(SWITCH, room.node.happened(missed, room.world.now))
    call, leg, again = listening()
    assert again != before and room.facts(facts.SpeechRecognised)[-1].text == ""
    room.world.post(SWITCH, room.node.happened(protocol.SpeechStarted(leg=leg, listening=again), room.world.now))
    said = protocol.UtteranceHeard(leg=leg, listening=again, reason="pause", rate=8000, samples=b"\0\0" * 80)
    switch = room.node.switch
    asked = [o for o in switch.media_happened("local", said, room.world.now) if isinstance(o, Recognise)]
    assert [(o.key[0], o.language, o.rate, len(o.samples)) for o in asked] == [(call.id, "zh", 8000, 160)]
    assert "销售" in asked[0].phrases
    answer = Recognised(request=asked[0].key[1], text="销售", confidence=0.9)
    room.world.post(SWITCH, room.node.answered(call.id, answer, room.world.now))
    room.world.run(20)
    assert [event.call for event in room.facts(facts.Queued)] == [call.id], "the word chose a queue"
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


def test_a_parked_call_keeps_its_slot_and_its_time(room: Restarting) -> None:
    call = room.call_lina()
    room.phones["1001"].at(room.world.now, lambda: room.phones["1001"].transfer("", "*70"))
    room.world.run(3)
    assert room.stage(call) == "parked" and room.facts(facts.CallInformation)[-1].data == {"parked_at": "701"}
    parked_at = room.world.now
    room.restart()
    call = room.node.switch.exchange.calls[call.id]
    assert room.music_at(call, TRUNK)
    room.phones["1004"].at(room.world.now, lambda: room.phones["1004"].call("701"))
    room.world.run(2)
    assert room.hears(call, TRUNK, FOUR) and room.hears(call, FOUR, TRUNK)
    room.phones["1004"].at(room.world.now, lambda: room.phones["1004"].transfer("", "*70"))
    room.world.run(60)
    room.restart(down=20.0)
    call = room.node.switch.exchange.calls[call.id]
    assert room.stage(call) == "parked"
    room.world.run(45)
    assert room.hears(call, TRUNK, FOUR), "two minutes after he was parked he is back, the death included"
    assert room.world.now < parked_at + 140
    room.close()


def test_a_conference_room_goes_on_and_takes_more(room: Restarting) -> None:
    for number in ("1001", "1004"):
        room.phones[number].at(room.world.now, partial(room.phones[number].call, "3000"))
        room.world.run(2)
    heard = dict(room.node.media.bridges)
    room.restart()
    assert room.node.media.bridges == heard
    room.phones["1003"].at(room.world.now, partial(room.phones["1003"].call, "3000"))
    room.world.run(2)
    (call,) = room.node.switch.exchange.calls.values()
    parties = (ONE, FOUR, THREE)
    assert all(room.hears(call, a, b) for a in parties for b in parties if a != b)
    for number in ("1001", "1003"):
        room.phones[number].at(room.world.now, room.phones[number].hangup)
    room.world.run(2)
    assert room.music_at(call, FOUR)
    room.close()


def test_a_click_whose_own_phone_rings_rings_again(room: Restarting) -> None:
    room.phones["1001"].behaviour = Behaviour(answer_after=4.0, register_every=600)
    name = room.do(cti.MakeCall(destination="1004", data={"customer": "4711"}), LINA)["call"]
    room.world.run(1)
    room.restart(down=0.5)
    room.world.run(8)
    call = room.node.switch.exchange.calls[name]
    assert room.hears(call, ONE, FOUR) and call.data == {"customer": "4711"}
    room.close()


def test_a_click_that_reached_its_destination_goes_on(room: Restarting) -> None:
    room.phones["1004"].behaviour = Behaviour(answer_after=5.0, register_every=600)
    name = room.do(cti.MakeCall(destination="1004"), LINA)["call"]
    room.world.run(3)
    room.restart(down=0.5)
    room.world.run(8)
    call = room.node.switch.exchange.calls[name]
    assert room.hears(call, ONE, FOUR) and room.hears(call, FOUR, ONE)
    room.restart()
    call = room.node.switch.exchange.calls[name]
    room.do(cti.ClearCall(call=name), LINA)
    room.world.run(3)
    assert not room.node.switch.exchange.calls
    room.close()


def test_both_processes_die_and_the_talk_comes_back(room: Restarting) -> None:
    name = room.call_lina().id
    for number in ("1003", "1004"):
        room.phones[number].at(room.world.now, partial(room.phones[number].call, "3000"))
    room.world.run(3)
    room.restart(gateway=FakeMedia("another"))
    room.world.run(3)
    call = room.node.switch.exchange.calls[name]
    assert room.hears(call, TRUNK, ONE) and room.hears(call, ONE, TRUNK)
    (meeting,) = (other for other in room.node.switch.exchange.calls.values() if other is not call)
    assert room.hears(meeting, THREE, FOUR) and room.hears(meeting, FOUR, THREE)
    assert room.facts(facts.GatewayStateChanged)[-1].state == "restarted"
    failed = [event for event in room.facts(facts.RecordingFailed) if event.call == name]
    assert [event.kept for event in failed] == [True] and len(call.recordings) == 1, "recorded on, in a new file"
    room.close()
    assert [event for event in room.facts(facts.CallCleared) if event.outcome != "answered"] == []


@pytest.mark.parametrize("both", [False, True])
def test_a_menu_is_said_again_on_another_gateway(room: Restarting, both: bool) -> None:
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550100@{SWITCH}"))
    room.world.run(2)
    (call,) = room.node.switch.exchange.calls.values()
    assert call.legs[call.anchor].player
    gateway = FakeMedia("another")
    if both:
        room.restart(gateway=gateway)
    else:
        room.world.post(SWITCH, room.node.replace_gateway(gateway, room.world.now))
    room.world.run(1)
    (call,) = room.node.switch.exchange.calls.values()
    assert gateway.players[call.anchor][0].items, "he hears it from its beginning"
    for _ in range(2):
        room.world.run(12)
        room.world.post(SWITCH, room.node.press(call.id, "2", room.world.now))
    room.world.run(5)
    assert [event.call for event in room.facts(facts.Queued)] == [call.id], "the key chose a queue"
    room.close()


def test_a_waiting_caller_hears_music_and_the_queues_words_on_another_gateway(room: Restarting) -> None:
    for agent in AGENTS.values():
        room.do(cti.SetAgentState(state="not_ready", agent=agent))
    room.phones["1004"].at(room.world.now, lambda: room.phones["1004"].call("2001"))
    room.world.run(3)
    gateway = FakeMedia("another")
    room.restart(gateway=gateway)
    room.world.run(5)
    (call,) = room.node.switch.exchange.calls.values()
    assert room.stage(call) == "queue" and gateway.players[call.anchor]
    room.do(cti.SetAgentState(state="ready", agent="8001"))
    room.world.run(4)
    assert len(call.talkers) == 2 and len(room.facts(facts.Queued)) == 1
    room.close()


def test_the_moment_that_was_not_written_is_learnt_from_the_gateway(room: Restarting) -> None:
    """Held, a prompt that ended, a recorder that began, an end: within the fifth of a second before the death."""
    name = room.call_lina().id
    room.world.run(2)
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550100@{SWITCH}"))
    room.world.run(1)
    exchange = room.node.switch.exchange
    (menu,) = (call for call in exchange.calls.values() if call.id != name)
    room.phones["1003"].at(room.world.now, lambda: room.phones["1003"].call("1004"))
    room.world.run(2)
    (short,) = (call for call in exchange.calls.values() if call.id not in (name, menu.id))
    kept = dict(room.node.checkpoints)
    room.do(cti.HoldCall(call=name), LINA)
    room.do(cti.StopRecording(call=name))
    begun = room.do(cti.StartRecording(call=name))["recording"]
    playing = room.node.media.players[menu.anchor][0]
    room.world.post(SWITCH, room.node.command_media(
        protocol.StopPlay(id=9_000_001, leg=menu.anchor, player=playing.player), room.world.now
    ))  # fmt: skip
    gone = room.leg(short, FOUR)
    room.world.post(SWITCH, room.node.command_media(protocol.CloseLeg(id=9_000_002, leg=gone), room.world.now))
    room.node.media.events.clear()
    room.node.checkpoints = kept
    room.restart()
    call = room.node.switch.exchange.calls[name]
    assert room.hears(call, TRUNK, ONE) and room.hears(call, ONE, TRUNK), "as it was written: they talk"
    assert not room.music_at(call, TRUNK) and list(call.recordings) == [begun]
    room.world.run(3)
    assert short.id not in room.node.switch.exchange.calls, "who has no media any more is hung up"
    (menu,) = (call for call in room.node.switch.exchange.calls.values() if call.id != name)
    nodes = len(room.facts(facts.NodeEntered))
    room.world.run(40)
    assert len(room.facts(facts.NodeEntered)) > nodes, "the flow does not wait for the end of what ended long ago"
    room.close()


def test_what_users_chose_at_their_phones_is_kept(room: Restarting) -> None:
    features = room.node.switch.exchange.features
    for action in (
        lambda ex: features.set_do_not_disturb("1002", True),
        lambda ex: features.set_forward("1003", "always", "number:1004"),
    ):
        room.node._take(room.node.switch.do(action, room.world.now), room.world.now)
    room.restart()
    features = room.node.switch.exchange.features
    assert features.extension_state("1002").do_not_disturb
    assert features.extension_state("1003").always == "number:1004"
    assert not features.extension_state("1001").do_not_disturb
    caller = room.phones["1001"]
    caller.at(room.world.now, lambda: caller.call("1003"))
    room.world.run(4)
    (call,) = room.node.switch.exchange.calls.values()
    assert {leg.device for leg in call.connected()} == {ONE, FOUR}, "the call goes where the user sent it"
