"""Desktop commands on the whole switch in virtual time: what each does to the calls, and what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from pbx.cti import commands as cti
from pbx.cti.actor import Actor
from pbx.events import catalogue as facts
from pbx.testing.phone import Behaviour
from tests.sim.test_whole_switch import (
    ADMINISTRATOR,
    SWITCH,
    Floor,
    Setting,
    assert_nothing_left,
    assert_records_agree,
    finish,
)

LINA = Actor(user="lina", role="agent", agent="8001", teams=("service",))
TOM = Actor(user="tom", role="agent", agent="8004", teams=("sales",))


class Room(Floor):
    """The floor with agents who answer after a second, and a few short ways."""

    def __init__(self, setting: Setting | None = None) -> None:
        super().__init__(1, setting=setting)
        for phone in self.phones.values():
            phone.behaviour = Behaviour(answer_after=1.0, register_every=600)
        self._count = 0

    def give(self, command: Any, actor: Actor = ADMINISTRATOR) -> Any:
        """Give a command; its result."""
        self._count += 1
        request = f"command-{self._count}"
        self.world.post(SWITCH, self.node.command(actor, command, request, self.world.now))
        return self.node.done[request].result

    def do(self, command: Any, actor: Actor = ADMINISTRATOR) -> Any:
        result = self.give(command, actor)
        assert isinstance(result, cti.Accepted), result
        return result.data

    def refuse(self, command: Any, code: str, actor: Actor = ADMINISTRATOR) -> None:
        result = self.give(command, actor)
        assert isinstance(result, cti.CommandRejected) and result.code == code, result

    def call_lina(self) -> Any:
        """A customer talks to Li Na."""
        self.carrier.at(self.world.now, lambda: self.carrier.call(f"sip:01055550101@{SWITCH}"))
        self.world.run(4)
        (call,) = self.node.switch.exchange.calls.values()
        assert len(call.talkers) == 2
        return call

    def leg(self, call: Any, device: str) -> str:
        found: str = next(leg.id for leg in call.live() if leg.device == device)
        return found

    def hears(self, call: Any, listener: str, source: str) -> bool:
        matrix = self.node.media.bridges.get(call.id, ())
        pair = (self.leg(call, listener), self.leg(call, source))
        return any((cell.listener, cell.source) == pair for cell in matrix)

    def music_at(self, call: Any, device: str) -> bool:
        playing = self.node.media.players.get(self.leg(call, device))
        return playing is not None and playing[0].player == "background"

    def close(self) -> None:
        finish(self)
        assert_nothing_left(self)
        assert_records_agree(self)

    def facts(self, kind: type) -> list[Any]:
        return [record.event for record in self.node.records if isinstance(record.event, kind)]


TRUNK, ONE, FOUR, THREE = "trunk:carrier-a", "extension:1001", "extension:1004", "extension:1003"


@pytest.fixture
def room() -> Room:
    return Room()


def test_hold_and_retrieve(room: Room) -> None:
    call = room.call_lina()
    room.do(cti.HoldCall(call=call.id), LINA)
    assert room.music_at(call, TRUNK) and not room.hears(call, TRUNK, ONE)
    room.do(cti.RetrieveCall(call=call.id), LINA)
    assert not room.music_at(call, TRUNK) and room.hears(call, TRUNK, ONE) and room.hears(call, ONE, TRUNK)
    assert len(room.facts(facts.Held)) == len(room.facts(facts.Retrieved)) == 1
    room.close()


def test_consult_then_transfer(room: Room) -> None:
    call = room.call_lina()
    room.do(cti.ConsultationCall(call=call.id, destination="1004"), LINA)
    room.world.run(3)
    assert room.music_at(call, TRUNK) and room.hears(call, ONE, FOUR) and not room.hears(call, TRUNK, FOUR)
    room.do(cti.AlternateCall(call=call.id), LINA)
    assert room.hears(call, ONE, TRUNK) and not room.hears(call, ONE, FOUR) and room.music_at(call, FOUR)
    room.do(cti.TransferCall(call=call.id), LINA)
    room.world.run(1)
    assert room.hears(call, TRUNK, FOUR) and room.hears(call, FOUR, TRUNK)
    assert not any(leg.device == ONE for leg in call.live())
    assert room.facts(facts.Transferred)[0].kind == "attended"
    room.close()


def test_consult_then_reconnect_and_conference(room: Room) -> None:
    call = room.call_lina()
    room.do(cti.ConsultationCall(call=call.id, destination="1004"), LINA)
    room.world.run(3)
    room.do(cti.ReconnectCall(call=call.id), LINA)
    room.world.run(1)
    assert room.hears(call, TRUNK, ONE) and not room.music_at(call, TRUNK)
    room.refuse(cti.ConferenceCall(call=call.id), "wrong_state", LINA)
    room.do(cti.ConsultationCall(call=call.id, destination="1004"), LINA)
    room.world.run(3)
    room.do(cti.ConferenceCall(call=call.id), LINA)
    parties = (TRUNK, ONE, FOUR)
    assert all(room.hears(call, a, b) for a in parties for b in parties if a != b)
    assert not any(room.hears(call, a, a) for a in parties)
    room.close()


def test_single_step_transfer_and_conference(room: Room) -> None:
    call = room.call_lina()
    room.do(cti.SingleStepConferenceCall(call=call.id, destination="1003"), LINA)
    assert room.hears(call, TRUNK, ONE), "they go on talking while it rings"
    room.world.run(3)
    assert room.hears(call, TRUNK, THREE) and room.hears(call, ONE, THREE)
    room.refuse(cti.SingleStepTransferCall(call=call.id, destination="1004"), "unknown_object", LINA)
    room.carrier.at(room.world.now, room.carrier.hangup)
    room.world.run(10)
    room.phones["1001"].at(room.world.now, room.phones["1001"].hangup)
    room.world.run(10)
    call = room.call_lina()
    room.do(cti.SingleStepTransferCall(call=call.id, destination="queue:support"), LINA)
    room.world.run(5)
    assert call.queue == "support" and not any(leg.device == ONE and leg.agent == "" for leg in call.live())
    room.close()


def test_click_to_dial_and_call_data(room: Room) -> None:
    data = room.do(cti.MakeCall(destination="1004", data={"customer": "4711"}), LINA)
    room.world.run(4)
    call = room.node.switch.exchange.calls[data["call"]]
    assert room.hears(call, ONE, FOUR)
    room.do(cti.SetCallData(call=call.id, data={"customer": "", "case": "9"}), LINA)
    assert call.data == {"case": "9"}
    assert room.do(cti.SnapshotCall(call=call.id), LINA)["data"] == {"case": "9"}
    room.do(cti.ClearCall(call=call.id), LINA)
    room.world.run(5)
    assert not room.node.switch.exchange.calls
    room.close()


def test_a_ringing_phone_is_told_to_answer_and_a_call_is_deflected(room: Room) -> None:
    for phone in room.phones.values():
        phone.behaviour = Behaviour(answer_after=None, register_every=600)
    room.world.keep_wire = True
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550101@{SWITCH}"))
    room.world.run(1)
    (call,) = room.node.switch.exchange.calls.values()
    room.do(cti.AnswerCall(call=call.id), LINA)
    room.world.run(0.2)
    talk = [data for _, _, host, data in room.world.wire if data.startswith(b"NOTIFY") and b"Event: talk" in data]
    assert talk and b"1001" in talk[0]
    room.phones["1004"].behaviour = Behaviour(answer_after=1.0, register_every=600)
    room.do(cti.DeflectCall(call=call.id, destination="extension:1004"), LINA)
    room.world.run(3)
    assert room.hears(call, TRUNK, FOUR)
    room.close()


def test_recording_is_paused_and_masked(room: Room) -> None:
    call = room.call_lina()
    (recording,) = call.recordings
    room.do(cti.PauseRecording(call=call.id), LINA)
    room.do(cti.ResumeRecording(call=call.id), LINA)
    room.refuse(cti.StartRecording(call=call.id), "wrong_state")
    room.do(cti.StopRecording(call=call.id))
    completed = room.facts(facts.RecordingCompleted)[0]
    assert completed.recording == recording and completed.conversation is not None
    assert completed.conversation.talk_to_ms == 0
    assert completed.conversation.talk_from_ms + completed.conversation.silence_ms == completed.duration_ms
    assert room.do(cti.StartRecording(call=call.id))["recording"] != recording
    room.close()


def test_supervision(room: Room) -> None:
    call = room.call_lina()
    boss = Actor(user="boss", role="supervisor", agent="8003", teams=("service",))
    room.do(cti.SilentMonitor(call=call.id, device="1003"), boss)
    room.world.run(3)
    assert room.hears(call, THREE, TRUNK) and room.hears(call, THREE, ONE)
    assert not room.hears(call, ONE, THREE) and not room.hears(call, TRUNK, THREE)
    room.do(cti.Whisper(call=call.id, device="1003"), boss)
    assert room.hears(call, ONE, THREE) and not room.hears(call, TRUNK, THREE)
    room.do(cti.BargeIn(call=call.id, device="1003"), boss)
    assert room.hears(call, ONE, THREE) and room.hears(call, TRUNK, THREE)
    room.do(cti.TakeOver(call=call.id, device="1003"), boss)
    room.world.run(1)
    assert room.hears(call, TRUNK, THREE) and not any(leg.device == ONE for leg in call.live())
    assert {entry.action for entry in room.facts(facts.AuditEntry)} >= {"monitor", "whisper", "barge"}
    room.close()


def test_what_agents_may_not(room: Room) -> None:
    call = room.call_lina()
    room.refuse(cti.HoldCall(call=call.id), "unknown_object", TOM)
    room.refuse(cti.HoldCall(call="nonsense"), "unknown_object", LINA)
    room.refuse(cti.SetAgentState(state="ready", agent="8001"), "unknown_object", TOM)
    room.refuse(cti.MakeCall(destination="1001", device="1002"), "forbidden", TOM)
    room.refuse(cti.ClearConnection(call=call.id, leg=room.leg(call, TRUNK)), "forbidden", LINA)
    room.refuse(cti.SetAgentState(state="not_ready", reason="never heard of"), "unknown_object", LINA)
    room.close()


def test_a_conference_room(room: Room) -> None:
    """Each hears all but himself; who is alone hears music; the room ends with the last one."""
    for number in ("1001", "1004", "1003"):
        phone = room.phones[number]
        phone.at(room.world.now, partial(phone.call, "3000"))
        room.world.run(2)
    (call,) = room.node.switch.exchange.calls.values()
    parties = (ONE, FOUR, THREE)
    assert all(room.hears(call, a, b) for a in parties for b in parties if a != b)
    for number in ("1001", "1003"):
        room.phones[number].at(room.world.now, room.phones[number].hangup)
    room.world.run(2)
    assert room.music_at(call, FOUR)
    room.close()


def test_a_call_is_parked_and_fetched(room: Room) -> None:
    call = room.call_lina()
    room.refuse(cti.ParkCall(call=call.id, slot="999"), "wrong_state", LINA)
    room.refuse(cti.ParkCall(call=call.id), "unknown_object", TOM)
    slot = room.do(cti.ParkCall(call=call.id), LINA)["slot"]
    room.world.run(1)
    assert room.music_at(call, TRUNK) and {leg.device for leg in call.live()} == {TRUNK}
    room.phones["1004"].at(room.world.now, lambda: room.phones["1004"].call(slot))
    room.world.run(3)
    assert room.hears(call, TRUNK, FOUR) and room.hears(call, FOUR, TRUNK)
    room.close()


@pytest.mark.parametrize("by", ["device", "call"])
def test_what_rings_elsewhere_is_picked_up(room: Room, by: str) -> None:
    room.phones["1001"].behaviour = Behaviour(answer_after=None, register_every=600)
    room.refuse(cti.DirectedPickupCall(device="1001"), "wrong_state", TOM)
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550101@{SWITCH}"))
    room.world.run(2)
    (call,) = room.node.switch.exchange.calls.values()
    room.refuse(cti.DirectedPickupCall(device="1001", to="1003"), "forbidden", TOM)
    room.refuse(cti.DirectedPickupCall(call=call.id), "unknown_object", TOM)
    if by == "device":
        room.do(cti.DirectedPickupCall(device="1001"), TOM)
    else:
        room.do(cti.DirectedPickupCall(call=call.id, to="1004"))
    room.world.run(3)
    assert room.hears(call, TRUNK, FOUR) and room.hears(call, FOUR, TRUNK)
    assert {leg.device for leg in call.live()} == {TRUNK, FOUR}
    room.close()


def test_an_agent_takes_his_calls_at_the_desk_where_he_logs_on(room: Room) -> None:
    """Hot desk: who sat there is logged off, and the calls of his queues ring at this phone."""
    room.do(cti.SetAgentState(state="log_on", agent="8001", device="1004"), LINA)
    room.do(cti.SetAgentState(state="ready", agent="8001"), LINA)
    acd = room.node.switch.exchange.acd
    assert acd.view_agent("8001").device == FOUR and acd.view_agent("8004").state == "logged_off"
    gone = {event.agent: event.reason for event in room.facts(facts.AgentLoggedOff)}
    assert gone == {"8001": "other_device", "8004": "hot_desk"}
    for other in ("8002", "8003"):
        room.do(cti.SetAgentState(state="log_off", agent=other))
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550101@{SWITCH}"))
    room.world.run(4)
    (call,) = room.node.switch.exchange.calls.values()
    room.refuse(cti.ClearCall(call=call.id), "unknown_object", LINA)
    room.do(cti.SingleStepTransferCall(call=call.id, leg=room.leg(call, ONE), destination="queue:support"))
    room.world.run(6)
    assert room.hears(call, TRUNK, FOUR) and {leg.device for leg in call.live()} == {TRUNK, FOUR}
    assert room.facts(facts.QueueLeft)[-1].agent == "8001"
    room.close()
