"""Pickup, parking and the calendar switch, in the whole switch in virtual time."""

from collections.abc import Callable

import pytest

from pbx.config.model import Configuration
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone, Talk
from pbx.testing.switch_node import SwitchNode

SWITCH = "192.0.2.100"
SETTINGS = {
    "locale": {"language": "en"},
    "extensions": {
        "1001": {"name": "A", "pickup_group": "desk", "ring_seconds": "30"},
        "1002": {"name": "B"},
        "1003": {"name": "C", "pickup_group": "desk"},
        "1004": {"name": "D", "pickup_group": "other"},
    },
    "calendars": {"office": {"hours": {"daily": "open"}, "digit": "1", "pin": {"env": "PIN"}}},
    "routes": {"parking": {"first": "701", "last": "702", "timeout": "60s"}},
}
PIN = "4711"


class Scene:
    """Four registered phones; 1001 is slow to answer."""

    def __init__(self, **changes: object) -> None:
        self.world = World(Netem(1))
        self.switch = SwitchNode(Configuration.model_validate(SETTINGS | changes), {}, host=SWITCH)
        self.switch.switch.exchange.settings.reveal = lambda source: PIN
        self.world.add(SWITCH, self.switch)
        self.phones: dict[str, ScriptedPhone] = {}
        for index, number in enumerate(("1001", "1002", "1003", "1004")):
            behaviour = Behaviour(answer_after=20.0 if number == "1001" else 1.0)
            phone = ScriptedPhone(
                number,
                f"192.0.2.{index + 1}",
                Flow("udp", SWITCH, 5060, "udp"),
                seed=index,
                password=f"secret-{number}",
                behaviour=behaviour,
            )
            self.phones[number] = phone
            self.world.add(phone.host, phone)
            phone.at(self.world.now, phone.register)
        self.world.run(1)

    def at(self, delay: float, action: Callable[[], object]) -> None:
        next(iter(self.phones.values())).at(self.world.now + delay, action)

    def dial(self, number: str, target: str, delay: float = 0.0) -> None:
        phone = self.phones[number]
        phone.at(self.world.now + delay, lambda: phone.call(target))

    def facts(self, kind: type) -> list:
        return [record.event for record in self.switch.records if isinstance(record.event, kind)]

    def talk(self, number: str) -> Talk:
        return list(self.phones[number].talks.values())[-1]

    def is_talking(self, number: str) -> bool:
        talk = self.talk(number)
        return talk.answered is not None and talk.ended is None


@pytest.mark.parametrize(("number", "code"), [("1003", "*8"), ("1003", "**1001"), ("1004", "**1001")])
def test_pickup(number: str, code: str) -> None:
    scene = Scene()
    scene.dial("1002", "1001")
    scene.dial(number, code, 3)
    scene.world.run(6)
    assert scene.is_talking("1002") and scene.is_talking(number)
    assert scene.talk("1001").ended is not None
    assert [event.reason for event in scene.facts(facts.Diverted) if event.destination == f"extension:{number}"] == [
        "pickup"
    ]
    bridged = scene.facts(facts.Bridged)
    assert len(bridged) == 1 and len(bridged[0].legs) == 2


@pytest.mark.parametrize(("number", "code"), [("1004", "*8"), ("1003", "**1002"), ("1002", "*8")])
def test_no_pickup_of_other_groups_and_silent_phones(number: str, code: str) -> None:
    scene = Scene()
    scene.dial("1003" if number == "1002" else "1002", "1001")
    scene.dial(number, code, 3)
    scene.world.run(30)
    assert scene.is_talking("1001")
    assert scene.talk(number).ended is not None


def test_park_and_fetch() -> None:
    scene = Scene()
    scene.dial("1002", "1003")
    scene.world.run(5)
    parker = scene.phones["1003"]
    scene.at(0, lambda: parker.transfer(scene.talk("1003").leg, f"sip:701@{SWITCH}"))
    scene.world.run(5)
    assert scene.is_talking("1002")
    assert scene.facts(facts.CallInformation)[-1].data == {"parked_at": "701"}
    scene.dial("1004", "701")
    scene.world.run(5)
    assert scene.is_talking("1002") and scene.is_talking("1004")
    assert len(scene.facts(facts.Bridged)[-1].legs) == 2
    scene.at(0, lambda: scene.phones["1004"].hangup())
    scene.world.run(40)
    assert scene.talk("1002").ended is not None
    assert len(scene.facts(facts.CallCleared)) == len(scene.facts(facts.Offered))
    assert not scene.switch.switch.exchange.calls


def test_a_parked_call_goes_back_to_who_parked_it() -> None:
    scene = Scene()
    scene.dial("1002", "1003")
    scene.world.run(5)
    parker = scene.phones["1003"]
    scene.at(0, lambda: parker.transfer(scene.talk("1003").leg, f"sip:*70@{SWITCH}"))
    scene.world.run(10)
    assert scene.talk("1003").ended is not None
    scene.world.run(60)
    assert scene.is_talking("1002") and scene.is_talking("1003")


def test_who_hangs_up_frees_the_slot() -> None:
    scene = Scene()
    scene.dial("1002", "701")
    scene.world.run(3)
    scene.at(0, lambda: scene.phones["1002"].hangup())
    scene.world.run(3)
    scene.dial("1004", "701")
    scene.world.run(3)
    assert [event.data for event in scene.facts(facts.CallInformation)] == [{"parked_at": "701"}] * 2


@pytest.mark.parametrize(
    ("code", "state"), [(f"*551*{PIN}", "closed"), ("*551*wrong", "open"), ("*551", "open"), (f"*559*{PIN}", "open")]
)
def test_calendar_switch(code: str, state: str) -> None:
    scene = Scene()
    scene.dial("1002", code)
    scene.world.run(10)
    settings = scene.switch.switch.exchange.settings
    assert settings.calendar_state("office", 1_800_000_000.0)[0] == state
    assert len(scene.facts(facts.AuditEntry)) == (state == "closed")
    if state == "closed":
        scene.dial("1002", code)
        scene.world.run(10)
        assert settings.calendar_state("office", 1_800_000_000.0)[0] == "open"
