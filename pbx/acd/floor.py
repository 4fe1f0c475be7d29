"""The floor: everything the ACD knows at a moment, and the indexes that make a decision cheap.

The modules beside it are the rules. They change the floor, append to ``out``, and note in ``freed`` and ``unmatched``
who must look for a partner; ``matching.run`` then pairs them. Nothing here decides.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from pbx.core.ids import IdSource
from pbx.core.timers import Timers

from .messages import AnyOutput
from .model import AcdConfig, AgentConfig, CallerRule, QueueConfig, ReasonConfig
from .records import Agent, Group, Item, NeedClass, OfferRecord, Plan, Queue, Round, Seat, Work, drop_place, put_place
from .strategies import STRATEGIES

TimerKey = tuple[str, str]
"""Kind (``item``, ``round``, ``agent``, ``queue``) and id."""

MAX_PLANS = 128
"""Kinds of items a queue remembers before it forgets those not in use."""

MANY_GROUPS = 32
"""From so many kinds of agents on a queue also lists all its ready agents together (see ranking.best_agent)."""


class Floor:
    """All live records of one ACD."""

    __slots__ = (
        "agents",
        "callers",
        "config",
        "devices",
        "freed",
        "holders",
        "ids",
        "items",
        "offers",
        "out",
        "queues",
        "reasons",
        "rounds",
        "seq",
        "strategies",
        "tiers",
        "timers",
        "unmatched",
    )

    def __init__(self, ids: IdSource) -> None:
        self.ids = ids
        self.config = AcdConfig()
        self.queues: dict[str, Queue] = {}
        self.agents: dict[str, Agent] = {}
        self.devices: dict[str, Agent] = {}
        """Device to the agent logged on at it."""
        self.items: dict[str, Item] = {}
        """Items in queues."""
        self.holders: dict[str, tuple[Agent, Work]] = {}
        """Items and direct calls being served, by id."""
        self.offers: dict[str, OfferRecord] = {}
        self.rounds: dict[str, Round] = {}
        self.timers: Timers[TimerKey] = Timers()
        self.reasons: dict[str, ReasonConfig] = {}
        self.callers: dict[str, CallerRule] = {}
        self.tiers: dict[str, CallerRule] = {}
        self.strategies = STRATEGIES
        self.seq = 0
        self.out: list[AnyOutput] = []
        self.freed: list[Agent] = []
        self.unmatched: list[Item] = []


# --- configuration -----------------------------------------------------------------------------------------------


def install(floor: Floor, config: AcdConfig) -> tuple[list[Queue], list[Agent]]:
    """Take over a configuration and rebuild all indexes. Returns the queues and agents that are no longer configured.

    Raises ValueError if a queue names an unknown strategy or two queues or agents have the same name.
    """
    validate(config, floor)
    for agent in floor.agents.values():
        close_pools(agent)
    floor.config = config
    floor.reasons = {reason.name: reason for reason in config.reasons}
    floor.callers = {rule.caller: rule for rule in config.callers if rule.caller}
    floor.tiers = {rule.tier: rule for rule in config.callers if rule.tier}
    gone_queues = _install_queues(floor, config.queues)
    gone_agents = _install_agents(floor, config.agents)
    for queue in floor.queues.values():
        rebuild_queue(queue)
    return gone_queues, gone_agents


def validate(config: AcdConfig, floor: Floor) -> None:
    """Raise ValueError for what would make the ACD misbehave; the configuration loader says the same with a place."""
    for kind, names in (("queue", [q.name for q in config.queues]), ("agent", [a.id for a in config.agents])):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise ValueError(f"{kind} {twice[0]} is configured twice")
    for queue in config.queues:
        if queue.strategy not in floor.strategies:
            raise ValueError(f"queue {queue.name}: unknown strategy {queue.strategy!r}")
        if queue.ring_timeout_s < 1.0 or queue.weight <= 0.0 or queue.priority_step_s < 0.0:
            raise ValueError(f"queue {queue.name}: ring time-out from 1 s, weight above 0, priority step from 0 s")
    for agent in config.agents:
        if any(level < 1 for level in agent.queues.values()):
            raise ValueError(f"agent {agent.id}: levels in queues start at 1")


def _install_queues(floor: Floor, configs: Iterable[QueueConfig]) -> list[Queue]:
    names = set()
    for config in configs:
        names.add(config.name)
        strategy = floor.strategies[config.strategy]
        queue = floor.queues.get(config.name)
        if queue is None:
            floor.queues[config.name] = Queue(config, strategy)
        else:
            queue.removed = False
            queue.configure(config, strategy)
    for queue in tuple(floor.queues.values()):
        if queue.removed and not queue.items:
            floor.timers.cancel(("queue", queue.name))
            del floor.queues[queue.name]
    gone = [queue for name, queue in floor.queues.items() if name not in names and not queue.removed]
    for queue in gone:
        queue.removed = True
    return gone


def _install_agents(floor: Floor, configs: Iterable[AgentConfig]) -> list[Agent]:
    names = set()
    for queue in floor.queues.values():
        queue.logged_on = queue.active = 0
    old_seats = {queue.name: queue.seats for queue in floor.queues.values()}
    for queue in floor.queues.values():
        queue.seats = {}
    for config in configs:
        names.add(config.id)
        agent = floor.agents.get(config.id)
        if agent is None:
            agent = floor.agents[config.id] = Agent(config, len(floor.agents) + 1)
        else:
            agent.configure(config)
        agent.removed = False
        _seat_agent(floor, agent, old_seats)
    _seat_helpers(floor)
    for agent in floor.agents.values():
        agent.by_channel = {
            channel: tuple(seat for seat in agent.seats.values() if seat.queue.channel == channel)
            for channel in agent.capacity
        }
    gone = [agent for name, agent in floor.agents.items() if name not in names and not agent.removed]
    for agent in gone:
        agent.removed = True
        agent.seats, agent.by_channel = {}, {}
    return gone


def _seat_agent(floor: Floor, agent: Agent, old_seats: dict[str, dict[str, Seat]]) -> None:
    agent.seats = {}
    for name, level in agent.config.queues.items():
        queue = floor.queues.get(name)
        if queue is None or queue.removed:
            continue
        seat = Seat(agent, queue, level)
        old = old_seats[name].get(agent.id)
        if old is not None:
            seat.turn, seat.queue_calls = old.turn, old.queue_calls
        agent.seats[name] = queue.seats[agent.id] = seat
        queue.logged_on += agent.state != "logged_off"
        queue.active += agent.state not in ("logged_off", "not_ready")


HELPER_LEVEL = 1000
"""Level of the first helping queue's agents; the second's is one more, and so on: after all agents of the queue."""


def _seat_helpers(floor: Floor) -> None:
    """Give agents of helping queues a seat, beyond all levels of the queue's own agents."""
    for queue in floor.queues.values():
        own = set(queue.seats)
        for n, helpers in enumerate(queue.config.helpers):
            other = floor.queues.get(helpers.queue)
            if other is None or other is queue:
                continue
            for seat in tuple(other.seats.values()):
                if not seat.helper and seat.agent.id not in own:
                    own.add(seat.agent.id)
                    helper = Seat(seat.agent, queue, HELPER_LEVEL + n, helper=True)
                    seat.agent.seats[queue.name] = queue.seats[seat.agent.id] = helper


