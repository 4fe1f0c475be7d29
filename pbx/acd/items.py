"""What can happen to a waiting item: it leaves, moves, is pulled, or one of its deadlines comes."""

from __future__ import annotations

from typing import Literal

from .agents import end_after_call, settle
from .entering import announce, enter, find_due_overflow, judge_entry, leave, overflow_item, rank_place
from .estimate import note_handled
from .floor import Floor, put_item, schedule_item, take_item
from .matching import start_round
from .messages import LeaveReason, QueueStateChanged, Rejected
from .offers import widen_item, withdraw_round
from .records import AfterCall, Agent, Item, Queue


def reject(floor: Floor, command: str, subject: str, reason: str) -> None:
    floor.out.append(Rejected(command=command, subject=subject, reason=reason))


def withdraw(floor: Floor, item: Item, reason: LeaveReason, now: float) -> None:
    """The item leaves; whoever is rung for it is released."""
    if item.round is not None:
        withdraw_round(floor, item.round, "item_left", now)
    leave(floor, item, reason, now)


def move(floor: Floor, item: Item, queue_name: str, now: float) -> None:
    """To another queue with the waited time; refused without a change if that queue would not take it."""
    target = floor.queues.get(queue_name)
    if target is item.queue:
        reject(floor, "move", item.id, "already_there")
        return
    work = item.work
    del floor.items[item.id]
    refused = judge_entry(floor, work, target, queue_name, now)
    floor.items[item.id] = item
    if refused:
        reject(floor, "move", item.id, refused)
        return
    withdraw(floor, item, "moved", now)
    enter(floor, work, queue_name, now, item.entered_at, previous=item)


def pull(floor: Floor, item: Item, agent: Agent, now: float) -> None:
    """Offer a waiting item to this agent, whatever its place and needs."""
    if item.state not in ("waiting", "reserved"):
        reject(floor, "pull", item.id, f"item_{item.state}")
    elif item.queue.channel not in agent.pooled:
        reject(floor, "pull", item.id, f"agent_{agent.state}")
    else:
        start_round(floor, item, (agent,), "pull", now)


# --- deadlines -------------------------------------------------------------------------------------------------


def expire_item(floor: Floor, item: Item, now: float) -> None:
    """One of the item's deadlines has come; an item being offered has none until the offer ends."""
    if item.expires_at is not None and item.expires_at <= now:
        leave(floor, item, "callback_expired", now)
        return
    due = find_due_overflow(item, now)
    if due is not None:
        overflow_item(floor, item, due, now)
        return
    if item.resume_at is not None and item.resume_at <= now:
        item.resume_at = None
        put_item(item)
        floor.unmatched.append(item)
    _widen(floor, item, now)
    if item.prefer_until is not None and item.prefer_until <= now and item.state != "deferred":
        floor.unmatched.append(item)
        item.prefer_until = now
    if item.announce_at is not None and item.announce_at <= now:
        announce(floor, item, now)
    schedule_item(floor, item)


def _widen(floor: Floor, item: Item, now: float) -> None:
    steps = item.plan.steps
    if item.step + 1 >= len(steps) or item.joined_at + steps[item.step + 1][0] > now:
        return
    if item.state == "deferred":
        widen_item(floor, item, now)
    else:
        take_item(item)
        widen_item(floor, item, now)
        put_item(item)
        floor.unmatched.append(item)


def open_queue(floor: Floor, queue: Queue, is_open: bool, reason: Literal["closed", "holiday"], now: float) -> None:
    """Open or close the queue, and say so if that is new."""
    if queue.open == is_open and (is_open or queue.closed_for == reason):
        return
    queue.open, queue.closed_for = is_open, reason
    floor.out.append(QueueStateChanged(queue=queue.name, open=is_open, reason="" if is_open else reason))
    if not is_open:
        clear_queue(floor, queue, now)


def clear_queue(floor: Floor, queue: Queue, now: float) -> None:
    """Overflow every waiting item that has to leave by now; those being offered follow if the offer fails."""
    for item in sorted(queue.items.values(), key=lambda item: item.place[:2]):
        if item.state != "offered":
            due = find_due_overflow(item, now)
            if due is not None:
                overflow_item(floor, item, due, now)


def refit(floor: Floor, item: Item, now: float) -> None:
    """Place, needs and deadlines after a change of configuration; a waiting item looks for an agent again."""
    waiting = item.state in ("waiting", "reserved")
    if waiting:
        take_item(item)
    item.step = 0
    rank_place(floor, item)
    widen_item(floor, item, now)
    max_wait_s = item.queue.config.max_wait_s
    item.leave_at = item.joined_at + max_wait_s if max_wait_s > 0 and not item.callback else None
    if waiting:
        put_item(item)
    if item.state != "offered":
        schedule_item(floor, item)


# --- being served ----------------------------------------------------------------------------------------------


def finish(floor: Floor, agent: Agent, item_id: str, now: float) -> None:
    """The talk is over; after-call work begins where the queue has it."""
    work = agent.work.pop(item_id, None)
    if work is None:
        reject(floor, "finished", item_id, "not_served_by_agent")
        return
    del floor.holders[item_id]
    queue = work.queue
    if queue is not None:
        config = queue.config
        after_call_work_s = agent.config.after_call_work_s
        if after_call_work_s is None:
            after_call_work_s = config.after_call_work_s
        note_handled(queue, now - work.moment + after_call_work_s)
        if after_call_work_s > 0:
            if agent.after_call is not None:
                end_after_call(floor, agent, "", "", True, now)
            limit_at = now + max(config.after_call_work_limit_s, after_call_work_s)
            after = AfterCall(item_id, queue, now, now + after_call_work_s, limit_at)
            after.disposition, after.note = work.disposition, work.note
            agent.after_call = after
    settle(floor, agent, now)
