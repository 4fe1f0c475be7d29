"""Busy lamps, presence and message waiting on the whole switch, as the watching phone sees them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pbx.cti import commands as cti
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.voicemail.model import Counts
from tests.sim.lamp import Lamp
from tests.sim.test_desk_commands import LINA, ONE
from tests.sim.test_recovery import Restarting
from tests.sim.test_whole_switch import SWITCH

PIDF = "{urn:ietf:params:xml:ns:pidf}"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"


class Lit(Restarting):
    def lamp(self, event: str, target: str, *, watcher: str = "1004", expires: int = 600) -> Lamp:
        """A phone of ``watcher`` that has subscribed."""
        self._count += 1
        lamp = Lamp(watcher, f"198.51.100.{100 + self._count}", self.way, event=event, target=target)
        self.world.add(lamp.host, lamp)
        self.post(lamp, expires)
        return lamp

    @property
    def way(self) -> Flow:
        return Flow("udp", SWITCH, 5060, "udp")

    def post(self, lamp: Lamp, expires: int = 600) -> None:
        self.world.post(lamp.host, lamp.subscribe(expires))
        self.world.run(1)

    def count(self, mailbox: str, **counts: int) -> None:
        switch = self.node.switch
        outputs = switch.do(lambda ex: ex.message_waiting.put(mailbox, Counts(**counts)), self.world.now)
        self.node._take(outputs, self.world.now)
        self.world.post(SWITCH, self.node._drain())
        self.world.run(1)


@pytest.fixture
def room() -> Lit:
    return Lit()


def activity(body: str) -> tuple[str, str, str]:
    root = ElementTree.fromstring(body)
    found = [element.tag for element in root.iter() if element.tag.startswith(RPID) and "activities" not in element.tag]
    note = root.find(f"{PIDF}tuple/{PIDF}note")
    basic = root.find(f"{PIDF}tuple/{PIDF}status/{PIDF}basic")
    assert note is not None and basic is not None
    return basic.text or "", found[0].removeprefix(RPID) if found else "", note.text or ""


def test_a_lamp_follows_a_call(room: Lit) -> None:
    lamp = room.lamp("dialog", "1001")
    assert lamp.answers == [401, 200] and lamp.states == [()], "idle, told at once"
    assert lamp.notifies[0].header("Content-Type") == "application/dialog-info+xml"
    assert re.fullmatch(r"active;expires=\d+", lamp.notifies[0].header("Subscription-State"))
    room.call_lina()
    assert lamp.states == [(), ("trying",), ("early",), ("confirmed",)]
    early = ElementTree.fromstring(lamp.bodies[2])
    (dialog,) = early
    assert dialog.get("direction") == "recipient" and early.get("entity") == f"sip:1001@{SWITCH}"
    assert ">sip:+861088880000@" in lamp.bodies[2], "who rings is shown"
    assert [ElementTree.fromstring(body).get("version") for body in lamp.bodies] == ["0", "1", "2", "3"]
    phone = room.phones["1001"]
    phone.at(room.world.now, phone.hold)
    room.world.run(1)
    assert 'pname="+sip.rendering" pvalue="no"' in lamp.last
    phone.at(room.world.now, phone.hangup)
    room.world.run(2)
    assert lamp.states[-1] == ("terminated",)
    room.post(lamp)
    assert "<dialog " not in lamp.last, "a refresh is answered by the state as it is"
    room.post(lamp, 0)
    assert lamp.notifies[-1].header("Subscription-State") == "terminated;reason=timeout"
    room.call_lina()
    assert len(lamp.notifies) == 8, "nothing comes after the end"
    room.close()


def test_a_lamp_lets_pick_up_by_replaces(room: Lit) -> None:
    """What the lamp is told names the ringing dialog as an INVITE with Replaces needs it (RFC 3891, RFC 4235)."""
    lamp = room.lamp("dialog", "1001")
    picker = room.phones["1004"]
    room.phones["1001"].behaviour = room.phones["1001"].behaviour.__class__(answer_after=None)
    caller = room.phones["1003"]
    caller.at(room.world.now, lambda: caller.call("1001"))
    room.world.run(2)
    dialog = ElementTree.fromstring(lamp.last)[0]
    assert dialog[0].text == "early"
    names = {name: dialog.get(name) for name in ("call-id", "local-tag", "remote-tag")}
    replaces = f"{names['call-id']};to-tag={names['remote-tag']};from-tag={names['local-tag']};early-only"
    picker.at(room.world.now, lambda: picker.call("1001", (("Replaces", replaces),)))
    room.world.run(2)
    (call,) = room.node.switch.exchange.calls.values()
    assert {leg.device for leg in call.connected()} == {"extension:1003", "extension:1004"}
    assert lamp.states[-1] == ("terminated",)


def test_a_subscription_runs_out(room: Lit) -> None:
    lamp = room.lamp("dialog", "1001", expires=60)
    room.world.run(70)
    assert lamp.notifies[-1].header("Subscription-State") == "terminated;reason=timeout"
    assert room.node.switch.live()["watches"] == 0 == room.node.switch.live()["sip_subscriptions"]
    assert not [name for name in room.node.checkpoints if name.startswith("@watch-")]


@pytest.mark.parametrize(
    ("event", "target", "status"),
    [
        ("dialog", "9999", 404),
        ("presence", "701", 404),
        ("message-summary", "1001", 403),
        ("message-summary", "1004", 404),
        ("conference", "1001", 489),
    ],
)
def test_what_cannot_be_watched(room: Lit, event: str, target: str, status: int) -> None:
    lamp = room.lamp(event, target)
    assert lamp.answers == [401, status] and not lamp.notifies


def test_a_carrier_watches_nothing(room: Lit) -> None:
    lamp = Lamp("x", "192.0.2.77", room.way, event="dialog", target="1001")
    room.world.add(lamp.host, lamp)
    room.post(lamp)
    assert lamp.answers == [403]


def test_one_phone_cannot_hold_without_limit(room: Lit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.app.lamps.watchers.MAX_PER_WATCHER", 2)
    lamps = [room.lamp("dialog", "1001") for _ in range(3)]
    assert [lamp.answers[-1] for lamp in lamps] == [200, 200, 403]
    assert room.lamp("dialog", "1001", watcher="1003").answers[-1] == 200


def test_a_phone_that_does_not_answer_is_dropped_and_a_slow_one_hears_the_newest(room: Lit) -> None:
    lamp = room.lamp("dialog", "1001")
    lamp.is_deaf = True
    room.call_lina()
    lamp.is_deaf = False
    room.world.run(5)
    assert lamp.states == [(), ("trying",), ("confirmed",)], "one NOTIFY at a time, then the state as it is"
    lamp.is_deaf = True
    room.phones["1001"].at(room.world.now, room.phones["1001"].hangup)
    room.world.run(40)
    assert room.node.switch.live()["watches"] == 0


def test_a_parking_slot_is_a_lamp(room: Lit) -> None:
    lamp = room.lamp("dialog", "701")
    room.call_lina()
    phone = room.phones["1001"]
    phone.at(room.world.now, lambda: phone.transfer("", "701"))
    room.world.run(1)
    assert lamp.states[-1] == ("confirmed",) and "sip:+861088880000@" in lamp.last
    other = room.phones["1003"]
    other.at(room.world.now, lambda: other.call("701"))
    room.world.run(2)
    assert lamp.states[-1] == ("terminated",)
    room.post(lamp, 0)
    room.close()


def test_presence_of_an_agent(room: Lit) -> None:
    lamp = room.lamp("presence", "8001")
    by_phone = room.lamp("presence", "1001")
    assert activity(lamp.last) == ("open", "", "就绪")
    room.call_lina()
    assert activity(lamp.last) == activity(by_phone.last) == ("open", "on-the-phone", "通话中")
    room.phones["1001"].at(room.world.now, room.phones["1001"].hangup)
    room.world.run(2)
    room.do(cti.SetAgentState(state="not_ready", reason="lunch"), LINA)
    room.world.run(1)
    state, doing, _ = activity(lamp.last)
    assert (state, doing) == ("open", "away")
    room.do(cti.SetAgentState(state="log_off"), LINA)
    room.world.run(1)
    assert activity(lamp.last) == ("closed", "", "已签出")
    assert activity(by_phone.last) == ("open", "", "空闲"), "the phone is there without its agent"
    outputs = room.node.switch.do(lambda ex: ex.features.set_do_not_disturb("1001", True), room.world.now)
    room.node._take(outputs, room.world.now)
    room.world.post(SWITCH, room.node._drain())
    room.world.run(1)
    assert activity(by_phone.last) == ("closed", "busy", "请勿打扰")


def test_message_waiting(room: Lit) -> None:
    lamp = room.lamp("message-summary", "1001", watcher="1001")
    account = f"Message-Account: sip:1001@{SWITCH}\r\n"
    assert lamp.last == f"Messages-Waiting: no\r\n{account}Voice-Message: 0/0 (0/0)\r\n"
    assert lamp.notifies[0].header("Content-Type") == "application/simple-message-summary"
    room.count("1001", new=2, old=8, urgent_new=1)
    assert lamp.last == f"Messages-Waiting: yes\r\n{account}Voice-Message: 2/8 (1/0)\r\n"
    room.count("1001", new=2, old=8, urgent_new=1)
    room.count("1002", new=5)
    assert len(lamp.notifies) == 2, "neither the same again nor another's"
    assert [event.new for event in room.facts(facts.MessageWaiting)] == [2, 5]
    room.count("1001", old=10)
    assert lamp.last.startswith("Messages-Waiting: no\r\n") and "Voice-Message: 0/10 (0/0)" in lamp.last


def test_lamps_go_on_after_a_restart(room: Lit) -> None:
    lamps = [room.lamp("dialog", "1001"), room.lamp("presence", "8001")]
    call = room.call_lina()
    before = [len(lamp.notifies) for lamp in lamps]
    room.restart()
    room.world.run(1)
    assert [len(lamp.notifies) for lamp in lamps] == [count + 1 for count in before], "told anew, once"
    assert lamps[0].states[-1] == ("confirmed",) and activity(lamps[1].last)[1] == "on-the-phone"
    versions = [int(ElementTree.fromstring(body).get("version", "")) for body in lamps[0].bodies]
    assert versions == sorted(set(versions)), "versions never go back"
    assert ONE in {leg.device for leg in room.node.switch.exchange.calls[call.id].live()}
    room.phones["1001"].at(room.world.now, room.phones["1001"].hangup)
    room.world.run(2)
    assert lamps[0].states[-1] == ("terminated",)
    room.post(lamps[0])
    assert lamps[0].answers[-1] == 200, "its refresh is known"
    room.world.run(700)
    assert room.node.switch.live()["watches"] == 0


def test_what_a_reload_takes_away_is_said(room: Lit) -> None:
    lamp = room.lamp("dialog", "1001")
    configuration = room.node.switch.exchange.settings.configuration
    extensions = {number: entry for number, entry in configuration.extensions.items() if number != "1001"}
    settings = room.node.switch.exchange.settings
    less = type(settings)(configuration.model_copy(update={"extensions": extensions}), reveal=str)
    room.node._take(room.node.switch.configure(less, {}, (), room.world.now), room.world.now)
    room.world.post(SWITCH, room.node._drain())
    room.world.run(1)
    assert lamp.notifies[-1].header("Subscription-State") == "terminated;reason=noresource"
