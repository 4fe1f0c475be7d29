"""Order: the best agent for an item, the best item for an agent.

Within a queue items go by rank: entry time minus what their priority is worth in seconds. Both are fixed at entry,
so the order never has to be sorted again, and an item is only ever overtaken by those who come within
``MAX_PRIORITY * priority_step_s`` seconds after it.

A free agent takes, among the heads of all classes he fits in all his queues: first whoever has waited longer than
``fairness_s``, by rank; then who asked for him by name; then the most urgent: aged wait / service level threshold *
weight / his level in the queue. The first rule ends every contest between queues after finitely many others.
"""

from __future__ import annotations

from .floor import Floor
from .records import Agent, Item, NeedClass, Ready, Waiting
from .strategies.base import count_no_fit

FEW_GROUPS = 16
"""Up to so many fitting groups it is quicker to compare their heads."""


def best_agent(floor: Floor, need: NeedClass) -> Agent | None:
    """The first in order among the ready agents who meet the needs.

    The groups that fit are ranked once, so the search ends with the first rank that has somebody. Where agents are of
    very many kinds and the strategy ranks them all equal, it walks along all ready agents instead, until one fits: the
    more groups fit, the sooner.
    """
    strategy = need.queue.strategy
    if strategy.by_lot:
        return _draw_agent(floor, need)
    if _is_crowded(need):
        found = _walk_crowds(need, 1)
        return found[0][2][2] if found else None
    best: Ready | None = None
    best_level, best_loss = 0, 0.0
    for level, loss, group in need.ranked:
        ready = group.ready
        if not ready:
            continue
        if best is None:
            best, best_level, best_loss = ready[0], level, loss
        elif level != best_level or loss != best_loss:
            break
        elif ready[0] < best:
            best = ready[0]
    return None if best is None else best[2]


def list_first(need: NeedClass, limit: int) -> list[tuple[int, float, Ready]]:
    """The first ``limit`` ready agents who meet the needs, in order, with level and minus fit."""
    if _is_crowded(need):
        return _walk_crowds(need, limit)
    found: list[tuple[int, float, Ready]] = []
    last: tuple[int, float] | None = None
    for level, loss, group in need.ranked:
        if group.ready:
            if len(found) >= limit and last != (level, loss):
                break
            last = level, loss
            found += [(level, loss, ready) for ready in group.ready[:limit]]
    found.sort()
    return found[:limit]


def rank_agents(need: NeedClass, limit: int) -> list[Agent]:
    """The first ``limit`` ready agents who meet the needs, in order."""
    return [ready[2] for _, _, ready in list_first(need, limit)]


def _is_crowded(need: NeedClass) -> bool:
    queue = need.queue
    return queue.crowds is not None and queue.strategy.fit is count_no_fit and len(need.ranked) > FEW_GROUPS


def _walk_crowds(need: NeedClass, limit: int) -> list[tuple[int, float, Ready]]:
    queue = need.queue
    assert queue.crowds is not None
    found: list[tuple[int, float, Ready]] = []
    for level in sorted(queue.crowds):
        for ready in queue.crowds[level]:
            if need.fit(ready[2].seats[queue.name].group) is not None:
                found.append((level, 0.0, ready))
                if len(found) == limit:
                    return found
    return found


def _draw_agent(floor: Floor, need: NeedClass) -> Agent | None:
    """Any of those who are first by level and fit, each with the same chance."""
    agents: list[Ready] = []
    first: tuple[int, float] | None = None
    for level, loss, group in need.ranked:
        if group.ready:
            if first is None:
                first = level, loss
            elif first != (level, loss):
                break
            agents += group.ready
    return agents[min(int(floor.ids.uniform(0, len(agents))), len(agents) - 1)][2] if agents else None


def best_item(floor: Floor, agent: Agent, now: float) -> Waiting | None:
    """The item for a free agent."""
    best: Waiting | None = None
    best_rank: tuple[int, float, float] | None = None
    overdue = now - floor.config.fairness_s
    for place, level in list_heads(agent):
        item = place[2]
        if best is None:
            best, best_level = place, level
            continue
        if best_rank is None:
            best_rank = rank_item(best[2], best_level, overdue, now)
        rank = rank_item(item, level, overdue, now)
        if rank < best_rank:
            best, best_rank = place, rank
    return best


def list_heads(agent: Agent) -> list[tuple[Waiting, int]]:
    """The first item of every class the agent fits, with his level in its queue; then the first that named him."""
    heads: list[tuple[Waiting, int]] = []
    for channel in agent.pooled:
        for seat in agent.by_channel[channel]:
            queue = seat.queue
            if not queue.waiting:
                continue
            for need in queue.needs.values():
                if need.waiting and need.fit(seat.group) is not None:
                    heads.append((need.waiting[0], seat.level))
    for place in agent.personal:
        if place[2].queue.channel in agent.pooled:
            heads.append((place, 1))
            break
    return heads


def rank_item(item: Item, level: int, overdue: float, now: float) -> tuple[int, float, float]:
    """Less is served first: overdue by rank, then named, then by urgency."""
    rank, seq, _ = item.place
    if item.entered_at <= overdue:
        return 0, rank, seq
    if item.state == "reserved":
        return 1, rank, seq
    return 2, -measure_urgency(item, level, now), seq


def measure_urgency(item: Item, level: int, now: float) -> float:
    """Aged wait in units of the queue's service level threshold, by the queue's weight and the agent's level in it."""
    return (now - item.place[0]) * item.queue.rate / level
