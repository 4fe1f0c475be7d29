"""Nobody starves: under overload, with any priorities and weights, nobody is overtaken by those who came much later."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.acd.acd import Acd
from pbx.acd.invariants import check_invariants
from pbx.acd.messages import AnyOutput, Assigned, Offer, WorkItem
from pbx.acd.model import AcdConfig, AgentConfig, QueueConfig, TierOpening
from pbx.core.ids import SeededIds

FAIRNESS_S = 60.0
HANDLING_S = 10.0

queues = st.tuples(
    *(
        st.builds(
            QueueConfig,
            name=st.just(name),
            priority=st.integers(-50, 50),
            vip_priority=st.integers(0, 1000),
            priority_step_s=st.sampled_from([0.0, 1.0, 60.0, 1e9]),
            weight=st.sampled_from([0.001, 1.0, 1000.0]),
            service_level_s=st.sampled_from([1.0, 20.0, 600.0]),
            tiers=st.sampled_from([(), (TierOpening(3, 30.0),)]),
        )
        for name in ("a", "b", "c")
    )
)
agents = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1), min_size=1, max_size=3
).filter(lambda agents: set().union(*agents) == set("abc"))


@given(queues=queues, agents=agents, seed=st.integers(0, 2**32), overload=st.sampled_from([1.1, 2.0, 5.0]))
@settings(max_examples=60, deadline=None)
def test_nobody_is_overtaken_by_those_who_came_much_later(
    queues: tuple[QueueConfig, ...], agents: list[dict[str, int]], seed: int, overload: float
) -> None:
    config = AcdConfig(
        queues=queues,
        agents=tuple(AgentConfig(id=f"agent-{n}", queues=levels) for n, levels in enumerate(agents)),
        fairness_s=FAIRNESS_S,
        explain_members=0,
    )
    floor = OverloadedFloor(config, random.Random(seed))
    floor.run(arrivals=250, gap_s=HANDLING_S / len(agents) / overload)
    assert floor.offers > 0
    floor.empty()
    assert not floor.acd.floor.items, "and in the end everybody was served"


class OverloadedFloor:
    """More calls than the agents can take, from callers of every kind."""

    def __init__(self, config: AcdConfig, chance: random.Random) -> None:
        self.acd = Acd(config, SeededIds(1))
        self.chance = chance
        self.now = 0.0
        self.offers = 0
        self.busy: list[tuple[float, str, str]] = []
        self.entered: dict[str, float] = {}
        for agent in config.agents:
            self.take(self.acd.log_on(agent.id, f"desk of {agent.id}", 0.0, ready=True))

    def take(self, outputs: list[AnyOutput]) -> None:
        for output in outputs:
            if isinstance(output, Offer):
                self.offers += 1
                self.check(output)
                self.take(self.acd.accept(output.offer, self.now))
            elif isinstance(output, Assigned):
                self.busy.append((self.now + self.chance.expovariate(1 / HANDLING_S), output.agent, output.item))
                self.busy.sort()

    def check(self, offer: Offer) -> None:
        """The claim of docs/acd.md: an agent never gets an item that came 3 * fairness_s after one he could take."""
        agent = self.acd.floor.agents[offer.agent]
        for item in self.acd.floor.items.values():
            seat = agent.seats.get(item.queue.name)
            if (
                item.state == "waiting"
                and seat is not None
                and item.plan.steps[item.step][1].fit(seat.group) is not None
            ):
                late = self.entered[offer.item] - self.entered[item.id]
                assert late <= 3 * FAIRNESS_S, f"{offer.item} came {late:.1f} s after {item!r} and overtook it"

    def run(self, arrivals: int, gap_s: float) -> None:
        for n in range(arrivals):
            self.advance(self.now + self.chance.expovariate(1 / gap_s))
            queue = self.chance.choice("aaab" if n % 50 else "c")
            item = WorkItem(id=f"c{n}", priority=self.chance.choice([0, 0, 3, 100]), vip=self.chance.random() < 0.3)
            self.entered[item.id] = self.now
            self.take(self.acd.enqueue(item, queue, self.now))
        check_invariants(self.acd, self.now)

    def advance(self, until: float) -> None:
        while True:
            deadline = self.acd.next_deadline()
            due = until if deadline is None else min(deadline.at, until)
            if self.busy and self.busy[0][0] <= due:
                self.now, agent, item = self.busy.pop(0)
                self.take(self.acd.finished(agent, item, self.now))
            elif deadline is not None and deadline.at <= until:
                self.now = deadline.at
                self.take(self.acd.expire(self.now))
            else:
                self.now = until
                return

    def empty(self) -> None:
        for _ in range(10_000):
            if not self.acd.floor.items:
                return
            self.advance(self.now + HANDLING_S)
