"""Writes down why an agent was chosen, at the moment he is: before the lists change."""

from __future__ import annotations

from itertools import islice

from .explain import Candidate, Decision, Excluded, Rival, Trigger
from .floor import Floor
from .ranking import list_first, list_heads, measure_urgency
from .records import Agent, Item, NeedClass

MAX_CANDIDATES = 5
MAX_RIVALS = 5
MAX_COUNTED = 200
"""Kinds of fitting agents up to which the fitting agents are counted."""


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
    lists = [group.ready for group in queue.groups.values()] if queue.crowds is None else queue.crowds.values()
    ready = sum(map(len, lists))
    fitting = sum(len(group.ready) for _, _, group in need.ranked) if len(need.ranked) <= MAX_COUNTED else -1
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
    return tuple(
        Candidate(ready[2].id, level, -loss, ready[0]) for level, loss, ready in list_first(need, MAX_CANDIDATES)
    )


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
