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


def best_agent(floor: Floor, need: NeedClass) -> Agent | None:
    """The first in order among the ready agents who meet the needs."""
    if need.queue.strategy.by_lot:
        return _draw_agent(floor, need)
    best: tuple[int, float, Ready] | None = None
    for group in need.queue.groups.values():
        ready = group.ready
        if not ready:
            continue
        fit = need.fit(group)
        if fit is None:
            continue
        rank = (group.level, -fit, ready[0])
        if best is None or rank < best:
            best = rank
    return None if best is None else best[2][2]


def _draw_agent(floor: Floor, need: NeedClass) -> Agent | None:
    """Any of those who are first by level and fit, each with the same chance."""
    best: tuple[int, float] | None = None
    agents: list[Ready] = []
    for group in need.queue.groups.values():
        fit = need.fit(group)
        if not group.ready or fit is None:
            continue
        rank = (group.level, -fit)
        if best is None or rank < best:
            best, agents = rank, []
        if rank == best:
            agents = agents + group.ready
    return agents[min(int(floor.ids.uniform(0, len(agents))), len(agents) - 1)][2] if agents else None


def rank_agents(need: NeedClass, limit: int) -> list[Agent]:
    """The first ``limit`` ready agents who meet the needs, in order."""
    ranks: list[tuple[int, float, Ready]] = []
    for group in need.queue.groups.values():
        if group.ready:
            fit = need.fit(group)
            if fit is not None:
                ranks += [(group.level, -fit, ready) for ready in group.ready[:limit]]
    ranks.sort()
    return [rank[2][2] for rank in ranks[:limit]]


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
