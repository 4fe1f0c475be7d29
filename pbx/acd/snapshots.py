"""Everything live as plain data, and back: what survives a restart of call control.

Times are written relative to the moment of the snapshot, because monotonic clocks of two processes have nothing in
common. Of the configuration nothing is kept: it is read anew, and what it no longer names is reported.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .agents import derive, restore_presence, settle, watch_presence
from .entering import rank_place
from .floor import Floor, learn_skills, make_plan, put_item, schedule_item, take_item
from .messages import Refused, WorkItem
from .offers import widen_item
from .records import AfterCall, Agent, Item, OfferRecord, Queue, Round, Work

VERSION = 1

ITEM_TIMES = ("announce_at", "prefer_until", "leave_at", "expires_at", "resume_at")


def take(floor: Floor, now: float) -> dict[str, Any]:
    """The floor as plain data."""
    records = [*floor.items.values()]
    records += [work.record for _, work in floor.holders.values() if work.record is not None]
    return {
        "version": VERSION,
        "seq": floor.seq,
        "queues": {queue.name: _save_queue(queue, now) for queue in floor.queues.values() if not queue.removed},
        "agents": {agent.id: _save_agent(agent, now) for agent in floor.agents.values() if not agent.removed},
        "items": [_save_item(item, now) for item in records],
        "rounds": [
            {
                "id": round_.id,
                "item": round_.item.id,
                "started": round_.started - now,
                "ring_until": round_.ring_until - now,
                "offers": {offer.id: offer.agent.id for offer in round_.offers.values()},
                "declined": sorted(agent.id for agent in round_.declined),
            }
            for round_ in floor.rounds.values()
        ],
    }


def _ago(at: float | None, now: float) -> float | None:
    return None if at is None else at - now


def _save_queue(queue: Queue, now: float) -> dict[str, Any]:
    return {
        "open": queue.open,
        "closed_for": queue.closed_for,
        "hours": queue.hours,
        "calling": queue.calling,
        "turns": queue.turns,
        "gaps": queue.gaps,
        "gap_mean": queue.gap_mean,
        "handled": queue.handled,
        "handling_mean": queue.handling_mean,
        "last_taken": _ago(queue.last_taken, now),
        "left_places": {caller: [left - now, since - now] for caller, (left, since) in queue.left_places.items()},
        "skills": sorted(queue.known_skills),
    }


def _save_item(item: Item, now: float) -> dict[str, Any]:
    return {
        "work": msgspec.to_builtins(item.work),
        "queue": item.queue.name,
        "entry": item.entry,
        "seq": item.seq,
        "state": item.state,
        "entered_at": item.entered_at - now,
        "joined_at": item.joined_at - now,
        "moves": item.moves,
        "callback": item.callback,
        "attempts": item.attempts,
    } | {name: _ago(getattr(item, name), now) for name in ITEM_TIMES}


def _save_agent(agent: Agent, now: float) -> dict[str, Any]:
    after = agent.after_call
    return {
        "device": agent.device,
        "device_ok": agent.device_ok,
        "ready_wanted": agent.ready_wanted,
        "wanted_reason": agent.wanted_reason,
        "log_off_pending": agent.log_off_pending,
        "pause_until": _ago(agent.pause_until, now),
        "pause_reason": agent.pause_reason,
        "misses": agent.misses,
        "calls": agent.calls,
        "since": agent.since - now,
        "idle_since": agent.idle_since - now,
        "seats": {name: [seat.turn, seat.queue_calls] for name, seat in agent.seats.items()},
        "work": [
            {
                "item": work.item,
                "channel": work.channel,
                "queue": None if work.queue is None else work.queue.name,
                "moment": work.moment - now,
                "disposition": work.disposition,
                "note": work.note,
            }
            for work in agent.work.values()
        ],
        "after_call": None
        if after is None
        else {
            "item": after.item,
            "queue": after.queue.name,
            "started": after.started - now,
            "until": after.until - now,
            "limit_at": after.limit_at - now,
            "disposition": after.disposition,
            "note": after.note,
        },
    }


def refuse_used(floor: Floor) -> None:
    """Raise ValueError if the floor is in use."""
    if floor.items or floor.holders or any(agent.device for agent in floor.agents.values()):
        raise ValueError("a snapshot is restored into a fresh ACD only")


def restore(floor: Floor, data: dict[str, Any], now: float, downtime_s: float) -> None:
    """Put the data on a fresh floor. Raises ValueError if it is of another version, KeyError where something lacks."""
    if data.get("version") != VERSION:
        raise ValueError(f"snapshot of version {data.get('version')!r}, expected {VERSION}")
    base = now - downtime_s
    floor.seq = data["seq"]
    for name, saved in data["queues"].items():
        if name in floor.queues:
            _restore_queue(floor.queues[name], saved, base)
    records = {saved["work"]["id"]: _restore_item(floor, saved, base, now) for saved in data["items"]}
    for name, saved in data["agents"].items():
        if name in floor.agents:
            _restore_agent(floor, floor.agents[name], saved, records, base)
    for saved in data["items"]:
        item = records[saved["work"]["id"]]
        if item is None:
            floor.out.append(Refused(item=saved["work"]["id"], queue=saved["queue"], reason="unknown_queue"))
        elif item.id not in floor.holders:
            _place_item(floor, item, saved["state"], now)
    for saved in data["rounds"]:
        _restore_round(floor, saved, base)
    _settle_all(floor, now)


def _settle_all(floor: Floor, now: float) -> None:
    for agent in floor.agents.values():
        agent.state, agent.reason, agent.state_item, agent.state_queue, agent.state_until = derive(floor, agent)
        restore_presence(floor, agent)
        settle(floor, agent, now)
    for queue in floor.queues.values():
        watch_presence(floor, queue, now)
    floor.unmatched.extend(sorted(floor.items.values(), key=lambda item: item.place[:2]))


def _at(ago: float | None, base: float) -> float | None:
    return None if ago is None else base + ago


def _restore_queue(queue: Queue, saved: dict[str, Any], base: float) -> None:
    queue.open, queue.closed_for = saved["open"], saved["closed_for"]
    hours = saved.get("hours")
    queue.hours = None if hours is None else (hours[0], hours[1])
    queue.calling = saved.get("calling", True)
    queue.turns = saved["turns"]
    queue.gaps, queue.gap_mean = saved["gaps"], saved["gap_mean"]
    queue.handled, queue.handling_mean = saved["handled"], saved["handling_mean"]
    queue.last_taken = _at(saved["last_taken"], base)
    queue.left_places = {caller: (base + left, base + since) for caller, (left, since) in saved["left_places"].items()}
    learn_skills(queue, saved["skills"])


def _restore_item(floor: Floor, saved: dict[str, Any], base: float, now: float) -> Item | None:
    queue = floor.queues.get(saved["queue"])
    if queue is None:
        return None
    work = msgspec.convert(saved["work"], WorkItem)
    item = Item(work, queue, make_plan(queue, work.skills, work.language), base + saved["joined_at"], saved["seq"])
    item.entry = saved["entry"]
    item.entered_at = base + saved["entered_at"]
    item.moves, item.callback, item.attempts = saved["moves"], saved["callback"], saved["attempts"]
    for name in ITEM_TIMES:
        setattr(item, name, _at(saved[name], base))
    known = (floor.agents.get(agent) for agent in dict.fromkeys(work.preferred_agents))
    item.reserved_for = tuple(agent for agent in known if agent is not None)
    rank_place(floor, item)
    widen_item(floor, item, now)
    return item


def _place_item(floor: Floor, item: Item, state: str, now: float) -> None:
    floor.items[item.id] = item.queue.items[item.id] = item
    if state == "deferred":
        item.state = "deferred"
    else:
        put_item(item)
    schedule_item(floor, item)


def _restore_agent(
    floor: Floor, agent: Agent, saved: dict[str, Any], records: dict[str, Item | None], base: float
) -> None:
    agent.device = saved["device"]
    if agent.device:
        floor.devices[agent.device] = agent
    agent.device_ok = saved["device_ok"]
    agent.ready_wanted, agent.wanted_reason = saved["ready_wanted"], saved["wanted_reason"]
    agent.log_off_pending = saved["log_off_pending"]
    agent.pause_until, agent.pause_reason = _at(saved["pause_until"], base), saved["pause_reason"]
    agent.misses, agent.calls = saved["misses"], saved["calls"]
    agent.since, agent.idle_since = base + saved["since"], base + saved["idle_since"]
    for name, (turn, queue_calls) in saved["seats"].items():
        if name in agent.seats:
            agent.seats[name].turn, agent.seats[name].queue_calls = turn, queue_calls
    for held in saved["work"]:
        queue = None if held["queue"] is None else floor.queues.get(held["queue"])
        work = Work(held["item"], held["channel"], queue, base + held["moment"], records.get(held["item"]))
        work.disposition, work.note = held["disposition"], held["note"]
        agent.work[work.item] = work
        floor.holders[work.item] = (agent, work)
    after = saved["after_call"]
    if after is not None and after["queue"] in floor.queues:
        agent.after_call = AfterCall(
            after["item"],
            floor.queues[after["queue"]],
            base + after["started"],
            base + after["until"],
            base + after["limit_at"],
        )
        agent.after_call.disposition, agent.after_call.note = after["disposition"], after["note"]


def _restore_round(floor: Floor, saved: dict[str, Any], base: float) -> None:
    item = floor.items.get(saved["item"])
    ringing = {
        offer: floor.agents[agent]
        for offer, agent in saved["offers"].items()
        if agent in floor.agents and floor.agents[agent].device
    }
    if item is None or not ringing:
        return
    take_item(item)
    item.state = "offered"
    floor.timers.cancel(("item", item.id))
    round_ = Round(saved["id"], item, base + saved["started"], base + saved["ring_until"])
    round_.declined = {floor.agents[agent] for agent in saved["declined"] if agent in floor.agents}
    item.round = floor.rounds[round_.id] = round_
    floor.timers.set(("round", round_.id), round_.ring_until)
    if item.queue.strategy.everyone:
        item.queue.ringing[item.id] = round_
    for offer_id, agent in ringing.items():
        offer = OfferRecord(offer_id, agent, round_)
        floor.offers[offer_id] = round_.offers[offer_id] = agent.offers[offer_id] = offer
