"""Who gets what: items look for agents, free agents look for items, and what comes of it is an offer."""

from __future__ import annotations

from collections.abc import Sequence

from .agents import OFF_DUTY, settle
from .deciding import explain_offer
from .explain import Trigger
from .floor import Floor, put_item, schedule_item, take_item
from .messages import Offer
from .ranking import best_agent, best_item, rank_agents
from .records import Agent, Item, OfferRecord, Round, put_place


def run(floor: Floor, now: float) -> None:
    """Pair whoever was freed and whatever lost or found its place, until nothing is left to pair."""
    while floor.freed or floor.unmatched:
        freed, floor.freed = floor.freed, []
        for agent in freed:
            find_item(floor, agent, now)
        if not floor.freed:
            unmatched, floor.unmatched = floor.unmatched, []
            for item in unmatched:
                if item.state in ("waiting", "reserved") and item.id in floor.items:
                    find_agent(floor, item, now)


# --- an item looks for an agent ------------------------------------------------------------------------------


def find_agent(floor: Floor, item: Item, now: float) -> bool:
    """Offer the item to whoever is best; if nobody fits, it waits. True if it was offered."""
    if item.callback and not item.queue.calling:
        put_item(item)
        return False
    if item.prefer_until is not None:
        named = next((agent for agent in item.reserved_for if item.queue.channel in agent.pooled), None)
        if named is not None:
            start_round(floor, item, (named,), "item", now, preferred=True)
            return True
        if _is_expected(item, now):
            _reserve(item)
            return False
        item.prefer_until = None
        if item.state == "reserved":
            take_item(item)
        schedule_item(floor, item)
    need = item.plan.steps[item.step][1]
    strategy = item.queue.strategy
    agents: Sequence[Agent]
    if strategy.everyone:
        agents = rank_agents(need, item.queue.config.ring_all_limit)
    else:
        best = best_agent(floor, need)
        agents = () if best is None else (best,)
    if agents:
        start_round(floor, item, agents, "item", now)
        return True
    if item.state != "waiting":
        put_item(item)
    return False


def _is_expected(item: Item, now: float) -> bool:
    assert item.prefer_until is not None
    return now < item.prefer_until and any(agent.state not in OFF_DUTY for agent in item.reserved_for)


def _reserve(item: Item) -> None:
    if item.state == "reserved":
        return
    take_item(item)
    item.state = "reserved"
    put_place(item.queue.reserved, item.place)
    for agent in item.reserved_for:
        put_place(agent.personal, item.place)


# --- an agent looks for an item ------------------------------------------------------------------------------


def find_item(floor: Floor, agent: Agent, now: float) -> None:
    """Offer the free agent the item that needs him most, if there is one."""
    if not agent.pooled:
        return
    place = best_item(floor, agent, now)
    if place is None:
        _join_ringing(floor, agent, now)
        return
    item = place[2]
    agents: Sequence[Agent] = (agent,)
    if item.queue.strategy.everyone and item.state == "waiting":
        agents = rank_agents(item.plan.steps[item.step][1], item.queue.config.ring_all_limit)
    start_round(floor, item, agents, "agent", now, preferred=item.state == "reserved")


# --- offers --------------------------------------------------------------------------------------------------


def start_round(
    floor: Floor, item: Item, agents: Sequence[Agent], trigger: Trigger, now: float, preferred: bool = False
) -> None:
    """Ring these agents for the item."""
    queue = item.queue
    take_item(item)
    item.state = "offered"
    floor.timers.cancel(("item", item.id))
    ring_until = now + queue.config.ring_timeout_s
    if item.callback and queue.config.callback is not None:
        ring_until += queue.config.callback.reach_s
    round_ = Round(floor.ids.token("r"), item, now, ring_until)
    item.round = round_
    floor.rounds[round_.id] = round_
    floor.timers.set(("round", round_.id), round_.ring_until)
    if queue.strategy.everyone:
        queue.ringing[item.id] = round_
    for agent in agents:
        _ring(floor, round_, agent, trigger, preferred, now)


def _ring(floor: Floor, round_: Round, agent: Agent, trigger: Trigger, preferred: bool, now: float) -> None:
    item, queue = round_.item, round_.item.queue
    why = explain_offer(floor, item, agent, trigger, preferred, now)
    offer = OfferRecord(floor.ids.token("o"), agent, round_)
    floor.offers[offer.id] = round_.offers[offer.id] = agent.offers[offer.id] = offer
    seat = agent.seats.get(queue.name)
    if seat is not None:
        queue.turns += 1
        seat.turn = queue.turns
    settle(floor, agent, now)
    floor.out.append(
        Offer(
            offer=offer.id,
            item=item.id,
            queue=queue.name,
            agent=agent.id,
            device=agent.device,
            ring_until=round_.ring_until,
            why=why,
            callback=item.callback,
        )
    )


def _join_ringing(floor: Floor, agent: Agent, now: float) -> None:
    """A free agent joins those already ringing in a queue that rings all, if there is time left to answer."""
    for channel in tuple(agent.pooled):
        for seat in agent.by_channel[channel]:
            for round_ in seat.queue.ringing.values():
                need = round_.item.plan.steps[round_.item.step][1]
                room = len(round_.offers) < seat.queue.config.ring_all_limit and round_.ring_until - now > 2.0
                if room and agent not in round_.declined and need.fit(seat.group) is not None:
                    _ring(floor, round_, agent, "agent", False, now)
                    return
