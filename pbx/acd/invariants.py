"""What is true of the ACD after every input. Tests and debug runs check it; a breach is a bug."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .agents import OFF_DUTY, derive, has_room, is_staffed
from .floor import Floor
from .ranking import best_item
from .records import Agent, Item, Queue

if TYPE_CHECKING:
    from .acd import Acd


def check_invariants(acd: Acd, now: float, *, matched: bool = True) -> None:
    """Raise AssertionError naming every breach. ``matched=False`` right after a restore, before the first input."""
    floor = acd.floor
    breaches = [
        *_check_items(floor),
        *_check_offers(floor),
        *_check_agents(floor),
        *_check_queues(floor),
        *_check_timers(floor),
    ]
    if matched:
        breaches += _check_idle(floor, now)
    if breaches:
        raise AssertionError("; ".join(breaches))


def _check_items(floor: Floor) -> Iterator[str]:
    """An item is in exactly one place."""
    places: dict[str, list[str]] = {}
    for queue in floor.queues.values():
        for need in queue.needs.values():
            for place in need.waiting:
                places.setdefault(place[2].id, []).append("waiting")
                if place[2].plan.steps[place[2].step][1] is not need:
                    yield f"{place[2]!r} waits in the wrong class"
        for place in queue.reserved:
            places.setdefault(place[2].id, []).append("reserved")
    for round_ in floor.rounds.values():
        places.setdefault(round_.item.id, []).append("offered")
    for item in floor.items.values():
        found = places.pop(item.id, [])
        if found != ([] if item.state == "deferred" else [item.state]):
            yield f"{item!r} is in {found}"
        yield from _check_item(floor, item)
    for stray in places:
        yield f"item {stray} is in {places[stray]} but gone"
    if sum(len(queue.items) for queue in floor.queues.values()) != len(floor.items):
        yield "queues hold items that are gone"


def _check_item(floor: Floor, item: Item) -> Iterator[str]:
    if item.id in floor.holders:
        yield f"{item!r} waits and is served"
    if item.queue.items.get(item.id) is not item or floor.queues.get(item.queue.name) is not item.queue:
        yield f"{item!r} is not known to its queue"
    if item.state == "reserved" and any(item.place not in agent.personal for agent in item.reserved_for):
        yield f"{item!r} is not with its preferred agents"


def _check_offers(floor: Floor) -> Iterator[str]:
    seen = set()
    for round_ in floor.rounds.values():
        if round_.item.round is not round_:
            yield f"round {round_.id} rings for {round_.item!r}, which does not know it"
        if not round_.offers:
            yield f"round {round_.id} rings nobody"
        for offer in round_.offers.values():
            seen.add(offer.id)
            if floor.offers.get(offer.id) is not offer or offer.agent.offers.get(offer.id) is not offer:
                yield f"offer {offer.id} is not known to its agent"
    if seen != floor.offers.keys():
        yield f"offers without a round: {sorted(floor.offers.keys() - seen)}"


def _check_agents(floor: Floor) -> Iterator[str]:
    for agent in floor.agents.values():
        state = derive(floor, agent)
        reported = (agent.state, agent.reason, agent.state_item, agent.state_queue, agent.state_until)
        if state != reported:
            yield f"{agent!r} is {state} but was reported as {reported}"
        if sum(offer.round.item.queue.channel == "voice" for offer in agent.offers.values()) > 1:
            yield f"{agent!r} has more than one voice offer"
        if sum(work.channel == "voice" and work.queue is not None for work in agent.work.values()) > 1:
            yield f"{agent!r} talks to more than one caller"
        if any(offer not in floor.offers for offer in agent.offers):
            yield f"{agent!r} holds an offer that is gone"
        yield from _check_holding(floor, agent)
        for channel in agent.capacity:
            if (channel in agent.pooled) != has_room(agent, channel):
                yield f"{agent!r} is {'' if channel in agent.pooled else 'not '}listed for {channel}"
        for place in agent.personal:
            if place[2].state != "reserved":
                yield f"{agent!r} is waited for by {place[2]!r}"


def _check_holding(floor: Floor, agent: Agent) -> Iterator[str]:
    for item_id, work in agent.work.items():
        holder = floor.holders.get(item_id)
        if holder is None or holder[0] is not agent or holder[1] is not work:
            yield f"{agent!r} serves {item_id}, held by {holder}"
    if agent.device:
        if floor.devices.get(agent.device) is not agent:
            yield f"{agent!r} is not at {agent.device}"
    elif agent.offers or agent.work or agent.after_call:
        yield f"{agent!r} is logged off and holds something"


def _check_queues(floor: Floor) -> Iterator[str]:
    for queue in floor.queues.values():
        if queue.waiting != sum(len(need.waiting) for need in queue.needs.values()):
            yield f"{queue!r} counts {queue.waiting} waiting"
        for need in queue.needs.values():
            if need.waiting != sorted(need.waiting):
                yield f"{queue!r} is out of order"
        agents = [seat.agent for seat in queue.seats.values() if not seat.helper]
        if queue.logged_on != sum(agent.state != "logged_off" for agent in agents):
            yield f"{queue!r} counts {queue.logged_on} agents logged on"
        if queue.active != sum(agent.state not in OFF_DUTY for agent in agents):
            yield f"{queue!r} counts {queue.active} agents active"
        yield from _check_ready(queue)
    if any(agent.device != device for device, agent in floor.devices.items()):
        yield "a device has another agent"
    served = sum(len(agent.work) for agent in floor.agents.values())
    if served != len(floor.holders):
        yield f"{len(floor.holders)} items are held, agents hold {served}"


def _check_ready(queue: Queue) -> Iterator[str]:
    """The ready lists have exactly those who say so, in order."""
    listed = 0
    for group in queue.groups.values():
        listed += len(group.ready)
        if group.ready != sorted(group.ready):
            yield f"ready agents of {queue!r} are out of order"
    expected = 0
    for seat in queue.seats.values():
        if queue.channel in seat.agent.pooled:
            expected += 1
            if sum(place[2] is seat.agent for place in seat.group.ready) != 1:
                yield f"{seat.agent!r} is not listed once in {queue!r}"
    if listed != expected:
        yield f"{queue!r} lists {listed} ready agents, {expected} are"
    if queue.crowds is not None:
        crowd = sorted(ready for level in queue.crowds.values() for ready in level)
        if crowd != sorted(ready for group in queue.groups.values() for ready in group.ready):
            yield f"the crowds of {queue!r} are not its ready agents"


def _check_timers(floor: Floor) -> Iterator[str]:
    """No state without a way out: whatever ends by itself has a timer."""
    timers = floor.timers
    for round_ in floor.rounds.values():
        if timers.at(("round", round_.id)) != round_.ring_until:
            yield f"round {round_.id} never ends"
    for item in floor.items.values():
        if item.state == "offered":
            continue
        prefer_until = None if item.state == "deferred" else item.prefer_until
        deadlines = [
            at
            for at in (item.announce_at, prefer_until, item.leave_at, item.expires_at, item.resume_at)
            if at is not None
        ]
        if item.step + 1 < len(item.plan.steps):
            deadlines.append(item.joined_at + item.plan.steps[item.step + 1][0])
        if timers.at(("item", item.id)) != min(deadlines, default=None):
            yield f"{item!r} is due at {min(deadlines, default=None)}, its timer at {timers.at(('item', item.id))}"
        if item.state == "reserved" and item.prefer_until is None:
            yield f"{item!r} is reserved for ever"
        if item.state == "deferred" and item.resume_at is None and item.queue.calling:
            yield f"{item!r} is deferred for ever"
    for agent in floor.agents.values():
        ends = agent.state in ("talking", "after_call_work") or agent.pause_until is not None
        if ends and agent.state != "ringing" and ("agent", agent.id) not in timers and agent.device:
            yield f"{agent!r} has no deadline"
    yield from _check_deserted(floor)


def _check_deserted(floor: Floor) -> Iterator[str]:
    """Who waits where nobody comes is sent away in the end."""
    for queue in floor.queues.values():
        callers = any(item.state in ("waiting", "reserved") and not item.callback for item in queue.items.values())
        presence = "active" if queue.config.stay_when == "ready" else queue.config.stay_when
        if callers and not is_staffed(queue, presence) and ("queue", queue.name) not in floor.timers:
            yield f"nobody comes to {queue!r}, and nobody is sent away"


def _check_idle(floor: Floor, now: float) -> Iterator[str]:
    """No ready agent idles while an item waits that he may serve."""
    for agent in floor.agents.values():
        if agent.pooled:
            place = best_item(floor, agent, now)
            if place is not None:
                yield f"{agent!r} idles while {place[2]!r} waits"
