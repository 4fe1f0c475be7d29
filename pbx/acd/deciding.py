"""Writes down why an agent was chosen, at the moment he is: before the lists change."""

from __future__ import annotations

from itertools import islice

from .explain import Candidate, Decision, Excluded, Rival, Trigger
from .floor import Floor
from .ranking import list_heads, measure_urgency
from .records import Agent, Item, NeedClass

MAX_CANDIDATES = 5
MAX_RIVALS = 5


def explain_offer(floor: Floor, item: Item, agent: Agent, trigger: Trigger, preferred: bool, now: float) -> Decision:
    """The decision to offer the item to the agent, both still as they were when it was taken."""
    queue = item.queue
    need = item.plan.steps[item.step][1]
    limit = floor.config.explain_members
    if not limit:
        return Decision(
            item=item.id,
            queue=queue.name,
            agent=agent.id,
            at=now,
            waited_s=now - item.joined_at,
            strategy=queue.config.strategy,
            trigger=trigger,
            preferred=preferred,
        )
    ready = fitting = 0
    for group in queue.groups.values():
        ready += len(group.ready)
        if need.fit(group) is not None:
            fitting += len(group.ready)
    return Decision(
        item=item.id,
        queue=queue.name,
        agent=agent.id,
        at=now,
        waited_s=now - item.joined_at,
        strategy=queue.config.strategy,
        trigger=trigger,
        needs=need.describe(),
        preferred=preferred,
        ready=ready,
        fitting=fitting,
        candidates=_list_candidates(need),
        excluded=_list_excluded(need, agent, limit),
        rivals=_list_rivals(floor, item, agent, now) if trigger == "agent" else (),
    )


def _list_candidates(need: NeedClass) -> tuple[Candidate, ...]:
    ranks = []
    for group in need.queue.groups.values():
        fit = need.fit(group)
        if fit is not None:
            ranks += [(group.level, -fit, ready) for ready in group.ready[:MAX_CANDIDATES]]
    ranks.sort()
    return tuple(Candidate(ready[2].id, level, -fit, ready[0]) for level, fit, ready in ranks[:MAX_CANDIDATES])


def _list_excluded(need: NeedClass, chosen: Agent, limit: int) -> tuple[Excluded, ...]:
    excluded = []
    for seat in islice(need.queue.seats.values(), limit):
        agent = seat.agent
        if agent is chosen:
            continue
        misfit = need.explain_misfit(seat.group)
        if misfit:
            excluded.append(Excluded(agent.id, misfit))
        elif need.queue.channel not in agent.pooled:
            excluded.append(Excluded(agent.id, f"{agent.state}: {agent.reason}" if agent.reason else agent.state))
    return tuple(excluded)


def _list_rivals(floor: Floor, item: Item, agent: Agent, now: float) -> tuple[Rival, ...]:
    overdue = now - floor.config.fairness_s
    rivals = [
        Rival(rival.id, rival.queue.name, round(measure_urgency(rival, level, now), 3), rival.entered_at <= overdue)
        for (_, _, rival), level in list_heads(agent)
        if rival is not item
    ]
    rivals.sort(key=lambda rival: (not rival.overdue, -rival.urgency))
    return tuple(rivals[:MAX_RIVALS])
