"""Callbacks: a virtual caller holds the place; what happens to it while the customer is called, and when not."""

from __future__ import annotations

from msgspec.structs import replace

from .agents import settle
from .entering import leave, rank_place
from .floor import Floor, make_plan, put_item, schedule_item, take_item
from .messages import CallbackDeferred, QueueLeft, Rejected
from .offers import widen_item, withdraw_round
from .records import Item, Queue


def set_calling(floor: Floor, queue: Queue, allowed: bool) -> None:
    """Inside the hours in which customers may be called, callbacks are offered; outside they keep their place."""
    if queue.calling == allowed:
        return
    queue.calling = allowed
    for item in sorted(queue.items.values(), key=lambda item: item.place[:2]):
        if not item.callback:
            continue
        if not allowed and item.state in ("waiting", "reserved"):
            take_item(item)
            put_item(item)
        elif allowed and item.state == "deferred" and item.resume_at is None:
            put_item(item)
            floor.unmatched.append(item)
        else:
            continue
        schedule_item(floor, item)


def reach(floor: Floor, item_id: str, now: float) -> None:
    """The customer is on the line: nothing that happens from now on makes it a callback again. Where nobody is there to
    serve him, he is not kept waiting for longer than any caller."""
    item = _find(floor, item_id)
    if item is None:
        _reject(floor, "callback_reached", item_id)
        return
    # Also for the queues it may overflow or be moved to: they take a callback whatever their state.
    item.work = replace(item.work, callback="")
    item.callback = ""
    item.expires_at = None
    if item.id not in floor.items:
        return
    if item.state == "waiting":
        schedule_item(floor, item)
    queue = item.queue
    if queue.empty_since is not None and ("queue", queue.name) not in floor.timers:
        floor.timers.set(("queue", queue.name), now + queue.config.stay_grace_s)


def fail(floor: Floor, item_id: str, now: float) -> None:
    """The customer was not reached: again later with the old place, within bounds; the agents are released."""
    item = _find(floor, item_id)
    if item is None:
        _reject(floor, "callback_failed", item_id)
        return
    queue = item.queue
    rules = queue.config.callback
    held = floor.holders.pop(item_id, None)
    if held is not None:
        del held[0].work[item_id]
        settle(floor, held[0], now)
    elif item.round is not None:
        withdraw_round(floor, item.round, "customer_unreached", now)
    else:
        take_item(item)
    item.attempts += 1
    if rules is None or item.attempts >= rules.attempts or queue.removed:
        if held is None:
            leave(floor, item, "callback_failed", now)
        else:
            floor.out.append(_gone(item, now))
        return
    floor.items[item.id] = queue.items[item.id] = item
    item.plan = make_plan(queue, item.work.skills, item.work.language)
    item.step = 0
    rank_place(floor, item)
    widen_item(floor, item, now)
    item.state = "deferred"
    item.resume_at = now + rules.retry_s
    schedule_item(floor, item)
    floor.out.append(
        CallbackDeferred(
            item=item.id, queue=queue.name, entry=item.entry, attempt=item.attempts, retry_at=item.resume_at
        )
    )


def _find(floor: Floor, item_id: str) -> Item | None:
    """The callback whose customer is being called: accepted by an agent, offered to some, or between two offers."""
    held = floor.holders.get(item_id)
    item = floor.items.get(item_id) if held is None else held[1].record
    return None if item is None or not item.callback or item.state == "deferred" else item


def _gone(item: Item, now: float) -> QueueLeft:
    return QueueLeft(
        item=item.id,
        queue=item.queue.name,
        entry=item.entry,
        reason="callback_failed",
        waited_s=now - item.joined_at,
    )


def _reject(floor: Floor, command: str, item_id: str) -> None:
    floor.out.append(Rejected(command=command, subject=item_id, reason="no_callback"))
