"""Waiting in a queue: prompts in turn, ringback while a phone rings, and the agent one spoke with before."""

from media.protocol import AnyCommand, AnyReply, Play, Speech
from pbx.config.model import Configuration
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import EPOCH, SwitchNode

SWITCH, CARRIER = "192.0.2.100", "192.0.2.1"
QUEUE = {
    "announcements": {"prompts": [{"en": "First."}, {"en": "Second."}], "prompt_interval": "20s"},
    "ring_timeout": "20s",
}


class Scene:
    """A queue with two agents at two phones, and a caller on the trunk."""

    def __init__(self, **queue: object) -> None:
        self.configuration = configuration = Configuration.model_validate(
            {
                "locale": {"language": "en", "timezone": "Asia/Shanghai"},
                "trunks": {"carrier": {"host": CARRIER, "networks": [CARRIER]}},
                "extensions": {"1001": {"name": "A"}, "1002": {"name": "B"}},
                "agents": {
                    "1": {"name": "A", "extension": "1001", "queues": ["q"]},
                    "2": {"name": "B", "extension": "1002", "queues": ["q"]},
                },
                "queues": {"q": QUEUE | queue},
                "routes": {"inbound": [{"did": "100", "to": "queue:q"}]},
            }
        )
        self.world = World(Netem(1))
        self.switch = SwitchNode(configuration, {}, host=SWITCH)
        self.spoken: list[str] = []
        carry_out = self.switch.media.handle

        def listen(command: AnyCommand, now: float) -> AnyReply:
            if isinstance(command, Play):
                self.spoken.extend(item.text for item in command.items if isinstance(item, Speech))
            return carry_out(command, now)

        self.switch.media.handle = listen  # type: ignore[method-assign]
        server = Flow("udp", SWITCH, 5060, "udp")
        self.caller = ScriptedPhone("139", CARRIER, server, seed=9)
        self.phones = [
            ScriptedPhone(
                number,
                f"192.0.2.{index + 10}",
                server,
                seed=index,
                password=f"secret-{number}",
                behaviour=Behaviour(answer_after=5.0),
            )
            for index, number in enumerate(("1001", "1002"))
        ]
        for node in (self.caller, *self.phones):
            self.world.add(node.host, node)
        self.world.add(SWITCH, self.switch)
        for phone in self.phones:
            phone.at(self.world.now, phone.register)
        self.world.run(1)

    def log_in(self) -> None:
        for phone in self.phones:
            phone.at(self.world.now, lambda phone=phone: phone.call("*31"))  # type: ignore[misc]
        self.world.run(10)

    def call(self, talk_seconds: float) -> str:
        """Call, talk, hang up; returns the agent."""
        start = self.world.now
        before = len(self.facts(facts.OfferEnded))
        self.caller.at(start, lambda: self.caller.call("100"))
        self.caller.at(start + talk_seconds, lambda: self.caller.hangup())
        self.world.run(talk_seconds + 5)
        return next(str(event.agent) for event in self.facts(facts.OfferEnded)[before:] if event.result == "accepted")

    def restart(self, seconds: float) -> None:
        """Call control dies and comes back after ``seconds``."""
        self.world.remove(SWITCH)
        self.world.run(seconds)
        self.switch = SwitchNode(self.configuration, {}, host=SWITCH, start=self.world.now, after=self.switch)
        self.world.add(SWITCH, self.switch)
        self.world.run(1)

    def facts(self, kind: type) -> list:
        return [record.event for record in self.switch.records if isinstance(record.event, kind)]


def test_prompts_in_turn() -> None:
    scene = Scene()
    start = scene.world.now
    scene.caller.at(start, lambda: scene.caller.call("100"))
    scene.world.run(90)
    assert scene.spoken == ["First.", "Second.", "First.", "Second."]
    scene.caller.at(scene.world.now, lambda: scene.caller.hangup())
    scene.world.run(60)
    assert len(scene.spoken) == 4


def test_ringback_while_a_phone_rings() -> None:
    for ringback, heard in (("no", {"music:default"}), ("yes", {"music:default", "ringback"})):
        scene = Scene(ringback=ringback)
        scene.log_in()
        waits: set[str] = set()
        scene.caller.at(scene.world.now, lambda scene=scene: scene.caller.call("100"))  # type: ignore[misc]
        for _ in range(40):
            scene.world.run(0.1)
            for call in scene.switch.switch.exchange.calls.values():
                waits.add(call.legs[call.anchor].waiting)
        assert waits - {""} == heard


def test_the_agent_one_spoke_with_before() -> None:
    for last_agent, same in (("1h", True), ("0", False)):
        scene = Scene(last_agent=last_agent)
        scene.log_in()
        agents = [scene.call(10) for _ in range(4)]
        assert (len(set(agents)) == 1) == same, agents


def test_the_last_agent_is_known_after_a_restart() -> None:
    scene = Scene(last_agent="1h")
    scene.log_in()
    first = scene.call(10)
    scene.restart(5)
    assert [scene.call(10) for _ in range(3)] == [first] * 3
    scene.restart(2 * 3600)
    assert not [key for key in scene.switch.checkpoints if "139" in key], "too old, and nobody needs it any more"


def test_a_caller_whose_kept_agent_cannot_be_read_is_served() -> None:
    scene = Scene(last_agent="1h")
    scene.log_in()
    scene.call(10)
    (key,) = [key for key in scene.switch.checkpoints if "139" in key]
    scene.switch.checkpoints[key] = b"\xc1"
    scene.restart(5)
    assert [note.text for note in scene.switch.notes if note.level == "error"] == [
        "a caller's last agent cannot be read"
    ]
    assert key not in scene.switch.checkpoints and scene.call(10)


def test_counts_of_calls_begin_anew_at_midnight() -> None:
    for down in (False, True):
        scene = Scene(strategy="least_calls")
        scene.log_in()
        acd = scene.switch.switch.exchange.acd
        assert {scene.call(10) for _ in range(2)} == {"1", "2"} and acd.view_agent("1").calls == 1
        until_midnight = 86400 - (EPOCH + scene.world.now + 8 * 3600) % 86400
        if down:
            scene.restart(10)
            until_midnight -= 11
            assert scene.switch.switch.exchange.acd.view_agent("1").calls == 1
            scene.restart(until_midnight)
        else:
            scene.world.run(until_midnight - 1)
            assert acd.view_agent("1").calls == 1
            scene.world.run(2)
        acd = scene.switch.switch.exchange.acd
        assert [acd.view_agent(agent).calls for agent in ("1", "2")] == [0, 0]
