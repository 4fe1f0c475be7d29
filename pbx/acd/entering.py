"""Into a queue and out of it: who is let in, with which rank, and where those go who cannot stay."""

from __future__ import annotations

from .agents import is_staffed, watch_presence
from .estimate import estimate_wait
from .floor import Floor, learn_skills, make_plan, remove_item, schedule_item, take_item
from .matching import find_agent
from .messages import AnnouncePosition, LeaveReason, Overflowed, Queued, QueueLeft, Refused, WorkItem
from .model import MAX_PRIORITY, OverflowReason
from .records import Item, Queue

MAX_KEPT_PLACES = 2000
"""Per queue, for callers who may call again."""


def enter(
    floor: Floor,
    work: WorkItem,
    queue_name: str,
    now: float,
    entered_at: float,
    moves: int = 0,
    previous: Item | None = None,
) -> None:
    """Let the item into the queue and look for an agent, or refuse it and follow the queue's overflow."""
    queue = floor.queues.get(queue_name)
    reason = judge_entry(floor, work, queue, queue_name, now)
    if reason:
        _refuse(floor, work, queue, queue_name, reason, now, entered_at, moves, previous)
        return
    assert queue is not None
    if not work.skills.keys() <= queue.known_skills:
        learn_skills(queue, work.skills)
    floor.seq += 1
    item = Item(work, queue, make_plan(queue, work.skills, work.language), now, floor.seq)
    item.moves = moves
    if previous is not None:
        item.callback, item.attempts, item.expires_at = previous.callback, previous.attempts, previous.expires_at
    if work.callback and previous is None and queue.config.callback is not None:
        item.callback, item.expires_at = work.callback, now + queue.config.callback.expires_s
    kept = None if work.callback else _recall_place(queue, work.caller, now)
    item.entered_at = entered_at if kept is None else min(entered_at, kept)
    rank_place(floor, item)
    _set_deadlines(floor, item, now)
    floor.items[work.id] = queue.items[work.id] = item
    if queue.config.stay_when != "always":
        watch_presence(floor, queue, now)
    floor.out.append(
        Queued(
            item=work.id,
            queue=queue.name,
            entry=item.entry,
            priority=item.priority,
            position=queue.count_ahead(item.place) + 1,
            skills=tuple(work.skills),
            entered_at=item.entered_at,
            place_kept=kept is not None,
        )
    )
    if not find_agent(floor, item, now):
        schedule_item(floor, item)


def judge_entry(floor: Floor, work: WorkItem, queue: Queue | None, name: str, now: float) -> str:
    """Why the item may not enter; empty if it may."""
    if work.id in floor.items or work.id in floor.holders:
        return "duplicate"
    if queue is None or queue.removed:
        return "unknown_queue"
    if work.channel != queue.channel:
        return "wrong_channel"
    rule = floor.callers.get(work.caller) or floor.tiers.get(work.tier)
    if rule is not None and rule.blocked:
        return "blocked"
    if work.callback:
        # Nobody waits on the line: neither hours nor length nor absence matter, only whether there are callbacks.
        return "" if queue.config.callback is not None else "no_callback"
    if not queue.open:
        return queue.closed_for
    if 0 < queue.config.max_length <= len(queue.items):
        return "full"
    if not is_staffed(queue, queue.config.join_when) or is_deserted(queue, now):
        return "no_agents"
    return ""


def is_deserted(queue: Queue, now: float) -> bool:
    """Whether nobody has been there for longer than those waiting are to bear."""
    return queue.empty_since is not None and queue.empty_since + queue.config.stay_grace_s <= now


def rank_place(floor: Floor, item: Item) -> None:
    """Priority and place, from the item, the caller's rule, the queue and its boosts; the item must be in no list."""
    work, config = item.work, item.queue.config
    rule = floor.callers.get(work.caller) or floor.tiers.get(work.tier)
    priority = work.priority + config.priority + item.plan.steps[item.step][2]
    if rule is not None:
        priority += rule.priority
    if work.vip or (rule is not None and rule.vip):
        priority += config.vip_priority
    item.priority = min(max(priority, -MAX_PRIORITY), MAX_PRIORITY)
    worth = item.priority * config.priority_step_s
    fairness_s = floor.config.fairness_s
    item.place = (item.entered_at - min(max(worth, -fairness_s), fairness_s), item.seq, item)


