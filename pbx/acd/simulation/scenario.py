"""What is simulated: streams of work, agents' days and manners, around a real ACD configuration."""

from __future__ import annotations

import msgspec

from pbx.acd.model import AcdConfig, AgentConfig, QueueConfig
from pbx.acd.simulation.distributions import Arrivals, Constant, Distribution, Exponential, Poisson


class Stream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Work of one kind for one queue."""

    queue: str
    arrivals: Arrivals
    handling: Distribution = Exponential(180.0)
    """Talking time; replayed calls that know theirs keep it."""
    patience: Distribution | None = None
    """None: nobody gives up."""
    after_call: Distribution | None = None
    """After-call work the agent takes, cut by the queue's limits; None: until it ends by itself."""
    priority: int = 0
    vip_share: float = 0.0
    skills: dict[str, int] = {}
    language: str = ""


class Shift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When agents work. Seconds from the start; agents of no shift work all the time."""

    agents: tuple[str, ...]
    start_s: float
    end_s: float
    breaks: tuple[tuple[float, float], ...] = ()
    """From, to."""


class Manners(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How agents treat offers."""

    answer: Distribution = Constant(0.0)
    """Ringing until the answer; longer than the queue's ring time-out is a missed offer."""
    miss_share: float = 0.0
    """Share of offers not answered at all."""
    decline_share: float = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One simulation."""

    config: AcdConfig
    streams: tuple[Stream, ...]
    shifts: tuple[Shift, ...] = ()
    manners: Manners = Manners()
    duration_s: float = 8 * 3600.0
    warm_up_s: float = 0.0
    """Entries and times before are not counted: the floor starts empty, which a real day does not."""
    short_s: float = 0.0
    """Abandons before are short (pbx.events.kpi)."""


def make_simple_scenario(
    *,
    agents: int,
    per_hour: float,
    handling_s: float,
    patience_s: float | None = None,
    threshold_s: float = 20.0,
    strategy: str = "longest_idle",
    duration_s: float = 8 * 3600.0,
    warm_up_s: float = 3600.0,
) -> Scenario:
    """One queue, like agents, everything exponential: what Erlang's formulae describe."""
    queue = QueueConfig(name="queue", strategy=strategy, service_level_s=threshold_s)
    config = AcdConfig(
        queues=(queue,),
        agents=tuple(AgentConfig(id=f"agent-{n}", queues={"queue": 1}, device=f"desk-{n}") for n in range(agents)),
        explain_members=0,
    )
    stream = Stream(
        queue="queue",
        arrivals=Poisson(per_hour),
        handling=Exponential(handling_s),
        patience=None if patience_s is None else Exponential(patience_s),
    )
    return Scenario(config=config, streams=(stream,), duration_s=duration_s, warm_up_s=warm_up_s)
