"""What the ACD is configured with: frozen values, built by the composition root from the configuration files.

Times are seconds. Levels of skills go from 1 (learning) to 10 (expert), more is better. Levels of an agent in a
queue go the other way: 1 is the first choice, higher numbers are reached later.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Presence = Literal["always", "logged_on", "active", "ready"]
"""Who must be there: nobody, an agent logged on, one logged on and not paused (he may be busy), or one free now."""

OverflowReason = Literal["closed", "holiday", "full", "no_agents", "max_wait", "blocked"]
"""Why an item cannot enter a queue or cannot stay in it."""


class Ring(msgspec.Struct, frozen=True):
    """One widening: after ``after_s`` seconds in the queue ``level`` suffices; 0 drops the requirement."""

    after_s: float
    level: int


class SkillNeed(msgspec.Struct, frozen=True):
    """A skill that agents must have, at ``level`` or better, lowered by ``rings`` as the wait grows."""

    skill: str
    level: int = 1
    rings: tuple[Ring, ...] = ()


class TierOpening(msgspec.Struct, frozen=True):
    """Agents of this level in the queue (and beyond, up to the next opening) are reached after ``after_s`` seconds."""

    level: int
    after_s: float


class Helpers(msgspec.Struct, frozen=True):
    """Agents of another queue who may serve this one too, after ``after_s`` seconds and after all of its own."""

    queue: str
    after_s: float


class Boost(msgspec.Struct, frozen=True):
    """Priority added after ``after_s`` seconds in the queue."""

    after_s: float
    priority: int


class CallbackRules(msgspec.Struct, frozen=True):
    """How a caller who asked to be called back is tried."""

    attempts: int = 3
    retry_s: float = 300.0
    expires_s: float = 4 * 3600.0
    reach_s: float = 0.0
    """An offer lasts so much longer, where the customer is called before the agent's phone rings."""


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: who may serve it, in which order, and what happens to those who wait."""

    name: str
    channel: str = "voice"
    strategy: str = "longest_idle"
    """Name of a row of ``pbx.acd.strategies.STRATEGIES``."""

    # who may serve
    skills: tuple[SkillNeed, ...] = ()
    tiers: tuple[TierOpening, ...] = ()
    helpers: tuple[Helpers, ...] = ()
    boosts: tuple[Boost, ...] = ()
    match_language: bool = False
    """Agents must speak the item's language; ``zh-HK`` serves ``zh`` too; agents that name no language speak all."""
    language_after_s: float = 0.0
    """Drop the language requirement after so long; 0: never."""

    # order
    priority: int = 0
    """Added to each item's own priority."""
    vip_priority: int = 5
    """Added for a VIP."""
    priority_step_s: float = 60.0
    """Seconds of waiting that one point of priority is worth, all together at most ``fairness_s``: age overtakes
    priority, and nobody starves."""
    weight: float = 1.0
    """Importance against other queues when an agent of several becomes free."""
    service_level_s: float = 20.0
    """Threshold of the service level; between queues an item is the more urgent the larger wait / threshold is."""

    # offering
    ring_timeout_s: float = 20.0
    ring_all_limit: int = 24
    """How many phones ``ring_all`` rings at once at most."""
    after_call_work_s: float = 0.0
    """After-call work ends by itself after so long; 0: none."""
    after_call_work_limit_s: float = 600.0
    """How long it may last with all extensions."""
    dispositions: tuple[str, ...] = ()
    disposition_required: bool = False
    """After-call work then goes on to its limit if none was given."""
    miss_limit: int = 0
    """Missed offers in a row that make an agent not ready; 0: as ``AcdConfig.miss_limit``."""
    miss_rest_s: float = 0.0
    """He is ready again by himself after so long; 0: only when he says so."""

    # limits and overflow
    max_wait_s: float = 0.0
    """0: no limit."""
    max_length: int = 0
    """Waiting items at most, those being offered included; 0: no limit."""
    join_when: Presence = "logged_on"
    """Who must be there for a newcomer to be let in."""
    stay_when: Presence = "always"
    """Who must be there for those waiting to stay; ``ready`` counts as ``active``, for a busy agent comes free."""
    stay_grace_s: float = 10.0
    """How long nobody may be there before the waiting items overflow."""
    on_close: Literal["keep", "overflow"] = "keep"
    """Those already waiting when the queue closes: still served, or overflowed."""
    overflow: dict[str, str] = {}
    """Destination by reason (:data:`OverflowReason`) or ``"*"``; ``queue:NAME`` is followed by the ACD itself."""

    # caller comfort
    announce_first_s: float = 0.0
    """Position announcement after so long in the queue; 0: none but the periodic ones."""
    announce_interval_s: float = 0.0
    keep_place_s: float = 0.0
    """A caller who comes back to the same queue within so long gets the old place; 0: never."""
    callback: CallbackRules | None = None
    expected_handling_s: float = 180.0
    """For the estimated wait, until the queue has measured its own."""


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who serves queues."""

    id: str
    name: str = ""
    queues: dict[str, int] = {}
    """Queue name to level (1 is first choice)."""
    skills: dict[str, int] = {}
    languages: tuple[str, ...] = ()
    """None: all."""
    after_call_work_s: float | None = None
    """Instead of the queue's."""
    capacity: dict[str, int] = msgspec.field(default_factory=lambda: {"voice": 1})
    """Items at once per channel; of voice never more than 1."""
    team: str = ""
    device: str = ""
    """The usual phone, where log-on names none."""


class ReasonConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A reason for being not ready."""

    name: str
    limit_s: float = 0.0
    """0: no limit."""
    at_limit: Literal["alarm", "ready"] = "alarm"
    """At the limit only report it, or make the agent ready again."""
    max_agents: int = 0
    """Agents in this reason at once; 0: no limit."""


class CallerRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a caller, by exact number or by customer tier."""

    caller: str = ""
    tier: str = ""
    vip: bool = False
    blocked: bool = False
    priority: int = 0


class AcdConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration of the ACD."""

    queues: tuple[QueueConfig, ...] = ()
    agents: tuple[AgentConfig, ...] = ()
    reasons: tuple[ReasonConfig, ...] = ()
    """Empty: any reason is accepted."""
    callers: tuple[CallerRule, ...] = ()

    ready_on_log_on: bool = False
    miss_limit: int = 2
    """Missed offers in a row after which an agent stays not ready (``no_answer``)."""
    miss_pause_s: float = 5.0
    decline_pause_s: float = 10.0
    failure_pause_s: float = 30.0
    """Pause after an offer that was missed, declined, or failed at the phone; at least one second each."""
    fairness_s: float = 900.0
    """Who has waited so long is served before those who came later, whatever queue or priority (docs/acd.md)."""
    talk_check_s: float = 4 * 3600.0
    """A talk this long is reported, so that it can be checked against the live calls."""
    max_moves: int = 8
    """Queue-to-queue overflows of one item, against circles."""
    explain_members: int = 20
    """How many agents a kept decision lists at most; 0 keeps only the counts."""


MAX_PRIORITY = 1000
"""Priorities are cut to -1000..1000."""
