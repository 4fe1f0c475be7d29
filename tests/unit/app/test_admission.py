"""Who may begin a call: classes of callers, rates and limits, in the whole switch in virtual time."""

import pytest

from pbx.app.telephony.edge import PlaceGuard
from pbx.config.model import Configuration
from pbx.config.server import Network
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.sip.events import Origin
from pbx.sip.policy import Authenticated, Challenged, Rejected
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import SwitchNode

SWITCH, CARRIER, PHONE = "192.0.2.100", "192.0.2.1", "192.0.2.50"

SETTINGS = {
    "trunks": {"carrier": {"host": CARRIER, "networks": [CARRIER]}},
    "extensions": {"1001": {"name": "A"}},
    "queues": {"support": {}},
    "callers": {
        "nuisance": {"numbers": ["170."], "treatment": "block"},
        "vip": {"numbers": ["138."], "treatment": "priority", "priority": "40"},
    },
    "routes": {"inbound": [{"did": "100", "to": "queue:support", "priority": "5"}]},
}


class Scene:
    """A switch and the carrier's end of its trunk."""

    def __init__(self, caller: str, **changes: object) -> None:
        self.world = World(Netem(1))
        self.switch = SwitchNode(Configuration.model_validate(SETTINGS | changes), {}, host=SWITCH)
        self.carrier = ScriptedPhone(
            caller, CARRIER, Flow("udp", SWITCH, 5060, "udp"), seed=2, behaviour=Behaviour(hangup_after=5)
        )
        self.world.add(SWITCH, self.switch)
        self.world.add(CARRIER, self.carrier)

    def dial(self, *times: float) -> None:
        for time in times:
            self.carrier.at(self.world.now + time, lambda: self.carrier.call("100"))
        self.world.run(10)

    def facts(self, kind: type) -> list:
        return [record.event for record in self.switch.records if isinstance(record.event, kind)]

    def reasons(self) -> list[str]:
        return [event.reason for event in self.facts(facts.CallCleared) if event.outcome == "blocked"]


def test_a_blocked_caller_is_refused_and_told_of() -> None:
    scene = Scene("17012345678")
    scene.dial(0)
    assert scene.reasons() == ["caller of class nuisance"]
    (talk,) = scene.carrier.talks.values()
    assert talk.ended is not None and talk.ended.status == 603
    assert scene.facts(facts.Queued) == []


@pytest.mark.parametrize(("caller", "priority"), [("13812345678", 45), ("13912345678", 5)])
def test_priority_of_a_class_adds_to_that_of_the_route(caller: str, priority: int) -> None:
    scene = Scene(caller)
    scene.dial(0)
    assert [event.priority for event in scene.facts(facts.Queued)] == [priority]


def test_calls_beyond_the_rate_are_refused() -> None:
    scene = Scene("13912345678", limits={"calls_per_second": "2"})
    scene.dial(0, 0.01, 0.02, 0.03, 2, 2.01, 2.02)
    assert len(scene.facts(facts.Queued)) == 4
    assert scene.reasons() == ["too many calls a second"] * 3


def test_calls_beyond_the_limit_are_refused() -> None:
    scene = Scene("13912345678", limits={"max_calls": "2"})
    scene.dial(0, 0.1, 0.2)
    assert len(scene.facts(facts.Queued)) == 2
    assert scene.reasons() == ["too many calls"]


# --- who calls ----------------------------------------------------------------------------------------------------

ASSERTED = (("P-Asserted-Identity", "<sip:13800000000@example.net>"),)


@pytest.mark.parametrize(
    ("trunk", "headers", "caller"),
    [
        ({}, ASSERTED, "13912345678"),
        ({"trust_identity": "yes"}, ASSERTED, "13800000000"),
        ({"trust_identity": "yes"}, (), "13912345678"),
        ({"trust_identity": "yes"}, (*ASSERTED, ("Privacy", "id")), "anonymous"),
        ({"trust_identity": "yes", "quirks": {"caller_from": "from"}}, ASSERTED, "13912345678"),
    ],
)
def test_who_calls_by_trust(trunk: dict, headers: tuple[tuple[str, str], ...], caller: str) -> None:
    scene = Scene("13912345678", trunks={"carrier": {"host": CARRIER, "networks": [CARRIER]} | trunk})
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call("100", headers))
    scene.world.run(5)
    assert [event.caller for event in scene.facts(facts.Offered)] == [caller]


def test_headers_become_call_data() -> None:
    trunk = {"host": CARRIER, "networks": [CARRIER], "trust_identity": "yes", "data_headers": ["X-Customer"]}
    scene = Scene("13912345678", trunks={"carrier": trunk})
    headers = (("X-Customer", "4711"), ("X-Other", "1"), ("Diversion", "<sip:555@example.net>;reason=no-answer"))
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call("100", headers))
    scene.world.run(5)
    assert [event.data for event in scene.facts(facts.CallInformation)] == [
        {"X-Customer": "4711", "diverted_from": "555", "diverted_why": "no-answer"}
    ]


# --- networks of phones -----------------------------------------------------------------------------------------------


class Inner:
    """Whoever asks is who he says."""

    def __init__(self, result: Authenticated | Challenged | Rejected) -> None:
        self.result = result

    def authenticate(self, *_: object) -> Authenticated | Challenged | Rejected:
        return self.result


def bound(network: str) -> dict[str, tuple[Network, ...]]:
    extension = {"name": "A", "networks": [network]}
    return {"1001": Configuration.model_validate({"extensions": {"1001": extension}}).extensions["1001"].networks}


@pytest.mark.parametrize(
    ("host", "name", "kind", "passes"),
    [
        ("10.0.0.7", "1001", "extension", True),
        ("10.0.1.7", "1001", "extension", False),
        ("2001:db8::1", "1001", "extension", False),
        ("nonsense", "1001", "extension", False),
        ("10.0.1.7", "1002", "extension", True),
        ("10.0.1.7", "1001", "trunk", True),
    ],
)
def test_a_phone_bound_to_networks_has_to_be_there(host: str, name: str, kind: str, passes: bool) -> None:
    inner = Inner(Authenticated(Origin(kind, name)))  # type: ignore[arg-type]
    result = PlaceGuard(inner, bound("10.0.0.0/24")).authenticate(None, "r", Flow("udp", host, 5060), 0.0)  # type: ignore[arg-type]
    assert result == (inner.result if passes else Rejected(403, "Not From Here"))


def test_a_challenge_passes_through() -> None:
    inner = Inner(Challenged(()))
    guard = PlaceGuard(inner, bound("10.0.0.0/24"))
    assert guard.authenticate(None, "r", Flow("udp", "192.0.2.9", 5060), 0.0) is inner.result  # type: ignore[arg-type]
