"""The ACD's own records: mutable, slotted, never handed out.

```
Queue --needs--> NeedClass --waiting--> sorted [(rank, seq, Item)]     who waits, by what agents must have
  |---groups--> Group -----ready-----> sorted [(key, number, Agent)]   who is ready, by what agents have
Agent --seats--> Seat (one per queue) --> Group
```
Each item and each ready agent sits in sorted lists it can be found in again by bisection, so that nothing is stale
and a decision looks only at the heads of the classes and groups.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Literal

from .messages import AgentState, WorkItem
from .model import AgentConfig, QueueConfig
from .strategies import Key, Strategy

ItemState = Literal["new", "waiting", "reserved", "offered", "deferred"]
"""In no list yet; in its class; with its preferred agents only; being offered; a callback before its next try."""

Waiting = tuple[float, int, "Item"]
"""Rank (entry time minus what priority is worth), number of the entry, item. Numbers differ, so items never compare."""

Ready = tuple[Key, int, "Agent"]
"""The strategy's key, the agent's number, the agent. Numbers differ, so agents never compare."""


class Item:
    """A work item in a queue."""

    __slots__ = (
        "announce_at",
        "attempts",
        "callback",
        "entered_at",
        "entry",
        "expires_at",
        "joined_at",
        "leave_at",
        "moves",
        "place",
        "plan",
        "prefer_until",
        "priority",
        "queue",
        "reserved_for",
        "resume_at",
        "round",
        "seq",
        "state",
        "step",
        "work",
    )

    def __init__(self, work: WorkItem, queue: Queue, plan: Plan, now: float, seq: int) -> None:
        self.work = work
        self.queue = queue
        self.plan = plan
        self.seq = seq
        self.state: ItemState = "new"
        self.step = 0
        """How far the needs have widened."""
        self.priority = 0
        self.entered_at = now
        """When the caller's wait began, in whatever queue."""
        self.joined_at = now
        """When the item came into this queue."""
        self.entry = f"{work.id}#{seq}"
        self.place: Waiting = (now, seq, self)
        self.round: Round | None = None
        self.reserved_for: tuple[Agent, ...] = ()
        self.moves = 0
        self.callback = ""
        self.attempts = 0
        # deadlines, None where there is none
        self.announce_at: float | None = None
        self.prefer_until: float | None = None
        self.leave_at: float | None = None
        self.expires_at: float | None = None
        self.resume_at: float | None = None

    @property
    def id(self) -> str:
        return self.work.id

    def __repr__(self) -> str:
        return f"<Item {self.work.id} {self.state} in {self.queue.name}>"


class NeedClass:
    """The waiting items of one queue that ask the same of agents."""

    __slots__ = ("_ranked", "fits", "language", "max_level", "misfits", "queue", "skills", "waiting")

    def __init__(self, queue: Queue, skills: tuple[tuple[str, int], ...], language: str, max_level: int | None) -> None:
        self.queue = queue
        self.skills = skills
        self.language = language
        self.max_level = max_level
        self.waiting: list[Waiting] = []
        self.fits: dict[Group, float | None] = {}
        """Fit of each group, computed once; None where the group does not meet the needs."""
        self.misfits: dict[Group, str] = {}
        self._ranked: list[tuple[int, float, Group]] | None = None

    def fit(self, group: Group) -> float | None:
        """How well the group's agents suit, None if they do not meet the needs."""
        try:
            return self.fits[group]
        except KeyError:
            fit = self.fits[group] = self._measure(group)
            return fit

    @property
    def ranked(self) -> list[tuple[int, float, Group]]:
        """The groups that meet the needs as (level, minus fit, group), the first choice first."""
        if self._ranked is None:
            fits = ((group, self.fit(group)) for group in self.queue.groups.values())
            self._ranked = [(group.level, -fit, group) for group, fit in fits if fit is not None]
            self._ranked.sort(key=lambda rank: rank[:2])
        return self._ranked

    def forget_groups(self) -> None:
        """The queue's groups are about to change."""
        self.fits, self.misfits, self._ranked = {}, {}, None

    def _measure(self, group: Group) -> float | None:
        if self.max_level is not None and group.level > self.max_level:
            return None
        for skill, level in self.skills:
            if group.levels.get(skill, 0) < level:
                return None
        if self.language and group.languages and self.language not in group.languages:
            return None
        return self.queue.strategy.fit(group.levels, self.skills)

    def explain_misfit(self, group: Group) -> str:
        """The first need that the group's agents do not meet, in words; empty if they meet all."""
        misfit = self.misfits.get(group)
        if misfit is None:
            misfit = self.misfits[group] = self._find_misfit(group)
        return misfit

    def _find_misfit(self, group: Group) -> str:
        if self.max_level is not None and group.level > self.max_level:
            return f"level {group.level} > {self.max_level}"
        for skill, level in self.skills:
            have = group.levels.get(skill, 0)
            if have < level:
                return f"skill {skill} {have} < {level}"
        if self.language and group.languages and self.language not in group.languages:
            return f"language {self.language}"
        return ""

    def describe(self) -> tuple[str, ...]:
        """The needs in words."""
        words = [f"skill {skill} >= {level}" for skill, level in self.skills]
        if self.language:
            words.append(f"language {self.language}")
        if self.max_level is not None:
            words.append(f"level <= {self.max_level}")
        return tuple(words)


