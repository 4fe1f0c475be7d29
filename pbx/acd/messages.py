"""What goes into the ACD about a work item, and what comes out of it: facts in the past tense, in order.

Every :class:`Queued` is ended by exactly one :class:`Assigned` or :class:`QueueLeft` of the same ``entry``
(after a :class:`CallbackDeferred` by one more).
Times named ``*_s`` are seconds; ``since``, ``until`` and ``at`` are monotonic seconds of the clock passed in.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .explain import Decision

AgentState = Literal["logged_off", "not_ready", "ready", "ringing", "talking", "after_call_work"]

LeaveReason = Literal[
    "abandoned",  # the caller hung up
    "exit_key",  # left by key
    "voicemail",
    "callback",  # a callback was kept elsewhere
    "callback_failed",  # the virtual caller could not be reached
    "callback_expired",
    "callback_cancelled",
    "called_again",  # the customer called by himself, and has the place now
    "moved",  # to another queue, by a supervisor or a flow
    "overflow",
    "closed",
    "cleared",  # the call was ended by us
    "lost",  # found dead when reconciled
    "supervisor",
]
"""Why an item left a queue without an answer."""

OfferEnd = Literal["declined", "no_answer", "unreachable", "withdrawn"]

DeclineReason = Literal["refused", "no_answer", "busy", "failed", "unreachable"]


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be served. For a call the id is the call's."""

    id: str
    channel: str = "voice"
    caller: str = ""
    """Number, for caller rules and for keeping the place of one who calls again."""
    tier: str = ""
    """Customer tier, for caller rules."""
    priority: int = 0
    """-1000..1000; each point is worth ``priority_step_s`` seconds of waiting."""
    vip: bool = False
    skills: dict[str, int] = {}
    """Skills beyond the queue's own, with their level."""
    language: str = ""
    preferred_agents: tuple[str, ...] = ()
    """Last or named agents: the item waits for them alone, while one is logged on and not paused."""
    preferred_s: float = 0.0
    """For so many seconds; 0: only if one of them is free at once."""
    entered_at: float | None = None
    """When the wait began, if not now: kept when an item is moved or restored."""
    data: dict[str, str] = {}
    callback: str = ""
    """Number to be called when its turn comes: a virtual caller that keeps a place. Empty: the caller is there."""


class Output(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all outputs."""


# --- items -----------------------------------------------------------------------------------------------------


class Queued(Output, frozen=True, kw_only=True, gc=False):
    """The item waits in the queue."""

    item: str
    queue: str
    entry: str
    """Id of this entry; an item that enters twice counts twice."""
    priority: int
    position: int
    """1 is next."""
    skills: tuple[str, ...] = ()
    entered_at: float
    """Since when it waits; earlier than now for one that was moved or came back."""
    place_kept: bool = False


class Refused(Output, frozen=True, kw_only=True, gc=False):
    """The item was not let in; ``destination`` is where it is to go instead (empty: nowhere is configured). Where that
    is a queue the ACD enters it there by itself (``Queued`` or another ``Refused`` follows).

    ``reason`` is an OverflowReason, ``unknown_queue``, ``wrong_channel``, ``duplicate`` or ``too_many_moves``.
    """

    item: str
    queue: str
    reason: str
    destination: str = ""


class Assigned(Output, frozen=True, kw_only=True, gc=False):
    """An agent took the item."""

    item: str
    queue: str
    entry: str
    agent: str
    offer: str
    device: str
    waited_s: float
    """In this entry."""
    ringing_s: float


class QueueLeft(Output, frozen=True, kw_only=True, gc=False):
    """The item left the queue without an agent."""

    item: str
    queue: str
    entry: str
    reason: LeaveReason
    waited_s: float


class Overflowed(Output, frozen=True, kw_only=True, gc=False):
    """The item was put out of the queue. Where the destination is a queue the ACD enters it there by itself
    (``Queued`` or ``Refused`` follows); any other destination is for the switch, and empty means none is configured."""

    item: str
    queue: str
    reason: str
    destination: str


class AnnouncePosition(Output, frozen=True, kw_only=True, gc=False):
    """Tell the caller now."""

    item: str
    queue: str
    position: int
    estimated_wait_s: float


class CallbackDeferred(Output, frozen=True, kw_only=True, gc=False):
    """The customer was not reached; the entry is open (again), and its place is offered again at ``retry_at``."""

    item: str
    queue: str
    entry: str
    attempt: int
    retry_at: float


# --- offers ----------------------------------------------------------------------------------------------------


class Offer(Output, frozen=True, kw_only=True, gc=False):
    """Ring the agent. Answer with ``accept`` or ``decline``; the ACD itself ends it at ``ring_until``."""

    offer: str
    item: str
    queue: str
    agent: str
    device: str
    ring_until: float
    why: Decision
    callback: str = ""
    """Number of the customer to call; empty: the caller is there."""


class OfferWithdrawn(Output, frozen=True, kw_only=True, gc=False):
    """The offer is over without being accepted: stop ringing, if the phone still does."""

    offer: str
    item: str
    queue: str
    agent: str
    result: OfferEnd
    reason: str
    """``no_answer``, ``taken`` (by another), ``item_left``, ``agent_left``, ``too_late`` (for an accept)."""
    ringing_s: float = 0.0


# --- agents ----------------------------------------------------------------------------------------------------


class AgentLoggedOn(Output, frozen=True, kw_only=True, gc=False):
    agent: str
    device: str


class AgentLoggedOff(Output, frozen=True, kw_only=True, gc=False):
    agent: str
    device: str
    reason: str = ""


class AgentStateChanged(Output, frozen=True, kw_only=True, gc=False):
    agent: str
    state: AgentState
    previous: AgentState
    reason: str = ""
    """Reason of ``not_ready``."""
    item: str = ""
    """Item that rings, is talked to or worked after; empty in a direct call."""
    queue: str = ""
    since: float
    until: float | None = None
    """When the state ends by itself."""
    pending: str = ""
    """State wished for after this one: ``not_ready`` or ``logged_off``."""


class WrapUpCompleted(Output, frozen=True, kw_only=True, gc=False):
    agent: str
    item: str
    queue: str
    disposition: str
    note: str = ""
    lasted_s: float
    automatic: bool
    """Ended by its deadline, or because the agent went."""
    missing: bool = False
    """A disposition was required and none was given."""


class AgentDeadlineMissed(Output, frozen=True, kw_only=True, gc=False):
    """The agent is in a state for longer than allowed: for the supervisor, and for a check against the live calls."""

    agent: str
    state: AgentState
    reason: str
    item: str
    lasted_s: float


# --- the rest ----------------------------------------------------------------------------------------------------


class QueueStateChanged(Output, frozen=True, kw_only=True, gc=False):
    queue: str
    open: bool
    reason: Literal["", "closed", "holiday"] = ""
    """Why it is closed."""


class Rejected(Output, frozen=True, kw_only=True, gc=False):
    """An input that is not possible now; nothing changed."""

    command: str
    subject: str
    """Agent, item, offer or queue it was about."""
    reason: str


AnyOutput = (
    Queued
    | Refused
    | Assigned
    | QueueLeft
    | Overflowed
    | AnnouncePosition
    | CallbackDeferred
    | Offer
    | OfferWithdrawn
    | AgentLoggedOn
    | AgentLoggedOff
    | AgentStateChanged
    | WrapUpCompleted
    | AgentDeadlineMissed
    | QueueStateChanged
    | Rejected
)