def rebuild_queue(queue: Queue) -> None:
    """Make groups and classes anew and put the waiting items back, for a new configuration."""
    queue.needs, queue.plans = {}, {}
    make_groups(queue)
    queue.waiting = 0
    for item in queue.items.values():
        item.plan = make_plan(queue, item.work.skills, item.work.language)
        item.step = min(item.step, len(item.plan.steps) - 1)
        if item.state == "waiting":
            put_item(item)


# --- groups of agents --------------------------------------------------------------------------------------------


def make_groups(queue: Queue) -> None:
    """Group the queue's agents anew; nobody of them may be listed as ready."""
    queue.groups = {}
    for seat in queue.seats.values():
        seat.group = join_group(queue, seat)
    queue.crowds = {} if len(queue.groups) > MANY_GROUPS else None


def join_group(queue: Queue, seat: Seat) -> Group:
    """The group of agents who are like this one, as far as the queue's items can tell."""
    config = seat.agent.config
    levels = {skill: config.skills[skill] for skill in sorted(queue.known_skills) if skill in config.skills}
    languages: frozenset[str] = frozenset()
    if queue.config.match_language:
        languages = frozenset(config.languages) | {language.partition("-")[0] for language in config.languages}
    key = (seat.level, tuple(levels.items()), languages)
    group = queue.groups.get(key)
    if group is None:
        group = queue.groups[key] = Group(seat.level, levels, languages)
    return group


def learn_skills(queue: Queue, skills: Iterable[str]) -> None:
    """Split the queue's groups by skills that an item asks for and no item asked for before."""
    new = [
        skill
        for skill in skills
        if skill not in queue.known_skills and any(skill in seat.agent.config.skills for seat in queue.seats.values())
    ]
    if not new:
        return
    queue.known_skills.update(new)
    open_before = [(seat.agent, tuple(seat.agent.pooled)) for seat in queue.seats.values() if seat.agent.pooled]
    for agent, _ in open_before:
        close_pools(agent)
    for need in queue.needs.values():
        need.forget_groups()
    make_groups(queue)
    for agent, channels in open_before:
        for channel in channels:
            open_pool(agent, channel)


def open_pool(agent: Agent, channel: str) -> None:
    """List the agent as ready in all his queues of the channel."""
    places = []
    for seat in agent.by_channel.get(channel, ()):
        ready = seat.group.ready
        place = (seat.queue.strategy.key(seat), agent.number, agent)
        if not ready or ready[-1] < place:
            ready.append(place)
        else:
            insort(ready, place)
        places.append((ready, place))
        if seat.queue.crowds is not None:
            crowd = seat.queue.crowds.setdefault(seat.level, [])
            insort(crowd, place)
            places.append((crowd, place))
    agent.pooled[channel] = places


