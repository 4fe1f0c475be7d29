"""A mailbox from the first message to the last, in the whole switch in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from media import protocol as media
from pbx.config.model import Configuration
from pbx.events import catalogue as facts
from pbx.ivr.loader import load_flows
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import SwitchNode

SWITCH, CARRIER, PHONE, OTHER = "192.0.2.100", "192.0.2.1", "192.0.2.50", "192.0.2.51"
FLOWS, _ = load_flows(Path(__file__).parents[3] / "ivr_flows")


def settings(**mailbox: Any) -> dict[str, Any]:
    return {
        "locale": {"language": "en"},
        "trunks": {"carrier": {"host": CARRIER, "networks": [CARRIER]}},
        "extensions": {
            "1001": {"name": "Li Lei", "language": "en", "voicemail": {"email": "li@example.com", **mailbox}},
            "1002": {"name": "Han", "language": "en", "voicemail": "yes"},
            "1003": {"name": "No box", "language": "en"},
        },
        "mailboxes": {"2900": {"name": "Service", "members": ["1002"], "max_messages": "1"}},
        "routes": {
            "inbound": [
                {"did": "100", "to": "voicemail:1001"},
                {"did": "101", "to": "flow:voicemail", "data": {"mailbox": "1001"}},
                {"did": "102", "to": "voicemail:2900"},
            ]
        },
    }


class Scene:
    """The switch, a caller on the trunk, and two phones."""

    world: World
    switch: SwitchNode
    caller: ScriptedPhone
    phones: dict[str, ScriptedPhone]

    def __init__(self, after: Scene | None = None, **mailbox: Any) -> None:
        self.world = after.world if after else World(Netem(1))
        self.switch = SwitchNode(
            Configuration.model_validate(settings(**mailbox)),
            FLOWS,
            host=SWITCH,
            start=self.world.now,
            after=after.switch if after else None,
        )
        if after:
            self.caller, self.phones = after.caller, after.phones
            self.world.remove(SWITCH)
            self.world.add(SWITCH, self.switch)
            return
        server = Flow("udp", SWITCH, 5060, "udp")
        self.caller = ScriptedPhone("13912345678", CARRIER, server, seed=2)
        lazy = Behaviour(answer_after=None, register_every=3600)
        self.phones = {
            number: ScriptedPhone(number, host, server, seed=3, password=f"secret-{number}", behaviour=lazy)
            for number, host in (("1001", PHONE), ("1002", OTHER))
        }
        for node in (self.caller, *self.phones.values()):
            self.world.add(node.host, node)
        self.world.add(SWITCH, self.switch)
        for phone in self.phones.values():
            phone.at(self.world.now, phone.register)
        self.world.run(1)

    def call(self, phone: ScriptedPhone, number: str, keys: str = "", every: float = 8.0) -> None:
        """Call, press a key every few seconds, hang up."""
        phone.at(self.world.now + 0.1, lambda: phone.call(number))
        self.world.run(2)
        call = next(reversed(self.switch.switch.exchange.calls), "")
        for key in keys:
            if key != " ":
                self.switch.press(call, key, self.world.now)
            self.world.run(every if key in " #" else 0.3)
        phone.at(self.world.now + 0.1, phone.hangup)
        self.world.run(10)

    def facts(self, kind: type) -> list[Any]:
        return [record.event for record in self.switch.records if isinstance(record.event, kind)]

    def changes(self) -> list[str]:
        return [f"{event.mailbox} {event.change}" for event in self.facts(facts.VoicemailChanged)]

    def counts(self) -> list[tuple[str, int, int]]:
        return [(event.device, event.new, event.old) for event in self.facts(facts.MessageWaiting)]

    def leave(self, did: str = "100") -> None:
        self.call(self.caller, did, "    ")


def test_a_message_is_kept_counted_and_mailed() -> None:
    scene = Scene()
    scene.leave()
    (left,) = scene.facts(facts.VoicemailLeft)
    assert scene.counts() == [("extension:1001", 1, 0)]
    (source,) = scene.switch.made[f"/voicemail/{left.path}"]
    assert source.startswith("/recordings/messages/")
    (mail,) = scene.switch.notices
    assert (mail.to, mail.attachment) == ("li@example.com", f"/voicemail/{left.path}")


def test_the_mailbox_survives_the_process() -> None:
    scene = Scene()
    scene.leave()
    again = Scene(after=scene)
    assert again.counts() == [("extension:1001", 1, 0), ("extension:1001", 1, 0)]
    again.call(again.phones["1001"], "*97", " 1  3  ")
    assert again.changes() == ["1001 heard", "1001 deleted"]
    assert again.counts()[-2:] == [("extension:1001", 0, 1), ("extension:1001", 0, 0)]


def test_own_phone_hears_saves_and_forwards() -> None:
    scene = Scene()
    scene.leave()
    scene.call(scene.phones["1001"], "*97", " 1  2   2  4 1002# 2  ")
    assert scene.changes() == ["1001 heard", "1001 saved", "1001 forwarded"]
    assert scene.counts()[-1] == ("extension:1002", 1, 0)
    (copy,) = [path for path in scene.switch.made if path.startswith("/voicemail/1002/")]
    assert scene.switch.made[copy] == (f"/voicemail/{scene.facts(facts.VoicemailLeft)[0].path}",)


def test_an_introduction_goes_before_the_message() -> None:
    scene = Scene()
    scene.leave()
    scene.call(scene.phones["1001"], "*97", " 1  4 1002# 1  # ")
    (copy,) = [path for path in scene.switch.made if path.startswith("/voicemail/1002/")]
    introduction, message = scene.switch.made[copy]
    assert introduction.startswith("/recordings/messages/")
    assert "introduction" in introduction
    assert message.startswith("/voicemail/1001/")


def test_from_outside_only_with_the_pin_chosen_by_phone() -> None:
    scene = Scene()
    scene.leave()
    scene.call(scene.phones["1001"], "*97", " 8 2580# 2580# ")
    scene.call(scene.caller, "101", " 9999# 2580# 1  3  ")
    assert scene.changes() == ["1001 heard", "1001 deleted"]
    everything = repr(scene.switch.records) + repr(scene.switch.notes)
    assert "2580" not in everything
    assert "9999" not in everything
    assert "2580" not in repr([value.replace("salt-2580", "") for value in scene.switch.voicemail.values()])


def test_without_a_pin_nobody_gets_in_from_outside() -> None:
    scene = Scene()
    scene.leave()
    scene.call(scene.caller, "101", " 0000# 0000# 0000# 1  ")
    assert scene.changes() == []


def test_the_configured_pin_opens_until_too_many_wrong_ones() -> None:
    scene = Scene(pin={"generated": "box"}, pin_attempts="3")
    scene.leave()
    pin = "generated:box"  # what the double reveals; nobody can dial it
    assert (
        scene.switch.switch.exchange.settings.reveal(
            scene.switch.switch.exchange.settings.configuration.extensions["1001"].voicemail.pin  # type: ignore[union-attr,arg-type]
        )
        == pin
    )
    scene.call(scene.caller, "101", " 0000# 0000# 0000# ")
    scene.call(scene.caller, "101", " 0000# ")
    (alert,) = scene.facts(facts.SecurityAlert)
    assert (alert.what, alert.detail) == ("mailbox_locked", "mailbox 1001")


def test_a_greeting_recorded_by_phone_greets_the_next_caller() -> None:
    scene = Scene()
    scene.call(scene.phones["1001"], "*97", " 9   #  1 ")
    (path,) = [path for path in scene.switch.made if "greeting" in path]
    played: list[media.Play] = []
    handle = scene.switch.media.handle

    def watch(command: media.AnyCommand, now: float) -> media.AnyReply | None:
        if isinstance(command, media.Play):
            played.append(command)
        return handle(command, now)

    scene.switch.media.handle = watch  # type: ignore[method-assign,assignment]
    scene.leave()
    assert any(media.File(path=path) in command.items for command in played)


def test_a_shared_mailbox_that_is_full_says_so() -> None:
    scene = Scene()
    scene.leave("102")
    scene.leave("102")
    assert [event.mailbox for event in scene.facts(facts.VoicemailLeft)] == ["2900"]
    scene.call(scene.phones["1002"], "*972900", " 1  3  ")
    assert scene.changes() == ["2900 heard", "2900 deleted"]
    scene.call(scene.phones["1001"], "*972900", " ")
    assert scene.changes() == ["2900 heard", "2900 deleted"], "no member"


def test_old_messages_are_deleted_in_time() -> None:
    scene = Scene(retention_days="1")
    scene.leave()
    scene.world.run(86_500)
    assert scene.changes() == ["1001 expired"]
    assert scene.switch.made == {}
    assert [key for key in scene.switch.voicemail if key.startswith("message/")] == []


def test_who_says_nothing_leaves_nothing() -> None:
    scene = Scene(silence="5s")
    scene.switch.media.quiet = True
    scene.leave()
    assert scene.facts(facts.VoicemailLeft) == []
    assert scene.counts() == []


def test_silence_ends_a_message() -> None:
    scene = Scene(silence="5s")
    phone = scene.caller
    phone.at(scene.world.now + 0.1, lambda: phone.call("100"))
    scene.world.run(20)
    (leg,) = scene.switch.media.recordings.values()
    scene.switch.happened(media.TalkStopped(leg=leg[0].leg, talked_ms=8000), scene.world.now)
    scene.world.run(4)
    assert scene.facts(facts.VoicemailLeft) == []
    scene.world.run(3)
    assert len(scene.facts(facts.VoicemailLeft)) == 1
