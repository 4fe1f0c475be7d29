"""Pickup, parking and the calendar switch, in the whole switch in virtual time."""

from collections.abc import Callable

import pytest

from pbx.app.outputs import Checkpoint
from pbx.app.settings import Settings
from pbx.config.model import Configuration
from pbx.events import catalogue as facts
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone, Talk
from pbx.testing.switch_node import SwitchNode

SWITCH = "192.0.2.100"
SETTINGS = {
    "locale": {"language": "en"},
    "agents": {"7": {"name": "G", "pin": {"env": "PIN"}}},
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

    def restart(self, seconds: float = 5.0) -> None:
        """Call control dies and comes back after ``seconds``."""
        before = self.switch
        self.world.remove(SWITCH)
        self.world.run(seconds)
        configuration = before.switch.exchange.settings.configuration
        self.switch = SwitchNode(configuration, {}, host=SWITCH, start=self.world.now, after=before)
        self.switch.switch.exchange.settings.reveal = lambda source: PIN
        self.world.add(SWITCH, self.switch)
        self.world.run(1)

    def press(self, code: str) -> str:
        """1002 dials a code; state of the calendar ``office`` then."""
        self.dial("1002", code)
        self.world.run(10)
        return self.switch.switch.exchange.settings.calendar_state("office", 1_800_000_000.0)[0]

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


def test_a_calendar_switched_by_hand_stays_so_over_a_restart() -> None:
    scene = Scene()
    assert scene.press(f"*551*{PIN}") == "closed"
    scene.restart()
    assert scene.press("*44") == "closed"
    assert scene.press(f"*551*{PIN}") == "open"
    assert not [key for key in scene.switch.checkpoints if "office" in key]
    scene.restart()
    assert scene.press("*44") == "open"


def test_wrong_pins_lock_the_switch_for_a_while_and_over_a_restart() -> None:
    calendar = {"hours": {"daily": "open"}, "digit": "1", "pin": {"env": "PIN"}, "pin_attempts": 2, "pin_lock": "10m"}
    scene = Scene(calendars={"office": calendar})
    scene.press("*551*1111")
    assert scene.press(f"*551*{PIN}") == "closed", "one wrong PIN is forgiven"
    assert scene.press(f"*551*{PIN}") == "open"
    scene.press("*551*1111")
    scene.press("*551*2222")
    assert [event.action for event in scene.facts(facts.AuditEntry)][-1] == "calendar switch locked"
    assert scene.press(f"*551*{PIN}") == "open"
    scene.restart()
    assert scene.press(f"*551*{PIN}") == "open", "still locked"
    scene.world.run(600)
    scene.press("*551*1111")
    assert scene.press(f"*551*{PIN}") == "closed", "tries are counted anew"


def test_wrong_login_pins_lock_the_agent_for_a_while_and_over_a_restart() -> None:
    scene = Scene()

    def log_in(pin: str) -> bool:
        scene.dial("1002", f"*317*{pin}")
        scene.world.run(10)
        return bool(scene.switch.switch.exchange.acd.view_agent("7").device)

    for _ in range(4):
        assert not log_in("1111")
    assert log_in(PIN), "four wrong PINs are forgiven"
    scene.dial("1002", "*32")
    scene.world.run(10)
    assert not any(log_in(f"{number}{number}") for number in range(11, 16)) and not log_in(PIN)
    assert [event.action for event in scene.facts(facts.AuditEntry)] == ["login locked"]
    scene.restart()
    assert not log_in(PIN), "still locked"
    scene.world.run(900)
    assert log_in(PIN)


def test_what_is_kept_of_a_calendar_is_dropped_with_it_and_told_when_it_cannot_be_read() -> None:
    scene = Scene()
    scene.press(f"*551*{PIN}")
    exchange = scene.switch.switch.exchange
    without = Configuration.model_validate(SETTINGS | {"calendars": {}})
    out = scene.switch.switch.configure(Settings(without, reveal=str), {}, (), scene.world.now)
    assert [(item.call, item.state) for item in out if isinstance(item, Checkpoint)] == [("@calendar office", b"")]
    assert exchange.settings.calendar_state("office", 1_800_000_000.0)[0] == "open"
    scene.switch.checkpoints["@calendar office"] = b"\xc1"
    scene.restart()
    assert "a calendar's switch cannot be read" in [note.text for note in scene.switch.notes]


@pytest.mark.parametrize(("code", "kept"), [("*551*{}", "*551*xxxx"), ("*317*{}#", "*317*xxxx"), ("*551", "*551")])
@pytest.mark.parametrize("pin", [PIN, "987654"])
def test_no_record_holds_a_pin_that_was_dialled(code: str, kept: str, pin: str) -> None:
    scene = Scene()
    scene.press(code.format(pin))
    assert scene.facts(facts.Offered)[-1].called == kept
    assert not [record for record in scene.switch.records if f"*{pin}" in str(record)]
    assert not [state for state in scene.switch.checkpoints.values() if pin.encode() in state]


def test_a_pin_in_a_call_that_is_refused_is_in_no_record_either() -> None:
    scene = Scene()
    scene.switch.drain(scene.world.now)
    scene.press(f"*551*{PIN}")
    assert not [record for record in scene.switch.records if f"*{PIN}" in str(record)]
    assert f"*{PIN}" not in str(scene.switch.notes)