class Plan:
    """How the needs and the priority of a kind of item change with the time in the queue: the first step at 0."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[tuple[float, NeedClass, int], ...]) -> None:
        self.steps = steps


class Group:
    """The agents of one queue who are alike in everything its items can ask for."""

    __slots__ = ("languages", "level", "levels", "ready")

    def __init__(self, level: int, levels: dict[str, int], languages: frozenset[str]) -> None:
        self.level = level
        self.levels = levels
        self.languages = languages
        self.ready: list[Ready] = []


class Seat:
    """One agent in one queue."""

    __slots__ = ("agent", "group", "helper", "level", "queue", "queue_calls", "turn")

    def __init__(self, agent: Agent, queue: Queue, level: int, helper: bool = False) -> None:
        self.helper = helper
        """Of another queue that helps this one."""
        self.agent = agent
        self.queue = queue
        self.level = level
        self.group: Group = NO_GROUP
        self.queue_calls = 0
        self.turn = 0

    @property
    def idle_since(self) -> float:
        return self.agent.idle_since

    @property
    def calls(self) -> int:
        return self.agent.calls


NO_GROUP = Group(0, {}, frozenset())


class Queue:
    """A queue with its waiting items and its agents."""

    __slots__ = (
        "active",
        "calling",
        "channel",
        "config",
        "crowds",
        "empty_since",
        "gap_mean",
        "gaps",
        "groups",
        "handled",
        "handling_mean",
        "hours",
        "items",
        "known_skills",
        "last_taken",
        "left_places",
        "logged_on",
        "name",
        "needs",
        "closed_for",
        "open",
        "plans",
        "rate",
        "removed",
        "reserved",
        "ringing",
        "seats",
        "strategy",
        "turns",
        "waiting",
    )

    def __init__(self, config: QueueConfig, strategy: Strategy) -> None:
        self.name = config.name
        self.open = True
        self.closed_for: Literal["closed", "holiday"] = "closed"
        self.hours: tuple[bool, str] | None = None
        """What the service hours said last."""
        self.calling = True
        """Whether customers may be called back now."""
        self.removed = False
        """No longer configured: serves who is in it, lets nobody in."""
        self.needs: dict[tuple[object, ...], NeedClass] = {}
        self.plans: dict[tuple[object, ...], Plan] = {}
        self.groups: dict[tuple[object, ...], Group] = {}
        self.crowds: dict[int, list[Ready]] | None = None
        """Ready agents by level, whatever their group; only where there are many groups."""
        self.seats: dict[str, Seat] = {}
        self.known_skills: set[str] = set()
        self.reserved: list[Waiting] = []
        self.items: dict[str, Item] = {}
        """All items in the queue, whatever their state."""
        self.waiting = 0
        """Items in the classes."""
        self.logged_on = 0
        self.active = 0
        """Agents logged on and not paused."""
        self.turns = 0
        self.ringing: dict[str, Round] = {}
        """Rounds of a queue that rings all, by item."""
        # what the estimated wait is made from
        self.gap_mean = 0.0
        self.gaps = 0
        self.handled = 0
        self.handling_mean = 0.0
        self.last_taken: float | None = None
        self.empty_since: float | None = None
        """Since when nobody is there who would let the waiting stay."""
        self.left_places: dict[str, tuple[float, float]] = {}
        """Caller to (left at, entered at), oldest first, for those who call again."""
        self.configure(config, strategy)

    def configure(self, config: QueueConfig, strategy: Strategy) -> None:
        self.config = config
        self.channel = config.channel
        self.strategy = strategy
        self.rate = config.weight / max(config.service_level_s, 1.0)
        self.known_skills |= {need.skill for need in config.skills}

    def count_ahead(self, place: Waiting) -> int:
        """How many items are before this place."""
        ahead = bisect_left(self.reserved, place) if self.reserved else 0
        for need in self.needs.values():
            if need.waiting:
                ahead += bisect_left(need.waiting, place)
        return ahead

    def __repr__(self) -> str:
        return f"<Queue {self.name} {len(self.items)} items>"


class Work:
    """What an agent is talking to: an item of a queue, or a direct call (no queue)."""

    __slots__ = ("channel", "disposition", "item", "moment", "note", "queue", "record")

    def __init__(self, item: str, channel: str, queue: Queue | None, moment: float, record: Item | None) -> None:
        self.item = item
        self.channel = channel
        self.queue = queue
        self.moment = moment
        """When it began."""
        self.record = record
        """The item as it was in the queue, for a callback that may have to go back."""
        self.disposition = ""
        self.note = ""


class AfterCall:
    """After-call work."""

    __slots__ = ("disposition", "item", "limit_at", "note", "queue", "started", "until")

    def __init__(self, item: str, queue: Queue, started: float, until: float, limit_at: float) -> None:
        self.item = item
        self.queue = queue
        self.started = started
        self.until = until
        self.limit_at = limit_at
        self.disposition = ""
        self.note = ""


class Agent:
    """An agent: what he wants, what he holds, and the state that follows from both."""

    __slots__ = (
        "after_call",
        "by_channel",
        "calls",
        "capacity",
        "config",
        "device",
        "device_ok",
        "id",
        "idle_since",
        "log_off_pending",
        "misses",
        "number",
        "offers",
        "pause_reason",
        "pause_until",
        "personal",
        "pooled",
        "reason",
        "ready_wanted",
        "removed",
        "seats",
        "since",
        "state",
        "state_item",
        "state_queue",
        "state_until",
        "voice_only",
        "wanted_reason",
        "work",
    )

    def __init__(self, config: AgentConfig, number: int) -> None:
        self.id = config.id
        self.number = number
        self.removed = False
        self.device = ""
        """Empty: logged off."""
        self.device_ok = True
        self.ready_wanted = False
        self.wanted_reason = ""
        self.log_off_pending = False
        self.pause_until: float | None = None
        self.pause_reason = ""
        self.misses = 0
        self.calls = 0
        self.idle_since = 0.0
        self.offers: dict[str, OfferRecord] = {}
        self.work: dict[str, Work] = {}
        self.after_call: AfterCall | None = None
        self.personal: list[Waiting] = []
        """Items that wait for this agent by name."""
        self.seats: dict[str, Seat] = {}
        self.by_channel: dict[str, tuple[Seat, ...]] = {}
        self.pooled: dict[str, list[tuple[list[Ready], Ready]]] = {}
        """Channel to the places in the queues' ready lists, while the agent is free for that channel."""
        # the derived state, as it was last reported
        self.state: AgentState = "logged_off"
        self.reason = ""
        self.state_item = ""
        self.state_queue = ""
        self.state_until: float | None = None
        self.since = 0.0
        self.configure(config)

    def configure(self, config: AgentConfig) -> None:
        self.config = config
        self.capacity = {channel: 1 if channel == "voice" else n for channel, n in config.capacity.items() if n > 0}
        self.voice_only = set(self.capacity) == {"voice"}

    def __repr__(self) -> str:
        return f"<Agent {self.id} {self.state}>"


class OfferRecord:
    """One agent being rung for one item."""

    __slots__ = ("agent", "id", "round")

    def __init__(self, offer: str, agent: Agent, round_: Round) -> None:
        self.id = offer
        self.agent = agent
        self.round = round_


class Round:
    """All offers of an item that ring together."""

    __slots__ = ("declined", "id", "item", "offers", "ring_until", "started")

    def __init__(self, id_: str, item: Item, started: float, ring_until: float) -> None:
        self.id = id_
        self.item = item
        self.started = started
        self.ring_until = ring_until
        self.offers: dict[str, OfferRecord] = {}
        self.declined: set[Agent] = set()


def put_place(places: list[Waiting], place: Waiting) -> None:
    """Put a place into a sorted list; at the end in most cases."""
    if not places or places[-1] < place:
        places.append(place)
    else:
        insort(places, place)


def drop_place(places: list[Waiting], place: Waiting) -> None:
    """Take a place out of a sorted list. Raises AssertionError if it is not there: a bug."""
    index = bisect_left(places, place)
    assert index < len(places) and places[index] is place, f"{place[2]!r} is not where it should be"
    del places[index]
