"""Callbacks on the whole switch in virtual time: asked for by key, kept, called, and what the records say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pbx.config.model import Configuration
from pbx.cti import commands as cti
from pbx.cti.actor import Actor
from pbx.events import catalogue as facts
from pbx.events.folds.cdr import CdrFold
from pbx.events.folds.figures import FiguresFold
from pbx.events.folds.live import LiveFold
from pbx.ivr.lint import load_folder
from pbx.sip.commands import Flow
from pbx.testing.netem import Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import EPOCH, SwitchNode

SWITCH, CARRIER = "192.0.2.100", "192.0.2.1"
CUSTOMER = "01088880000"
ADMINISTRATOR = Actor(user="root", role="administrator")
WHOLE_DAY = {"hours": {"mon-sun": "00:00-24:00"}}
CALLBACK = {"attempts": 2, "retry": "60s", "ring_timeout": "20s"}


class Scene:
    """A queue with two agents, and a trunk on which customers call and are called."""

    def __init__(
        self,
        agents: int = 1,
        calendar: Mapping[str, Any] = WHOLE_DAY,
        queue: Mapping[str, Any] | None = None,
        reasons: Mapping[str, Any] | None = None,
        **callback: Any,
    ) -> None:
        self.configuration = Configuration.model_validate(
            {
                "locale": {"language": "en", "timezone": "Asia/Shanghai", "country": "CN"},
                "trunks": {"carrier": {"host": CARRIER, "networks": [CARRIER]}},
                "extensions": {"1001": {"name": "A"}, "1002": {"name": "B"}},
                "agents": {
                    "1": {"name": "A", "extension": "1001", "queues": ["q"]},
                    "2": {"name": "B", "extension": "1002", "queues": ["q"]},
                },
                "calendars": {"office": calendar},
                "not_ready_reasons": reasons or {},
                "dispositions": {"sold": {"title": "Sold"}},
                "queues": {
                    "q": {
                        "number": "2001",
                        "calendar": "office",
                        "ring_timeout": "20s",
                        "after_call_work": "5s",
                        "callback": CALLBACK | callback,
                        "keys": {"1": "flow:callback"},
                        **(queue or {}),
                    }
                },
                "routes": {
                    "inbound": [{"did": "100", "to": "queue:q"}],
                    "outbound": [
                        {"name": "far", "match": "00.", "trunks": ["carrier"], "permission": "international"},
                        {"name": "all", "match": "0[1-9].", "trunks": ["carrier"]},
                    ],
                },
            }
        )
        flows, _ = load_folder(Path(__file__).parents[2] / "ivr_flows")
        self.flows = flows
        self.world = World(Netem(1))
        self.node = SwitchNode(self.configuration, flows, host=SWITCH)
        server = Flow("udp", SWITCH, 5060, "udp")
        self.carrier = ScriptedPhone(CUSTOMER, CARRIER, server, seed=9, behaviour=Behaviour(answer_after=4.0))
        self.phones = {
            number: ScriptedPhone(
                number,
                f"192.0.2.{index + 10}",
                server,
                seed=index,
                password=f"secret-{number}",
                behaviour=Behaviour(answer_after=2.0, register_every=600),
            )
            for index, number in enumerate(("1001", "1002"))
        }
        for node in (self.carrier, *self.phones.values()):
            self.world.add(node.host, node)
        self.world.add(SWITCH, self.node)
        for phone in self.phones.values():
            phone.at(self.world.now, phone.register)
        self.world.run(1)
        self._count = 0
        for agent in ("1", "2")[:agents]:
            self.do(cti.SetAgentState(state="log_on", agent=agent))

    # --- hands ------------------------------------------------------------------------------------------------

    def give(self, command: Any, actor: Actor = ADMINISTRATOR) -> Any:
        self._count += 1
        request = f"command-{self._count}"
        self.world.post(SWITCH, self.node.command(actor, command, request, self.world.now))
        return self.node.done[request].result

    def do(self, command: Any, actor: Actor = ADMINISTRATOR) -> Any:
        result = self.give(command, actor)
        assert isinstance(result, cti.Accepted), result
        return result.data

    def ready(self, agent: str = "1") -> None:
        self.do(cti.SetAgentState(state="ready", agent=agent))

    def ask(self, *keys: str, wait: float = 10.0) -> str:
        """A customer waits in the queue, presses the key for a callback, then ``keys``; his call."""
        known = set(self.node.switch.exchange.calls)
        self.carrier.at(self.world.now, lambda: self.carrier.call(f"sip:100@{SWITCH}"))
        self.world.run(wait)
        (call,) = set(self.node.switch.exchange.calls) - known
        for key in ("1", *(keys or ("1",))):
            self.press(call, key)
        self.world.run(8)
        return call

    def press(self, call: str, keys: str) -> None:
        self.world.post(SWITCH, self.node.press(call, keys, self.world.now))
        self.world.run(2)

    def restart(self, down: float = 5.0) -> None:
        died = self.node
        self.world.remove(SWITCH)
        self.world.run(down)
        self.node = SwitchNode(self.configuration, self.flows, host=SWITCH, seed=77, start=self.world.now, after=died)
        self.world.add(SWITCH, self.node)
        self.world.run(1)

    # --- eyes -------------------------------------------------------------------------------------------------

    def facts(self, kind: type) -> list[Any]:
        return [record.event for record in self.node.records if isinstance(record.event, kind)]

    def one(self, kind: type) -> Any:
        (fact,) = self.facts(kind)
        return fact

    @property
    def owed(self) -> int:
        return len(self.node.switch.exchange.callbacks.kept)

    def state(self, agent: str = "1") -> str:
        return self.node.switch.exchange.acd.view_agent(agent).state

    def hears(self, listener: str, source: str) -> bool:
        (call,) = self.node.switch.exchange.calls.values()
        legs = {leg.device: leg.id for leg in call.live()}
        pair = (legs[listener], legs[source])
        return any((cell.listener, cell.source) == pair for cell in self.node.media.bridges.get(call.id, ()))

    def figures(self) -> FiguresFold:
        fold = FiguresFold(0.0, 1e12)
        for record in self.node.records:
            fold.read(record)
        return fold

    def records(self) -> dict[str, Any]:
        fold = CdrFold()
        found: dict[str, Any] = {}
        for record in self.node.records:
            fold.apply(record)
            found |= {detail.call: detail for detail in fold.take_changed()}
        return found

    def close(self) -> None:
        """Everybody hangs up: nothing is left anywhere."""
        for phone in (self.carrier, *self.phones.values()):
            phone.behaviour = Behaviour(answer_after=None, refuse_with=486)
            phone.at(self.world.now, phone.hangup)
        self.world.run(120)
        left = {name: count for name, count in self.node.switch.live().items() if count}
        assert not {"calls", "legs", "sessions", "devices"} & left.keys(), left
        assert not [note for note in self.node.notes if note.level == "error"], self.node.notes


TRUNK, ONE, TWO = "trunk:carrier", "extension:1001", "extension:1002"


def talk_and_hang_up(scene: Scene) -> None:
    assert scene.hears(TRUNK, ONE) and scene.hears(ONE, TRUNK)
    scene.phones["1001"].at(scene.world.now, scene.phones["1001"].hangup)
    scene.world.run(20)


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_the_customer_is_called_when_his_turn_comes(first: str) -> None:
    scene = Scene(first=first)
    asked = scene.ask(wait=30.0)
    registered = scene.one(facts.CallbackRegistered)
    assert (registered.call, registered.queue, registered.number) == (asked, "q", CUSTOMER)
    assert 29 <= registered.waited_s <= 40 and scene.owed == 1
    assert asked not in scene.node.switch.exchange.calls, "the flow said so and hung up"
    scene.world.run(100)
    assert not scene.facts(facts.AgentOffered)
    scene.ready()
    scene.world.run(1.5)
    rung = {leg.device for call in scene.node.switch.exchange.calls.values() for leg in call.live()}
    assert rung == ({ONE} if first == "agent" else {TRUNK}), "only one of the two rings at first"
    scene.world.run(9)
    reached = scene.one(facts.CallbackReached)
    assert (reached.first_call, reached.agent, reached.attempt) == (asked, "1", 1) and reached.delay_s > 100
    assert scene.owed == 0 and scene.state() == "talking"
    offered = scene.one(facts.AgentOffered)
    assert offered.call == reached.call and offered.item == registered.callback
    talk_and_hang_up(scene)
    assert scene.state() == "ready", "after-call work ended by itself"
    counts, times = scene.figures().queues["q"], scene.figures().agents["1"]
    assert (counts.callbacks_kept, counts.callbacks_reached) == (1, 1) and counts.callback_delay_s > 100
    assert (counts.abandoned, counts.answered, counts.flowed_out) == (0, 0, 1), "asking for it flowed out, no more"
    assert times.handled == 1 and times.after_call_s == pytest.approx(5.0)
    before, after = scene.records()[asked], scene.records()[reached.call]
    assert [visit.reason for visit in before.queues] == ["callback"] and after.called == CUSTOMER
    assert next(talk for talk in after.talks if talk.agent == "1").after_call_s == pytest.approx(5.0)
    assert after.data["callback_call"] == asked and after.outcome == "answered"
    scene.close()


def test_the_place_counts_the_time_waited() -> None:
    """He waited longer than who came after him, though he asked to be called later."""
    scene = Scene()
    scene.carrier.behaviour = Behaviour(answer_after=1.0)
    asked = scene.ask(wait=20.0)
    other = scene.phones["1002"]
    other.at(scene.world.now, lambda: other.call("2001"))
    scene.world.run(5)
    assert len(scene.node.switch.exchange.calls) == 1, "somebody else waits on the line"
    scene.ready()
    scene.world.run(8)
    assert scene.facts(facts.AgentOffered)[0].item.startswith("callback-")
    assert scene.one(facts.CallbackReached).first_call == asked
    scene.close()


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_busy_is_tried_again_and_given_up(first: str) -> None:
    scene = Scene(first=first)
    scene.ask()
    scene.carrier.behaviour = Behaviour(refuse_with=486)
    scene.ready()
    scene.world.run(10)
    deferred = scene.one(facts.CallbackDeferred)
    assert (deferred.attempt, deferred.reason, deferred.retry_s) == (1, "busy", 60.0)
    assert scene.state() == "ready" and scene.owed == 1
    scene.world.run(40)
    assert len(scene.facts(facts.CallbackDeferred)) == 1
    scene.world.run(30)
    assert scene.one(facts.CallbackEnded).reason == "failed" and scene.owed == 0
    assert scene.state() == "ready" and not scene.facts(facts.CallbackReached)
    assert scene.figures().queues["q"].abandoned == 0
    scene.close()


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_nobody_answers(first: str) -> None:
    scene = Scene(first=first)
    scene.ask()
    scene.carrier.behaviour = Behaviour(answer_after=None, ring_after=0.5)
    scene.ready()
    scene.world.run(40)
    assert scene.one(facts.CallbackDeferred).reason == "no_answer" and scene.state() == "ready"
    scene.carrier.behaviour = Behaviour(answer_after=1.0)
    scene.world.run(60)
    assert scene.one(facts.CallbackReached).attempt == 2
    talk_and_hang_up(scene)
    scene.close()


def test_an_agent_who_does_not_answer_loses_it_to_another() -> None:
    scene = Scene(agents=2)
    scene.ask()
    scene.phones["1001"].behaviour = Behaviour(answer_after=None, register_every=600)
    scene.ready("1")
    scene.world.run(2)
    scene.ready("2")
    scene.world.run(40)
    assert scene.one(facts.CallbackReached).agent == "2"
    results = [event.result for event in scene.facts(facts.OfferEnded)]
    assert results == ["no_answer", "accepted"]
    assert not scene.facts(facts.CallbackDeferred), "the customer was not called in vain"
    scene.close()


def test_an_agent_who_hangs_up_while_it_rings_is_free_and_the_customer_called_again() -> None:
    scene = Scene()
    scene.ask()
    scene.carrier.behaviour = Behaviour(answer_after=15.0)
    scene.ready()
    scene.world.run(6)
    assert scene.state() == "talking"
    scene.phones["1001"].at(scene.world.now, scene.phones["1001"].hangup)
    scene.world.run(5)
    assert scene.one(facts.CallbackDeferred).reason == "agent_left" and scene.state() == "ready"
    assert not scene.node.switch.exchange.calls
    scene.close()


def test_customer_first_the_customer_waits_for_the_next_agent() -> None:
    """The agent reserved for him does not answer: he is on the line by then and keeps his place."""
    scene = Scene(agents=2, first="customer")
    scene.ask()
    scene.phones["1001"].behaviour = Behaviour(refuse_with=486)
    scene.ready("1")
    scene.world.run(12)
    (call,) = scene.node.switch.exchange.calls.values()
    assert call.legs[call.anchor].waiting == "music:default" and not scene.facts(facts.CallbackReached)
    scene.ready("2")
    scene.world.run(6)
    assert scene.one(facts.CallbackReached).agent == "2" and scene.hears(TRUNK, TWO)
    scene.close()


def test_customer_first_who_hangs_up_before_the_agent_answers() -> None:
    scene = Scene(first="customer")
    scene.ask()
    scene.phones["1001"].behaviour = Behaviour(answer_after=15.0)
    scene.ready()
    scene.world.run(8)
    scene.carrier.at(scene.world.now, scene.carrier.hangup)
    scene.world.run(5)
    assert scene.one(facts.CallbackEnded).reason == "abandoned" and scene.owed == 0
    assert scene.figures().queues["q"].abandoned == 0, "the entry was a flow-out"
    scene.close()


def test_another_number_and_numbers_that_may_not_be_called() -> None:
    scene = Scene()
    call = scene.ask("2", "0086123456#", "1")
    assert not scene.facts(facts.CallbackRegistered), "international calls need a permission the queue has not"
    scene.press(call, "01055550123#")
    scene.press(call, "1")
    scene.world.run(8)
    assert scene.one(facts.CallbackRegistered).number == "01055550123"
    scene.ready()
    scene.world.run(10)
    assert scene.one(facts.CallbackReached)
    scene.close()


def test_a_customer_who_calls_again_takes_his_place_back() -> None:
    scene = Scene()
    scene.ask(wait=30.0)
    scene.world.run(60)
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:100@{SWITCH}"))
    scene.world.run(2)
    assert scene.one(facts.CallbackEnded).reason == "called_again" and scene.owed == 0
    (call,) = scene.node.switch.exchange.calls.values()
    view = scene.node.switch.exchange.acd.view_item(call.id, scene.node.switch.exchange.now)
    assert view is not None and scene.node.switch.exchange.now - view.waited_s > 90
    scene.close()


def test_it_expires() -> None:
    scene = Scene(expires="10m")
    scene.ask()
    scene.world.run(620)
    assert scene.one(facts.CallbackEnded).reason == "expired" and scene.owed == 0
    scene.ready()
    scene.world.run(10)
    assert not scene.facts(facts.AgentOffered)
    scene.close()


def test_only_in_its_hours() -> None:
    scene = Scene()
    override: Callable[[Any], None] = scene.node.switch.exchange.settings.override  # type: ignore[assignment]
    scene.ask()
    override("office", "closed")  # type: ignore[call-arg]
    scene.world.run(61)
    scene.ready()
    scene.world.run(300)
    assert not scene.facts(facts.AgentOffered)
    override("office", "auto")  # type: ignore[call-arg]
    scene.world.run(70)
    assert scene.one(facts.CallbackReached)
    scene.close()


def test_it_survives_the_death_of_call_control() -> None:
    scene = Scene()
    scene.ask()
    scene.restart()
    assert scene.owed == 1
    scene.ready()
    scene.world.run(10)
    assert scene.one(facts.CallbackReached)
    scene.restart()
    assert scene.state() == "talking"
    talk_and_hang_up(scene)
    assert scene.state() == "ready"
    scene.close()


def test_it_survives_while_it_is_told_and_while_the_customer_rings() -> None:
    scene = Scene()
    scene.carrier.at(scene.world.now, lambda: scene.carrier.call(f"sip:100@{SWITCH}"))
    scene.world.run(5)
    (call,) = scene.node.switch.exchange.calls
    scene.press(call, "1")
    scene.world.post(SWITCH, scene.node.press(call, "1", scene.world.now))
    scene.world.run(0.3)
    assert scene.owed == 1 and call in scene.node.switch.exchange.calls
    scene.restart()
    scene.world.run(10)
    scene.carrier.behaviour = Behaviour(answer_after=None, ring_after=0.5)
    scene.ready()
    scene.world.run(5)
    assert scene.state() == "talking"
    scene.restart()
    scene.carrier.behaviour = Behaviour(answer_after=1.0)
    scene.world.run(200)
    assert scene.one(facts.CallbackReached) and scene.owed == 0
    scene.close()


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_it_survives_while_the_first_phone_rings(first: str) -> None:
    scene = Scene(first=first)
    scene.ask()
    for phone in (scene.carrier, scene.phones["1001"]):
        phone.behaviour = Behaviour(answer_after=None, ring_after=0.5)
    scene.ready()
    scene.world.run(2)
    scene.restart()
    for phone in (scene.carrier, scene.phones["1001"]):
        phone.behaviour = Behaviour(answer_after=1.0)
    scene.world.run(200)
    assert scene.one(facts.CallbackReached) and scene.owed == 0
    scene.close()


def test_desks_see_and_cancel_them() -> None:
    scene = Scene()
    asked = scene.ask()
    (entry,) = scene.do(cti.GetCallbacks())["callbacks"]
    assert (entry["call"], entry["number"], entry["state"]) == (asked, CUSTOMER, "waiting")
    assert not scene.do(cti.GetCallbacks(queue="q"), Actor(user="x", role="supervisor", teams=()))["callbacks"]
    refused = scene.give(cti.CancelCallback(callback=entry["callback"]), Actor(user="x", role="supervisor", teams=()))
    assert isinstance(refused, cti.CommandRejected) and refused.code == "unknown_object"
    live = LiveFold()
    for record in scene.node.records:
        live.apply(record)
    assert len(live.state.queues["q"].callbacks) == 1
    scene.do(cti.CancelCallback(callback=entry["callback"]))
    assert scene.one(facts.CallbackEnded).reason == "cancelled" and scene.owed == 0
    assert scene.facts(facts.AuditEntry)[-1].action == "callback cancelled"
    for record in scene.node.records:
        live.apply(record)
    assert not live.state.queues["q"].callbacks
    again = scene.give(cti.CancelCallback(callback=entry["callback"]))
    assert isinstance(again, cti.CommandRejected) and again.code == "unknown_object"
    scene.ready()
    scene.world.run(5)
    assert not scene.facts(facts.AgentOffered)
    scene.close()


def test_one_that_rings_the_agent_is_cancelled() -> None:
    scene = Scene()
    scene.ask()
    scene.phones["1001"].behaviour = Behaviour(answer_after=None, ring_after=0.5)
    scene.ready()
    scene.world.run(3)
    assert scene.state() == "ringing"
    scene.do(cti.CancelCallback(callback=next(iter(scene.node.switch.exchange.callbacks.kept))))
    scene.world.run(3)
    assert scene.state() == "ready" and not scene.node.switch.exchange.calls
    scene.close()


def test_the_epoch_is_the_wall_clock() -> None:
    scene = Scene()
    scene.ask()
    (kept,) = scene.node.switch.exchange.callbacks.kept.values()
    assert kept.registered_at > EPOCH and kept.since < kept.registered_at
    scene.close()
