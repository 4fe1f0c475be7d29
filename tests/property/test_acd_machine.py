"""The ACD under random inputs: the invariants hold after every one of them, and every entry has exactly one end."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pbx.acd.acd import Acd
from pbx.acd.agents import TRANSITIONS
from pbx.acd.invariants import check_invariants
from pbx.acd.messages import (
    AgentStateChanged,
    AnyOutput,
    Assigned,
    CallbackDeferred,
    Offer,
    OfferWithdrawn,
    Queued,
    QueueLeft,
    WorkItem,
)
from pbx.acd.model import (
    AcdConfig,
    AgentConfig,
    Boost,
    CallbackRules,
    CallerRule,
    Helpers,
    QueueConfig,
    ReasonConfig,
    Ring,
    SkillNeed,
    TierOpening,
)
from pbx.acd.strategies import STRATEGIES
from pbx.core.ids import SeededIds

QUEUES = ("support", "sales", "vip", "chat")
AGENTS = ("ann", "bob", "cy", "dee", "eve")
SKILLS = ("billing", "technical")

skill_levels = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 10), max_size=2)

skill_needs = st.builds(
    SkillNeed,
    skill=st.sampled_from(SKILLS),
    level=st.integers(1, 8),
    rings=st.lists(
        st.builds(Ring, after_s=st.sampled_from([5.0, 15.0, 40.0]), level=st.integers(0, 4)), max_size=2
    ).map(tuple),
)


def queue_configs(name: str) -> st.SearchStrategy[QueueConfig]:
    return st.builds(
        QueueConfig,
        name=st.just(name),
        channel=st.just("chat" if name == "chat" else "voice"),
        strategy=st.sampled_from(sorted(STRATEGIES)),
        skills=st.lists(skill_needs, max_size=2, unique_by=lambda need: need.skill).map(tuple),
        tiers=st.sampled_from([(), (TierOpening(2, 8.0),), (TierOpening(2, 8.0), TierOpening(3, 20.0))]),
        helpers=st.sampled_from([(), (Helpers("sales", 6.0),), (Helpers("vip", 0.0), Helpers("support", 9.0))]),
        boosts=st.sampled_from([(), (Boost(4.0, 1), Boost(11.0, 5))]),
        match_language=st.booleans(),
        language_after_s=st.sampled_from([0.0, 12.0]),
        priority=st.integers(-3, 3),
        disposition_required=st.booleans(),
        after_call_work_limit_s=st.just(60.0),
        miss_limit=st.sampled_from([0, 1, 3]),
        miss_rest_s=st.sampled_from([0.0, 20.0]),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        ring_timeout_s=st.sampled_from([3.0, 10.0]),
        ring_all_limit=st.sampled_from([2, 24]),
        after_call_work_s=st.sampled_from([0.0, 6.0]),
        max_wait_s=st.sampled_from([0.0, 25.0, 60.0]),
        max_length=st.sampled_from([0, 2, 5]),
        join_when=st.sampled_from(["always", "logged_on", "active", "ready"]),
        stay_when=st.sampled_from(["always", "logged_on", "active", "ready"]),
        on_close=st.sampled_from(["keep", "overflow"]),
        overflow=st.sampled_from(
            [{}, {"max_wait": "voicemail:1"}, {"*": "queue:sales"}, {"*": "queue:vip"}, {"full": "queue:support"}]
        ),
        announce_first_s=st.sampled_from([0.0, 2.0]),
        announce_interval_s=st.sampled_from([0.0, 7.0]),
        keep_place_s=st.sampled_from([0.0, 30.0]),
        callback=st.sampled_from([None, CallbackRules(attempts=2, retry_s=10.0, expires_s=90.0)]),
    )


agent_capacities = st.sampled_from([{"voice": 1}, {"voice": 1, "chat": 2}, {"chat": 3}])


def agent_configs(name: str) -> st.SearchStrategy[AgentConfig]:
    return st.builds(
        AgentConfig,
        id=st.just(name),
        queues=st.one_of(
            st.just({"support": 1, "sales": 1}),
            st.dictionaries(st.sampled_from(QUEUES), st.integers(1, 3), max_size=4),
        ),
        skills=st.one_of(st.just({"billing": 8, "technical": 8}), skill_levels),
        languages=st.sampled_from([(), ("zh-HK",), ("zh", "en")]),
        capacity=agent_capacities,
        after_call_work_s=st.sampled_from([None, 0.0, 9.0]),
        device=st.just(f"extension:{name}"),
    )


configs = st.builds(
    AcdConfig,
    queues=st.tuples(*(queue_configs(name) for name in QUEUES)),
    agents=st.tuples(*(agent_configs(name) for name in AGENTS)),
    reasons=st.just((ReasonConfig(name="lunch", limit_s=30.0, at_limit="ready", max_agents=2),)),
    callers=st.just((CallerRule(caller="vip", vip=True), CallerRule(caller="bad", blocked=True))),
    fairness_s=st.sampled_from([20.0, 900.0]),
    talk_check_s=st.just(200.0),
    explain_members=st.sampled_from([0, 50]),
)


class AcdMachine(RuleBasedStateMachine):
    """Callers, phones, agents and supervisors doing whatever they like."""

    @initialize(config=configs, early=st.sets(st.sampled_from(AGENTS)))
    def open(self, config: AcdConfig, early: set[str]) -> None:
        self.config = self.full = config
        self.now = 1000.0
        self.seed = 1
        self.acd = Acd(config, SeededIds(self.seed))
        self.calls = 0
        self.matched = True
        self.entries: dict[str, str] = {}
        self.ended: Counter[str] = Counter()
        self.offers: dict[str, Offer] = {}
        self.stalled = False
        self.states = dict.fromkeys(AGENTS, "logged_off")
        self.served: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        for agent in AGENTS:
            self.take(self.acd.log_on(agent, "", self.now, ready=agent not in early))

    def take(self, outputs: list[AnyOutput]) -> None:
        self.matched = True
        returned = {output.item for output in outputs if isinstance(output, OfferWithdrawn)}
        for output in outputs:
            match output:
                case Queued():
                    assert output.entry not in self.entries
                    assert output.item not in self.waiting
                    self.entries[output.entry] = self.waiting[output.item] = output.queue
                case Offer():
                    assert output.item in self.waiting
                    assert self.states[output.agent] == "ringing"
                    self.offers[output.offer] = output
                    self.check_fairness(output, returned)
                case OfferWithdrawn():
                    if output.agent:
                        del self.offers[output.offer]
                case Assigned():
                    offer = self.offers.pop(output.offer)
                    assert (offer.item, offer.agent) == (output.item, output.agent)
                    del self.waiting[output.item]
                    self.served[output.item] = output.agent
                    self.ended[output.entry] += 1
                case CallbackDeferred():
                    if self.served.pop(output.item, None):
                        assert self.ended[output.entry] == 1
                        self.ended[output.entry] = 0
                    assert self.ended[output.entry] == 0
                    self.waiting[output.item] = output.queue
                case QueueLeft():
                    if output.item in self.served:
                        assert output.reason == "callback_failed"
                        self.served.pop(output.item)
                    else:
                        self.ended[output.entry] += 1
                        del self.waiting[output.item]
                case AgentStateChanged():
                    assert self.states[output.agent] == output.previous
                    assert output.state == output.previous or output.state in TRANSITIONS[output.previous]
                    self.states[output.agent] = output.state
                case _:
                    pass

    def check_fairness(self, offer: Offer, returned: set[str]) -> None:
        """Nobody is offered who came 3 * fairness_s after one whom the agent could have taken (docs/acd.md). Looked at
        when the input is worked off: who was offered elsewhere before (``returned``), or widens just now, was not yet
        to be had."""
        floor = self.acd.floor
        offered, agent = floor.items.get(offer.item), floor.agents[offer.agent]
        if offered is None or offer.why.trigger == "pull" or self.stalled:
            return
        for item in floor.items.values():
            seat = agent.seats.get(item.queue.name)
            if item.state != "waiting" or seat is None or item.queue.channel != offered.queue.channel:
                continue
            if item.id in returned or item.joined_at + item.plan.steps[item.step][0] == self.now:
                continue
            if item.plan.steps[item.step][1].fit(seat.group) is not None:
                assert offered.entered_at - item.entered_at <= 3 * self.config.fairness_s

    # --- callers

    @rule(
        queue=st.sampled_from(QUEUES),
        caller=st.sampled_from(["", "100", "vip", "bad"]),
        priority=st.integers(0, 10),
        skills=st.one_of(st.just({}), skill_levels),
        language=st.sampled_from(["", "zh", "en"]),
        preferred=st.lists(st.sampled_from([*AGENTS, "nobody"]), max_size=2).map(tuple),
        preferred_s=st.sampled_from([0.0, 10.0]),
        callback=st.sampled_from(["", "", "5551234"]),
    )
    def enqueue(
        self,
        queue: str,
        caller: str,
        priority: int,
        skills: dict[str, int],
        language: str,
        preferred: tuple[str, ...],
        preferred_s: float,
        callback: str,
    ) -> None:
        self.calls += 1
        item = WorkItem(
            id=f"c{self.calls}",
            channel="chat" if queue == "chat" else "voice",
            caller=caller,
            priority=priority,
            skills=skills,
            language=language,
            preferred_agents=preferred,
            preferred_s=preferred_s,
            callback=callback,
        )
        self.take(self.acd.enqueue(item, queue, self.now))

    @rule(queue=st.sampled_from(["support", "sales"]), calls=st.integers(2, 4))
    def rush(self, queue: str, calls: int) -> None:
        for _ in range(calls):
            self.calls += 1
            self.take(self.acd.enqueue(WorkItem(id=f"c{self.calls}"), queue, self.now))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), reason=st.sampled_from(["abandoned", "exit_key", "voicemail"]))
    def leave(self, data: st.DataObject, reason: Any) -> None:
        self.take(self.acd.withdraw(data.draw(st.sampled_from(sorted(self.waiting))), reason, self.now))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), queue=st.sampled_from(QUEUES))
    def move(self, data: st.DataObject, queue: str) -> None:
        self.take(self.acd.move(data.draw(st.sampled_from(sorted(self.waiting))), queue, self.now))

    @rule(queue=st.sampled_from(QUEUES), allowed=st.booleans())
    def set_calling(self, queue: str, allowed: bool) -> None:
        self.take(self.acd.set_calling(queue, allowed, self.now))

    # --- phones

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        self.take(self.acd.accept(data.draw(st.sampled_from(sorted(self.offers))), self.now))

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), reason=st.sampled_from(["refused", "no_answer", "busy", "failed", "unreachable"]))
    def decline(self, data: st.DataObject, reason: Any) -> None:
        self.take(self.acd.decline(data.draw(st.sampled_from(sorted(self.offers))), reason, self.now))

    @rule(offer=st.sampled_from(["gone", ""]))
    def accept_late(self, offer: str) -> None:
        outputs = self.acd.accept(offer, self.now)
        assert [type(output) for output in outputs][:1] == [OfferWithdrawn]
        self.take(outputs)

    @rule(agent=st.sampled_from(AGENTS), available=st.booleans())
    def change_device(self, agent: str, available: bool) -> None:
        self.take(self.acd.device_available(agent, available, self.now))

    @rule(agent=st.sampled_from(AGENTS))
    def call_directly(self, agent: str) -> None:
        self.calls += 1
        outputs = self.acd.busy(agent, f"d{self.calls}", self.now)
        if self.acd.view_item(f"d{self.calls}", self.now) is not None:
            self.served[f"d{self.calls}"] = agent
        self.take(outputs)

    # --- agents

    @rule(agent=st.sampled_from(AGENTS), desk=st.sampled_from(["", "", "extension:shared"]), ready=st.booleans())
    def log_on(self, agent: str, desk: str, ready: bool) -> None:
        self.take(self.acd.log_on(agent, desk, self.now, ready))

    @rule(agent=st.sampled_from(AGENTS), forced=st.booleans())
    def log_off(self, agent: str, forced: bool) -> None:
        outputs = self.acd.log_off(agent, self.now, forced)
        self.take(outputs)
        if forced:
            self.served = {item: who for item, who in self.served.items() if who != agent}

    @rule(agent=st.sampled_from(AGENTS))
    def be_ready(self, agent: str) -> None:
        self.take(self.acd.set_state(agent, "ready", "", self.now))

    @rule(agent=st.sampled_from(AGENTS), reason=st.sampled_from(["", "lunch", "unknown"]))
    def be_not_ready(self, agent: str, reason: str) -> None:
        self.take(self.acd.set_state(agent, "not_ready", reason, self.now))

    @precondition(lambda self: self.served)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted(self.served)))
        self.take(self.acd.finished(self.served.pop(item), item, self.now))

    @precondition(lambda self: self.served or self.waiting)
    @rule(data=st.data())
    def fail_callback(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted({*self.served, *self.waiting})))
        self.take(self.acd.callback_failed(item, self.now))

    @precondition(lambda self: self.served or self.waiting)
    @rule(data=st.data())
    def reach_callback(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted({*self.served, *self.waiting})))
        self.take(self.acd.callback_reached(item, self.now))

    @rule(agent=st.sampled_from(AGENTS))
    def wrap_up(self, agent: str) -> None:
        self.take(self.acd.wrap_up(agent, self.now, "done"))

    @rule(agent=st.sampled_from(AGENTS), item=st.integers(1, 10), disposition=st.sampled_from(["", "sold"]))
    def note_disposition(self, agent: str, item: int, disposition: str) -> None:
        self.take(self.acd.set_disposition(agent, f"c{item}", disposition, "note", self.now))

    @rule(agent=st.sampled_from(AGENTS))
    def extend(self, agent: str) -> None:
        self.take(self.acd.extend_wrap_up(agent, 20.0, self.now))

    # --- supervisors

    @rule(queue=st.sampled_from(QUEUES), is_open=st.booleans(), reason=st.sampled_from(["closed", "holiday"]))
    def open_queue(self, queue: str, is_open: bool, reason: Any) -> None:
        self.take(self.acd.set_queue_open(queue, is_open, self.now, reason))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), agent=st.sampled_from(AGENTS))
    def pull(self, data: st.DataObject, agent: str) -> None:
        self.take(self.acd.pull(data.draw(st.sampled_from(sorted(self.waiting))), agent, self.now))

    @rule(config=configs, queues=st.integers(1, 4), agents=st.integers(1, 5), with_reasons=st.booleans())
    def reconfigure(self, config: AcdConfig, queues: int, agents: int, with_reasons: bool) -> None:
        """Something else, and perhaps less of it, from now on."""
        self.config = AcdConfig(
            queues=config.queues[:queues],
            agents=config.agents[:agents],
            reasons=config.reasons if with_reasons else (),
            fairness_s=config.fairness_s,
            talk_check_s=config.talk_check_s,
        )
        self.take(self.acd.configure(self.config, self.now))

    @rule()
    def restore_configuration(self) -> None:
        self.config = self.full
        self.take(self.acd.configure(self.full, self.now))

    # --- time and death

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 10.0, 45.0, 400.0]))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.acd.next_deadline()) is not None and deadline.at <= end:
            self.now = max(self.now, deadline.at)
            self.expire()
        self.now = end
        self.expire()

    @rule(seconds=st.sampled_from([3.0, 45.0, 400.0]))
    def stall(self, seconds: float) -> None:
        """The server stands still: what would have happened one after the other happens all at once, and is fair only
        among what is left of it at the end."""
        self.now += seconds
        self.stalled = True
        self.expire()
        self.stalled = False

    def expire(self) -> None:
        self.take(self.acd.expire(self.now))
        deadline = self.acd.next_deadline()
        assert deadline is None or deadline.at > self.now

    @rule()
    def wait_for_deadline(self) -> None:
        deadline = self.acd.next_deadline()
        assume(deadline is not None)
        assert deadline is not None
        self.now = max(self.now, deadline.at)
        self.take(self.acd.expire(self.now))

    @rule(downtime=st.sampled_from([0.0, 3.0]), lost=st.booleans())
    def restart(self, downtime: float, lost: bool) -> None:
        self.restore_configuration()
        data = json.loads(json.dumps(self.acd.snapshot(self.now)))
        self.seed += 1
        self.acd = Acd(self.config, SeededIds(self.seed))
        new_now = self.now + downtime + 50_000.0
        self.take(self.acd.restore(data, new_now, downtime))
        check_invariants(self.acd, new_now, matched=False)
        if not downtime:
            again = self.acd.snapshot(new_now)
            assert json.loads(json.dumps(again)).keys() == data.keys()
            assert sorted(again["agents"]) == sorted(data["agents"])
            assert sorted(saved["entry"] for saved in again["items"]) == sorted(
                saved["entry"] for saved in data["items"]
            )
        self.now = new_now
        self.take(self.acd.expire(self.now))
        dead = sorted(self.waiting)[:1] if lost else []
        live = {*self.waiting, *self.served} - set(dead)
        self.take(self.acd.reconcile(live, set(self.offers), self.now))
        for item in dead:
            view = self.acd.view_item(item, self.now)
            assert view is None or view.callback

    @rule()
    def reset_counts(self) -> None:
        self.take(self.acd.reset_counts(self.now))

    # --- what must hold

    @invariant()
    def hold(self) -> None:
        if not hasattr(self, "acd"):
            return
        check_invariants(self.acd, self.now)
        assert all(count == 1 for entry, count in self.ended.items() if count), self.ended
        floor = self.acd.floor
        assert floor.items.keys() == self.waiting.keys()
        assert floor.offers.keys() == self.offers.keys()
        assert {agent: floor.agents[agent].state for agent in AGENTS} == self.states
        open_entries = {entry for entry in self.entries if not self.ended[entry]}
        assert open_entries >= {item.entry for item in floor.items.values()}

    def teardown(self) -> None:
        """Whatever happened, no state is stuck: phones that never answer and calls that end leave everybody free."""
        if not hasattr(self, "acd"):
            return
        for item in sorted(self.waiting):
            self.take(self.acd.withdraw(item, "abandoned", self.now))
        for item, agent in sorted(self.served.items()):
            self.take(self.acd.finished(agent, item, self.now))
        for _ in range(3):
            self.now += 1000.0
            self.take(self.acd.expire(self.now))
        assert not self.waiting and not self.offers
        assert {state for state in self.states.values()} <= {"ready", "not_ready", "logged_off"}, self.states


EXAMPLES = int(os.environ.get("TANDEM_ACD_EXAMPLES", "60"))
"""``make acd`` tries many more, each of them longer, from another seed every time."""
PARTS = 1 if EXAMPLES <= 60 else 8
"""A long run is cut into tests that run beside each other."""


def make_case(part: int) -> type:
    """A test of its own class, with its own share of the examples."""
    machine: Any = type(f"AcdMachine{part}", (AcdMachine,), {})
    machine.TestCase.settings = settings(
        max_examples=max(EXAMPLES // PARTS, 1),
        stateful_step_count=50 if PARTS == 1 else 100,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    # a failing run is shortened for some minutes before it is shown
    case: type = pytest.mark.timeout(900 if PARTS == 1 else 3600)(machine.TestCase)
    return case


for _part in range(PARTS):
    globals()[f"TestAcdMachine{_part}"] = make_case(_part)
