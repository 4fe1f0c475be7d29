"""What goes wrong, and where calls go: each has one defined outcome on the whole switch, in virtual time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from media import protocol as media
from pbx.config.loader import load
from pbx.config.recording import RecordingPolicy
from pbx.events import catalogue as facts
from pbx.ivr.lint import load_folder
from pbx.sip.commands import Flow
from pbx.testing.phone import Behaviour, ScriptedPhone
from tests.sim.test_desk_commands import FOUR, ONE, Room
from tests.sim.test_whole_switch import ROOT, SWITCH

OTHER_CARRIER = "198.51.100.200"


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def two_trunks(tmp_path: Path) -> Room:
    """The sample with a second carrier, both at addresses of the simulated world."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    yaml = YAML()
    path = tmp_path / "config" / "trunks.yaml"
    data = yaml.load(path)
    trunks = data["trunks"]
    trunks["carrier-a"].update(host="192.0.2.10", port=5060, max_calls=1)
    trunks["carrier-b"] = {"host": OTHER_CARRIER, "port": 5060, "numbers_in": "e164", "numbers_out": "e164"}
    with path.open("w") as file:
        yaml.dump(data, file)
    path = tmp_path / "config" / "tandem.yaml"
    data = yaml.load(path)
    data["flows"] = str(ROOT / "ivr_flows")
    for source in data["sources"].values():
        if "file" in source:
            source["file"] = str((ROOT / "config" / source["file"]).resolve())
    with path.open("w") as file:
        yaml.dump(data, file)
    configuration = load(tmp_path / "config")
    flows, _ = load_folder(configuration.flows)
    made = Room((configuration, flows))
    other = ScriptedPhone("b", OTHER_CARRIER, Flow("udp", SWITCH, 5060, "udp"), seed=99)
    made.world.add(OTHER_CARRIER, other)
    made.other = other
    return made


def outcomes(room: Room) -> list[str]:
    return [event.outcome for event in room.facts(facts.CallCleared)]


def dial(room: Room, number: str, target: str) -> Any:
    phone = room.phones[number]
    phone.at(room.world.now, lambda: phone.call(target))
    room.world.run(4)
    return list(phone.talks.values())[-1]


def test_a_phone_that_vanishes_is_hung_up_when_its_voice_is_missed(room: Room) -> None:
    call = room.call_lina()
    room.phones["1001"].vanish()
    lost = media.MediaTimeout(leg=room.leg(call, ONE), silent_ms=30_000)
    room.world.post(SWITCH, room.node.happened(lost, room.world.now))
    room.world.run(60)
    assert not room.node.switch.exchange.calls and outcomes(room) == ["answered"]
    assert room.facts(facts.MediaLost)[0].device == ONE


def test_a_caller_who_never_acknowledges_is_given_up(room: Room) -> None:
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550101@{SWITCH}"))
    room.world.run(0.5)
    room.carrier.vanish()
    room.world.run(60)
    assert not room.node.switch.exchange.calls
    cleared = [event for event in room.facts(facts.ConnectionCleared) if event.device.startswith("trunk")]
    assert [event.by for event in cleared] == ["timeout"]


def test_unknown_numbers_and_wrong_passwords(room: Room) -> None:
    assert dial(room, "1001", "7999").ended.status == 404
    stranger = ScriptedPhone(
        "1002", "203.0.113.66", Flow("udp", SWITCH, 5060, "udp"), domain="tandem", password="guess", seed=5
    )
    room.world.add(stranger.host, stranger)
    stranger.at(room.world.now, lambda: stranger.call("1001"))
    room.world.run(5)
    (talk,) = stranger.talks.values()
    assert talk.ended is not None and talk.ended.status in (401, 403)
    assert len(room.facts(facts.Offered)) == 1, "the stranger's call never began"


def test_calls_that_come_while_draining_are_told_when_to_come_back(room: Room) -> None:
    call = room.call_lina()
    room.world.post(SWITCH, room.node.drain(room.world.now))
    assert dial(room, "1002", "1004").ended.status == 503
    assert call.id in room.node.switch.exchange.calls, "those in progress go on"


def test_the_lateness_of_each_gateways_ticks_is_kept(room: Room) -> None:
    (gateway,) = room.node.switch.exchange.media.gateways
    for count in (50, 100):
        told = media.TickLateness(bounds_us=(1000, 2000), counts=(count, 1), beyond=0, total_s=0.5)
        room.world.post(SWITCH, room.node.happened(told, room.world.now))
    view = room.node.switch.exchange.media.gateways[gateway]
    assert view.lateness is not None and view.lateness.counts == (100, 1)


def test_a_full_disk_stops_recordings_not_calls(room: Room) -> None:
    full = media.DiskState(level="full", free_bytes=0)
    room.world.post(SWITCH, room.node.happened(full, room.world.now))
    call = room.call_lina()
    assert len(call.talkers) == 2 and not call.recordings
    assert room.facts(facts.RecordingFailed)[0].reason == "the disk is full"