def close_pool(agent: Agent, channel: str) -> None:
    for ready, place in agent.pooled.pop(channel):
        index = bisect_left(ready, place)
        assert ready[index] is place, f"{agent!r} is not where he should be"
        del ready[index]


def close_pools(agent: Agent) -> None:
    for channel in tuple(agent.pooled):
        close_pool(agent, channel)


# --- classes of items --------------------------------------------------------------------------------------------


def make_plan(queue: Queue, extra: dict[str, int], language: str) -> Plan:
    """How the needs of such an item widen in this queue; shared by all items that are alike."""
    language = language if queue.config.match_language else ""
    key = (tuple(sorted(extra.items())), language)
    plan = queue.plans.get(key)
    if plan is None:
        if len(queue.plans) >= MAX_PLANS:
            _forget_plans(queue)
        plan = queue.plans[key] = Plan(tuple(_widen(queue, extra, language)))
    return plan


def _widen(queue: Queue, extra: dict[str, int], language: str) -> Iterable[tuple[float, NeedClass, int]]:
    config = queue.config
    times = {0.0}
    times.update(ring.after_s for need in config.skills for ring in need.rings)
    times.update(opening.after_s for opening in config.tiers)
    times.update(helpers.after_s for helpers in config.helpers)
    times.update(boost.after_s for boost in config.boosts)
    if language and config.language_after_s > 0:
        times.add(config.language_after_s)
    previous: tuple[NeedClass, int] | None = None
    for at in sorted(times):
        skills = dict(extra)
        for need in config.skills:
            level = _level_at(need.level, [(ring.after_s, ring.level) for ring in need.rings], at)
            if level > 0:
                skills[need.skill] = max(level, skills.get(need.skill, 0))
        dropped = language and config.language_after_s > 0 and at >= config.language_after_s
        need_class = _intern_need(queue, skills, "" if dropped else language, _max_level_at(config, at))
        step = need_class, sum(boost.priority for boost in config.boosts if boost.after_s <= at)
        if step != previous:
            yield at, *step
        previous = step


def _level_at(level: int, rings: list[tuple[float, int]], at: float) -> int:
    for after_s, lowered in sorted(rings):
        if after_s <= at:
            level = lowered
    return level


def _max_level_at(config: QueueConfig, at: float) -> int | None:
    """The highest level reached at that time: just below the next one that is still closed; None: all."""
    closed = [opening.level for opening in config.tiers if opening.after_s > at]
    closed += [HELPER_LEVEL + n for n, helpers in enumerate(config.helpers) if helpers.after_s > at]
    return min(closed) - 1 if closed else None


def _intern_need(queue: Queue, skills: dict[str, int], language: str, max_level: int | None) -> NeedClass:
    needed = tuple(sorted((skill, level) for skill, level in skills.items() if level > 0))
    key = (needed, language, max_level)
    need = queue.needs.get(key)
    if need is None:
        need = queue.needs[key] = NeedClass(queue, needed, language, max_level)
    return need


def _forget_plans(queue: Queue) -> None:
    used = {id(item.plan) for item in queue.items.values()}
    queue.plans = {key: plan for key, plan in queue.plans.items() if id(plan) in used}
    kept = {id(need) for plan in queue.plans.values() for _, need, _ in plan.steps}
    queue.needs = {key: need for key, need in queue.needs.items() if id(need) in kept}


def put_item(item: Item) -> None:
    """Let the item wait in the class of its present needs; a callback outside its hours waits apart."""
    if item.callback and not item.queue.calling:
        item.state = "deferred"
        return
    item.state = "waiting"
    item.queue.waiting += 1
    put_place(item.plan.steps[item.step][1].waiting, item.place)


def take_item(item: Item) -> None:
    """Take the item out of wherever it waits."""
    if item.state == "waiting":
        item.queue.waiting -= 1
        drop_place(item.plan.steps[item.step][1].waiting, item.place)
    elif item.state == "reserved":
        drop_place(item.queue.reserved, item.place)
        for agent in item.reserved_for:
            drop_place(agent.personal, item.place)
    item.state = "new"


def schedule_item(floor: Floor, item: Item) -> None:
    """Set the item's one timer to the first of its deadlines. A preference ends for who waits: a deferred item has none
    that could end before it waits again."""
    at = item.leave_at
    prefer_until = item.prefer_until if item.state != "deferred" else None
    steps = item.plan.steps
    if item.step + 1 < len(steps):
        widen_at = item.joined_at + steps[item.step + 1][0]
        at = widen_at if at is None else min(at, widen_at)
    for other in (item.announce_at, prefer_until, item.expires_at, item.resume_at):
        if other is not None:
            at = other if at is None else min(at, other)
    if at is None:
        floor.timers.cancel(("item", item.id))
    else:
        floor.timers.set(("item", item.id), at)


def remove_item(floor: Floor, item: Item) -> None:
    """Forget an item that is in no list any more."""
    del floor.items[item.id]
    del item.queue.items[item.id]
    item.state = "new"
    floor.timers.cancel(("item", item.id))
