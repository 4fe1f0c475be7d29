"""queues.yaml: where callers wait, for whom, and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pbx.config.agents import Level
from pbx.config.base import (
    KEY,
    InternalNumber,
    Language,
    Model,
    Name,
    PromptRef,
    Seconds,
    Target,
    refuse,
)
from pbx.config.recording import Policy

Strategy = Literal["longest_idle", "round_robin", "least_calls", "ring_all", "skill_level"]

JoinRule = Literal["logged_in", "not_paused", "ready", "any"]
"""logged_in: an agent of the queue is logged in; not_paused: and not in a not-ready state; ready: and free now."""


class Widening(Model):
    """What is required of an agent after some time."""

    after: Seconds
    """Since the call joined the queue."""
    skills: Mapping[Name, Level] | None = None
    """Required skills with their least levels from then on; {} asks for none. Default: unchanged."""
    queues: tuple[Name, ...] = ()
    """Agents of these queues may take the call too."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Added to the call's priority."""


class Overflow(Model):
    """Where calls go that do not find an agent."""

    max_wait: Target | None = None
    """Waited for `max_wait`."""
    max_length: Target | None = None
    """The queue is full."""
    no_agents: Target | None = None
    """By `join_when` or `leave_when` there is nobody to wait for."""
    closed: Target | None = None
    """The queue's calendar is closed."""
    holiday: Target | None = None
    """The queue's calendar has a holiday; default: as closed."""


class Announcements(Model):
    """What waiting callers are told."""

    position: bool = False
    """Tell the position."""
    estimated_wait: bool = False
    """Tell the estimated wait in minutes."""
    interval: Seconds = 30.0
    """Between two announcements; 0: only once."""
    first_after: Seconds = 5.0
    """First announcement."""
    prompts: tuple[PromptRef, ...] = ()
    """Prompts played in turn between the announcements."""
    prompt_interval: Seconds = 60.0
    """Between two of these prompts."""


class CallbackOptions(Model):
    """A caller may hang up and keep his place."""

    first: Literal["agent", "customer"] = "agent"
    """Who is rung first: the agent, or the customer while the agent is kept free for him."""
    ring_timeout: Annotated[Seconds, Field(ge=5, le=120)] = 30.0
    """How long the customer's phone rings."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Tries to reach the customer."""
    retry: Seconds = 300.0
    """Between two tries."""
    expires: Seconds = 8 * 3600.0
    """Given up after this."""
    calendar: Name | None = None
    """When customers may be called; default: the queue's calendar."""
    permissions: tuple[Name, ...] = ()
    """Outbound routes with a permission that may be used; callers can name any number, so by default none of them."""


class QueueAlarms(Model):
    """When a queue needs its supervisor's eye: event `QueueAlarm`, raised and cleared."""

    waiting: Annotated[int, Field(ge=1)] | None = None
    """As many callers wait, or more."""
    longest_wait: Annotated[Seconds, Field(gt=0)] | None = None
    """Somebody waits on the line for so long."""
    agents_ready: Annotated[int, Field(ge=1)] | None = None
    """Fewer of its agents are ready, while it is open."""


class MissedOffer(Model):
    """What happens when an agent does not answer an offered call."""

    not_ready: bool = True
    """The agent becomes not ready."""
    after: Annotated[int, Field(ge=1, le=10)] = 1
    """So many in a row."""
    pause: Seconds = 0.0
    """Ready again by itself after this; 0: the agent has to."""


class ServiceLevel(Model):
    """How soon calls are to be answered."""

    threshold: Seconds = 20.0
    """Answered within this counts as in time."""


class Queue(Model):
    """Calls waiting for agents."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the queue: the key it stands under."""
    title: str = ""
    """For people."""
    number: InternalNumber | None = None
    """Number to dial it inside."""
    strategy: Strategy = "longest_idle"
    """Who gets the next call."""
    skills: Mapping[Name, Level] = Field(default_factory=dict)
    """Required skills with their least levels."""
    widening: tuple[Widening, ...] = ()
    """Requirements that change with the time waited."""
    priority: Annotated[int, Field(ge=0, le=100)] = 0
    """Priority of its calls; higher goes first."""
    ageing: Annotated[float, Field(ge=0)] = 1.0
    """Points of priority a call gains per minute waited, so that nobody starves."""
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Among queues that want the same agent."""
    ring_timeout: Annotated[Seconds, Field(ge=2, le=300)] = 20.0
    """How long an agent's phone rings before the call is offered to another."""
    max_wait: Seconds = 0.0
    """Longest wait; 0: for ever."""
    max_length: Annotated[int, Field(ge=0)] = 0
    """Most calls waiting; 0: no limit."""
    overflow: Overflow = Overflow()
    """Where calls go that do not find an agent; without a target they end with congestion."""
    after_call_work: Seconds = 0.0
    """Longest after-call work, ended automatically; 0: none."""
    after_call_work_extension: Seconds = 60.0
    """What one request for more time adds."""
    dispositions_required: bool = False
    """After-call work ends by itself only when the agent has chosen a disposition."""
    greeting: PromptRef | None = None
    """Prompt played to the caller before waiting; the caller already has a place."""
    music: Name = "default"
    """Music class."""
    ringback: bool = False
    """Ringback instead of music while an agent's phone rings."""
    announcements: Announcements = Announcements()
    """What waiting callers are told."""
    language: Language | None = None
    """Language of the announcements; default: the call's."""
    language_seats: bool = False
    """The call's language is a required skill (`language-TAG`)."""
    recording: Policy | None = None
    """Recording of its calls; default: the trunk's, then the general policy."""
    service_level: ServiceLevel = ServiceLevel()
    """How soon calls are to be answered."""
    calendar: Name | None = None
    """When it is open; default: always."""
    on_close: Literal["keep", "overflow"] = "keep"
    """Who waits when it closes is still served, or goes where `overflow` sends callers of a closed queue."""
    join_when: JoinRule = "any"
    """Calls may only join when this holds of some agent of the queue."""
    leave_when: Literal["never", "no_agents_logged_in", "no_agents_available"] = "never"
    """Waiting calls overflow when this holds."""
    callback: CallbackOptions | None = None
    """Callback that keeps the place."""
    alarms: QueueAlarms = QueueAlarms()
    """Thresholds with alarms."""
    keys: Mapping[Annotated[str, Field(pattern=r"^[0-9*#]$")], Target] = Field(default_factory=dict)
    """Keys with which a caller leaves the queue, and where to."""
    missed_offer: MissedOffer = MissedOffer()
    """What happens when an agent does not answer."""
    last_agent: Seconds = 0.0
    """Prefer the agent the caller spoke with, for so long; 0: not."""
    rejoin_window: Seconds = 0.0
    """A caller whose line dropped gets his place back when he calls again within this; 0: not."""

    @model_validator(mode="after")
    def _check_widening(self) -> Queue:
        times = [step.after for step in self.widening]
        if times != sorted(times):
            raise refuse(
                f"the widening steps of the queue {self.name!r} are out of order", "`after` growing from step to step"
            )
        return self