def fill(room: Room, policy: str) -> None:
    """The gateway's disk is full, calls to be recorded are to be refused, and ``policy`` is the general one."""
    settings = room.node.switch.exchange.settings
    recording = settings.configuration.recording
    changed = recording.model_copy(
        update={"when_full": "reject", "policy": RecordingPolicy.model_validate({"mode": policy})}
    )
    settings.configuration = settings.configuration.model_copy(update={"recording": changed})
    full = media.DiskState(level="full", free_bytes=0)
    room.world.post(SWITCH, room.node.happened(full, room.world.now))


def test_a_full_disk_refuses_calls_that_have_to_be_recorded(room: Room) -> None:
    fill(room, "all")
    assert dial(room, "1001", "1002").ended.status == 503
    emergency = dial(room, "1001", "110")
    assert emergency.ended is None or emergency.ended.status != 503, "an emergency call passes"
    again = media.DiskState(level="ok", free_bytes=1 << 40)
    room.world.post(SWITCH, room.node.happened(again, room.world.now))
    assert dial(room, "1003", "1002").ended is None
    levels = [event.level for event in room.facts(facts.DiskStateChanged)]
    assert levels == ["full", "ok"]


def test_a_full_disk_lets_calls_pass_that_nobody_records(room: Room) -> None:
    fill(room, "on_demand")
    assert dial(room, "1001", "1002").ended is None


def test_a_call_control_that_comes_back_learns_of_the_full_disk(room: Room) -> None:
    welcome = media.Welcome(id=1, version=1, gateway="g", legs=0, capacity=9, disk="full", disk_free_bytes=5)
    switch = room.node.switch
    switch.gateway_up("local", welcome, room.world.now)
    assert switch.exchange.recording.is_full("local") and switch.exchange.recording.disk == "full"
    assert not switch.exchange.recording.is_full("another")


def test_no_media_port_ends_the_call_cleanly(room: Room) -> None:
    room.node.media.capacity = 0
    assert dial(room, "1001", "1004").ended.status == 503
    assert not room.node.switch.exchange.calls


def test_a_ring_group_rings_together_and_the_first_answer_wins(room: Room) -> None:
    for number, after in (("1001", 20.0), ("1002", 20.0), ("1003", 3.0)):
        room.phones[number].behaviour = Behaviour(answer_after=after, register_every=600)
    room.carrier.at(room.world.now, lambda: room.carrier.call(f"sip:01055550199@{SWITCH}"))
    room.world.run(14)
    (call,) = room.node.switch.exchange.calls.values()
    assert {call.legs[leg].device for leg in call.talkers} == {"trunk:carrier-a", "extension:1003"}
    assert {event.device for event in room.facts(facts.Delivered)} == {
        "extension:1001",
        "extension:1002",
        "extension:1003",
    }
    room.close()


def test_do_not_disturb_and_forwarding_by_feature_code(room: Room) -> None:
    dial(room, "1001", "*78")
    dial(room, "1001", "*721004")
    assert [event.on for event in room.facts(facts.DoNotDisturb)] == [True]
    room.world.run(20)
    talk = dial(room, "1002", "1001")
    assert talk.answered is not None
    (call,) = room.node.switch.exchange.calls.values()
    assert any(leg.device == FOUR for leg in call.live()), "forwarding comes before do-not-disturb"


def test_the_next_trunk_is_tried_when_one_fails_or_is_full(two_trunks: Any) -> None:
    room = two_trunks
    room.carrier.behaviour = Behaviour(refuse_with=503)
    first = dial(room, "1001", "923456789")
    assert first.answered is not None and len(room.other.talks) == 1, "503 from the first carrier"
    assert [(event.device, event.status) for event in room.facts(facts.Failed)] == [("trunk:carrier-a", 503)]
    room.carrier.behaviour = Behaviour(answer_after=0.5)
    dial(room, "1002", "923456780")
    assert len(room.other.talks) == 1 and room.node.switch.exchange.device_legs.count("trunk:carrier-a") == 1
    dial(room, "1003", "923456781")
    assert len(room.other.talks) == 2, "the first one takes one call at a time"


def test_a_busy_number_is_busy_on_every_trunk(two_trunks: Any) -> None:
    room = two_trunks
    room.carrier.behaviour = Behaviour(refuse_with=486)
    talk = dial(room, "1001", "923456789")
    assert talk.ended.status == 486 and not room.other.talks
    assert outcomes(room) == ["busy"]


def test_permissions_and_emergency_numbers(two_trunks: Any) -> None:
    room = two_trunks
    assert dial(room, "1001", "9001234567890").ended.status == 403
    room.carrier.behaviour = Behaviour(answer_after=0.5)
    assert dial(room, "1001", "110").answered is not None


def test_a_call_goes_to_the_next_server_of_a_trunk_whose_first_is_silent(two_trunks: Room) -> None:
    room = two_trunks
    room.node.switch.exchange.find_trunk_others = lambda trunk: (Flow("udp", OTHER_CARRIER, 5060, "udp"),)
    room.carrier.vanish()
    phone = room.phones["1003"]
    phone.at(room.world.now, lambda: phone.call("913912345678"))
    room.world.run(8)
    assert len(room.other.talks) == 1
    (call,) = room.node.switch.exchange.calls.values()
    assert [leg.device for leg in call.live()] == ["extension:1003", "trunk:carrier-a"], "the same trunk, the same leg"
