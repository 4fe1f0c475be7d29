"""`voicemail:NUMBER`: what the caller hears and what is kept, in the whole switch in virtual time."""

import pytest

from pbx.app.voicemail.destination import Box, make_mailbox_flow
from pbx.config.model import Configuration, Mailbox
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import SwitchNode

SWITCH, CARRIER, PHONE = "192.0.2.100", "192.0.2.1", "192.0.2.50"
SETTINGS = {
    "locale": {"language": "en"},
    "trunks": {"carrier": {"host": CARRIER, "networks": [CARRIER]}},
    "extensions": {
        "1001": {
            "name": "Li Lei",
            "voicemail": {"max_seconds": "30s", "email": "li@example.com"},
            "ring_seconds": "10",
        },
        "1002": {"name": "No box"},
    },
    "routes": {
        "inbound": [
            {"did": "100", "to": "voicemail:1001"},
            {"did": "101", "to": "extension:1001"},
            {"did": "102", "to": "voicemail:1002"},
        ]
    },
}


class Scene:
    """The switch, a caller on the trunk, and the phone of 1001 that never answers."""

    def __init__(self) -> None:
        self.world = World(Netem(1))
        self.switch = SwitchNode(Configuration.model_validate(SETTINGS), {}, host=SWITCH)
        server = Flow("udp", SWITCH, 5060, "udp")
        self.caller = ScriptedPhone("13912345678", CARRIER, server, seed=2)
        lazy = Behaviour(answer_after=None, register_every=3600)
        self.phone = ScriptedPhone("1001", PHONE, server, seed=3, password="secret-1001", behaviour=lazy)
        for node in (self.caller, self.phone):
            self.world.add(node.host, node)
        self.world.add(SWITCH, self.switch)

    def dial(self, did: str, hangup_after: float) -> None:
        start = self.world.now
        self.phone.at(start, lambda: self.phone.register())
        self.caller.at(start + 1, lambda: self.caller.call(did))
        self.caller.at(start + 1 + hangup_after, lambda: self.caller.hangup())
        self.world.run(hangup_after + 60)

    def facts(self, kind: type) -> list:
        return [record.event for record in self.switch.records if isinstance(record.event, kind)]


@pytest.mark.parametrize(("did", "hangup_after", "wait"), [("100", 30, 0), ("101", 45, 10)])
def test_a_message_is_kept_though_the_caller_just_hangs_up(did: str, hangup_after: float, wait: float) -> None:
    scene = Scene()
    scene.dial(did, hangup_after)
    (message,) = scene.facts(facts.VoicemailLeft)
    assert message.mailbox == "1001"
    assert message.caller == "13912345678"
    assert 2000 < message.duration_ms <= (hangup_after - wait) * 1000
    assert [event.flow for event in scene.facts(facts.FlowEntered)] == ["voicemail:1001"]
    (mail,) = scene.switch.notices
    assert (mail.to, mail.subject) == ("li@example.com", "Voice message from 13912345678")
    (cleared,) = scene.facts(facts.CallCleared)
    assert cleared.call == message.call


def test_without_a_mailbox_the_call_ends() -> None:
    scene = Scene()
    scene.dial("102", 20)
    assert scene.facts(facts.VoicemailLeft) == []
    (talk,) = scene.caller.talks.values()
    assert talk.ended is not None and talk.ended.status == 404


@pytest.mark.parametrize("name", ["李娜", 'A "quoted" {{ name }}', "{braces}", "1: 2 # 3"])
def test_any_name_can_be_greeted(name: str) -> None:
    assert make_mailbox_flow(Box("1001", name, "", Mailbox(), frozenset())).name == "voicemail:1001"


def test_greetings_change_the_flow() -> None:
    plain = Box("1001", "A", "", Mailbox(), frozenset())
    own = plain._replace(settings=Mailbox.model_validate({"greeting": {"en": "Speak now."}}))
    versions = {
        make_mailbox_flow(plain).version,
        make_mailbox_flow(own).version,
        make_mailbox_flow(own, "/var/prompts/hello.wav").version,
    }
    assert len(versions) == 3
