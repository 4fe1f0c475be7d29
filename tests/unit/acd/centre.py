"""A call centre for the tests: the ACD with a clock to turn, checked after every step."""

from __future__ import annotations

from typing import Any, TypeVar

from pbx.acd.acd import Acd
from pbx.acd.invariants import check_invariants
from pbx.acd.messages import AgentStateChanged, AnyOutput, Offer, Rejected, WorkItem
from pbx.acd.model import AcdConfig, AgentConfig, QueueConfig
from pbx.core.ids import SeededIds

T = TypeVar("T")


def make_queue(name: str = "support", **options: Any) -> QueueConfig:
    return QueueConfig(name=name, **options)


def make_agent(id_: str, queues: dict[str, int] | None = None, **options: Any) -> AgentConfig:
    return AgentConfig(
        id=id_, queues={"support": 1} if queues is None else queues, device=f"extension:{id_}", **options
    )


class Centre:
    """Drives an ACD by its methods; ``now`` and the outputs of the last step are kept."""

    def __init__(
        self, *queues: QueueConfig, agents: tuple[AgentConfig, ...] = (), ready: bool = True, **options: Any
    ) -> None:
        self.config = AcdConfig(queues=queues or (make_queue(),), agents=agents, **options)
        self.acd = Acd(self.config, SeededIds(7))
        self.now = 1000.0
        self.out: list[AnyOutput] = []
        if ready:
            for agent in agents:
                self.do("log_on", agent.id, "", ready=True)

    def do(self, method: str, *args: Any, **options: Any) -> list[AnyOutput]:
        """Call a method of the ACD with ``now`` where it stands in the signature: last of the positional ones."""
        self.out = getattr(self.acd, method)(*args, now=self.now, **options)
        check_invariants(self.acd, self.now)
        return self.out

    def call(self, item: str, queue: str = "support", **options: Any) -> list[AnyOutput]:
        return self.do("enqueue", WorkItem(id=item, **options), queue)

    def wait(self, seconds: float) -> list[AnyOutput]:
        """Turn the clock, stopping at every deadline on the way."""
        end, out = self.now + seconds, []
        while (deadline := self.acd.next_deadline()) is not None and deadline.at <= end:
            self.now = max(deadline.at, self.now)
            out += self.do("expire")
        self.now = end
        out += self.do("expire")
        self.out = out
        return out

    def answer(self, agent: str) -> list[AnyOutput]:
        """The agent's phone is answered."""
        return self.do("accept", next(iter(self.acd.floor.agents[agent].offers)))

    def decline(self, agent: str, reason: str = "refused") -> list[AnyOutput]:
        return self.do("decline", next(iter(self.acd.floor.agents[agent].offers)), reason)

    def find(self, kind: type[T]) -> list[T]:
        """Outputs of a kind of the last step."""
        return [output for output in self.out if isinstance(output, kind)]

    def one(self, kind: type[T]) -> T:
        found = self.find(kind)
        assert len(found) == 1, f"{len(found)} of {kind.__name__} in {self.out}"
        return found[0]

    @property
    def offered(self) -> list[tuple[str, str]]:
        """(agent, item) of the offers of the last step."""
        return [(offer.agent, offer.item) for offer in self.find(Offer)]

    @property
    def rejected(self) -> str:
        return self.one(Rejected).reason

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(agent, state, reason) of the last step's changes."""
        return [(change.agent, change.state, change.reason) for change in self.find(AgentStateChanged)]

    def state(self, agent: str) -> str:
        return self.acd.view_agent(agent).state