def _set_deadlines(floor: Floor, item: Item, now: float) -> None:
    config, work = item.queue.config, item.work
    if config.max_wait_s > 0 and not item.callback:
        item.leave_at = now + config.max_wait_s
    if not item.callback and (config.announce_first_s > 0 or config.announce_interval_s > 0):
        item.announce_at = now + (config.announce_first_s or config.announce_interval_s)
    if work.preferred_agents:
        item.prefer_until = now + work.preferred_s
        known = (floor.agents.get(agent) for agent in dict.fromkeys(work.preferred_agents))
        item.reserved_for = tuple(agent for agent in known if agent is not None)


def _refuse(
    floor: Floor,
    work: WorkItem,
    queue: Queue | None,
    name: str,
    reason: str,
    now: float,
    entered_at: float,
    moves: int,
    previous: Item | None,
) -> None:
    destination = "" if reason == "duplicate" or work.callback else find_destination(queue, reason)
    if destination.startswith("queue:") and moves >= floor.config.max_moves:
        reason, destination = "too_many_moves", ""
    floor.out.append(Refused(item=work.id, queue=name, reason=reason, destination=destination))
    if destination.startswith("queue:"):
        enter(floor, work, destination.removeprefix("queue:"), now, entered_at, moves + 1, previous)


def find_destination(queue: Queue | None, reason: str) -> str:
    """Where the queue sends those it cannot keep; empty if nothing is configured."""
    if queue is None:
        return ""
    overflow = queue.config.overflow
    if reason == "holiday" and reason not in overflow:
        reason = "closed"
    return overflow.get(reason) or overflow.get("*", "")


def _recall_place(queue: Queue, caller: str, now: float) -> float | None:
    """Since when a caller waited who left less than ``keep_place_s`` ago."""
    if not caller or not queue.left_places:
        return None
    left = queue.left_places.pop(caller, None)
    if left is None or now - left[0] > queue.config.keep_place_s:
        return None
    return left[1]


def _keep_place(queue: Queue, item: Item, now: float) -> None:
    places, caller = queue.left_places, item.work.caller
    places.pop(caller, None)
    places[caller] = (now, item.entered_at)
    while places:
        oldest = next(iter(places))
        if len(places) <= MAX_KEPT_PLACES and now - places[oldest][0] <= queue.config.keep_place_s:
            break
        del places[oldest]


# --- out -----------------------------------------------------------------------------------------------------


def leave(floor: Floor, item: Item, reason: LeaveReason, now: float) -> None:
    """Take the item out and say so; its offers must be gone."""
    take_item(item)
    remove_item(floor, item)
    if reason in ("abandoned", "lost") and item.work.caller and item.queue.config.keep_place_s > 0:
        _keep_place(item.queue, item, now)
    floor.out.append(
        QueueLeft(item=item.id, queue=item.queue.name, entry=item.entry, reason=reason, waited_s=now - item.joined_at)
    )


def overflow_item(floor: Floor, item: Item, reason: OverflowReason, now: float) -> None:
    """Put the item out; into the next queue at once, with the waited time kept, if that is the destination."""
    destination = find_destination(item.queue, reason)
    if destination.startswith("queue:") and item.moves >= floor.config.max_moves:
        destination = ""
    floor.out.append(Overflowed(item=item.id, queue=item.queue.name, reason=reason, destination=destination))
    leave(floor, item, "overflow", now)
    if destination.startswith("queue:"):
        next_queue = destination.removeprefix("queue:")
        enter(floor, item.work, next_queue, now, item.entered_at, item.moves + 1, item)


def find_due_overflow(item: Item, now: float) -> OverflowReason | None:
    """Why the item has to leave its queue by now; None if it may stay."""
    queue = item.queue
    if item.leave_at is not None and item.leave_at <= now:
        return "max_wait"
    if queue.removed:
        return "closed"
    if not queue.open and queue.config.on_close == "overflow" and not item.callback:
        return queue.closed_for
    if is_deserted(queue, now) and not item.callback:
        return "no_agents"
    return None


def announce(floor: Floor, item: Item, now: float) -> None:
    """Say the position, and when to say it again."""
    queue = item.queue
    interval = queue.config.announce_interval_s
    item.announce_at = now + interval if interval > 0 else None
    if item.state in ("waiting", "reserved"):
        position = queue.count_ahead(item.place) + 1
        floor.out.append(
            AnnouncePosition(
                item=item.id, queue=queue.name, position=position, estimated_wait_s=estimate_wait(queue, position)
            )
        )
