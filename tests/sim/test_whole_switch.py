"""Calls through the whole switch over a bad network in virtual time: every call ends in a defined state, nothing is
left behind, and the records agree with the log."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import pytest

from pbx.config.loader import load
from pbx.config.model import Configuration
from pbx.cti.actor import Actor
from pbx.cti.commands import SetAgentState
from pbx.events import catalogue as facts
from pbx.events.folds.cdr import CdrFold
from pbx.events.folds.detail import CallDetail
from pbx.ivr.flow import Flow as IvrFlow
from pbx.ivr.lint import load_folder
from pbx.sip.commands import Flow
from pbx.testing.netem import Conditions, Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import SwitchNode

ROOT = Path(__file__).parent.parent.parent
SWITCH = "203.0.113.5"
CARRIER = "192.0.2.10"
"""In the network of the sample configuration's trunk."""
ROUGH = Conditions(loss=0.10, duplicate=0.05, reorder=0.10, delay=0.02, jitter=0.02)
CALLS = int(os.environ.get("TANDEM_SIM_CALLS", "100"))
"""For each seed; ``make sim`` plays a thousand."""
ADMINISTRATOR = Actor(user="test", role="administrator")
AGENTS = {"1001": "8001", "1002": "8002", "1003": "8003", "1004": "8004"}


Setting = tuple[Configuration, Mapping[str, IvrFlow]]


@lru_cache(maxsize=1)
def sample() -> Setting:
    configuration = load(ROOT / "config")
    flows, _ = load_folder(configuration.flows)
    return configuration, flows


class Floor:
    """A call centre: the switch, a carrier, four agents at their phones."""

    other: ScriptedPhone
    """A second carrier, where a test adds one."""

    def __init__(self, seed: int, conditions: Conditions | None = None, setting: Setting | None = None) -> None:
        configuration, flows = setting or sample()
        self.random = random.Random(seed)
        self.world = World(Netem(seed, conditions))
        self.node = SwitchNode(configuration, flows, host=SWITCH, seed=seed, start=self.world.now)
        self.world.add(SWITCH, self.node)
        to_switch = Flow("udp", SWITCH, 5060, "udp")
        self.carrier = ScriptedPhone("01088880000", CARRIER, to_switch, seed=seed)
        self.world.add(CARRIER, self.carrier)
        self.phones = {}
        for index, number in enumerate(AGENTS):
            phone = ScriptedPhone(
                number,
                f"198.51.100.{index + 1}",
                to_switch,
                domain="tandem",
                password=f"secret-{number}",
                seed=seed + index + 1,
                behaviour=Behaviour(answer_after=self.random.uniform(0.5, 4.0), register_every=600),
            )
            self.phones[number] = phone
            self.world.add(phone.host, phone)
            phone.at(self.world.now + 0.1 * index, phone.register)
        self.world.run(20)
        for agent in AGENTS.values():
            self.tell(SetAgentState(state="log_on", agent=agent))
            self.tell(SetAgentState(state="ready", agent=agent))

    def tell(self, command: SetAgentState) -> None:
        request = f"r{len(self.node.done)}"
        self.world.post(SWITCH, self.node.command(ADMINISTRATOR, command, request, self.world.now))

    def schedule_call(self, at: float) -> None:
        """A customer who chooses something, talks for a while, or gives up on the way."""
        did = self.random.choice(["01055550100", "01055550100", "01055550101", "01055550199", "01055559999"])
        patience = self.random.expovariate(1 / 40)
        keys = [self.random.choice("12"), self.random.choice("0123*9")]
        leg = ""

        def begin() -> None:
            nonlocal leg
            leg = self.carrier.call(f"sip:{did}@{SWITCH}")
            for index, key in enumerate(keys):
                self.carrier.after(3.0 + 6.0 * index, partial(self.carrier.send_digit, leg, key))
            self.carrier.after(patience, lambda: self.carrier.hangup(leg, status=487))

        self.carrier.at(at, begin)

    def schedule_agents(self, at: float) -> None:
        """Agents hold, retrieve, transfer and hang up now and then."""
        phone = self.random.choice(list(self.phones.values()))
        action = self.random.choice(["hold", "retrieve", "transfer", "hangup", "call", "vanish"])

        def act() -> None:
            live = [talk for talk in phone.live_talks() if talk.answered is not None]
            if action == "call":
                phone.call(self.random.choice(["1001", "1002", "2001", "*31", "7777", "913912345678"]))
            elif live and action == "hold":
                phone.hold(live[0].leg)
            elif live and action == "retrieve":
                phone.hold(live[0].leg, on=False)
            elif live and action == "transfer":
                phone.transfer(live[0].leg, self.random.choice(["1001", "1003", "2001", "9999"]))
            elif action == "hangup":
                phone.hangup()

        self.phones[phone.number].at(at, act)


def finish(floor: Floor) -> None:
    """Everybody hangs up, and the world comes to rest but for registrations and health checks."""
    for phone in (floor.carrier, *floor.phones.values()):
        phone.at(floor.world.now + 1, phone.hangup)
    floor.world.run(400)


def assert_nothing_left(floor: Floor) -> None:
    live = floor.node.switch.live()
    assert {name: count for name, count in live.items() if count} == {}, live
    assert not floor.node.media.legs and not floor.node.media.bridges
    assert not floor.node.media.recordings and not floor.node.media.players
    exchange = floor.node.switch.exchange
    assert exchange.recording.open == 0
    for agent in AGENTS.values():
        view = exchange.acd.view_agent(agent)
        assert view.state not in ("ringing", "talking"), view
    assert not floor.node.media.refused or all(refusal.code == "unknown" for _, refusal in floor.node.media.refused), (
        floor.node.media.refused
    )


def assert_records_agree(floor: Floor) -> None:
    records = floor.node.records
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    offered = [r.event for r in records if isinstance(r.event, facts.Offered)]
    cleared = Counter(r.event.call for r in records if isinstance(r.event, facts.CallCleared))
    begun = {event.call for event in offered} | {
        r.event.call for r in records if isinstance(r.event, facts.ServiceInitiated)
    }
    assert set(cleared) == begun and set(cleared.values()) <= {1}
    over = {r.event.call: r.seq for r in records if isinstance(r.event, facts.CallCleared)}
    afterwards = (facts.RecordingCompleted, facts.RecordingFailed, facts.MediaQuality)
    for record in records:
        if isinstance(record.event, facts.CallEvent) and not isinstance(record.event, afterwards):
            assert record.seq <= over[record.event.call], record
    fold = CdrFold()
    details: dict[str, CallDetail] = {}
    for record in records:
        fold.apply(record)
        details.update((detail.call, detail) for detail in fold.take_changed())
    for call, outcome in ((r.event.call, r.event.outcome) for r in records if isinstance(r.event, facts.CallCleared)):
        assert details[call].outcome == outcome


@pytest.mark.parametrize("seed", range(20))
def test_a_thousand_calls_over_a_bad_network(seed: int) -> None:
    floor = Floor(seed, ROUGH)
    start = floor.world.now
    for index in range(CALLS):
        floor.schedule_call(start + index * 3 + floor.random.uniform(0, 3))
        floor.schedule_agents(start + index * 3 + floor.random.uniform(0, 3))
    floor.world.run(CALLS * 3 + 120)
    finish(floor)
    assert_nothing_left(floor)
    assert_records_agree(floor)
