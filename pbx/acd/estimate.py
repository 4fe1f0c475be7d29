"""Estimated wait: how long the callers in front take to be served.

Method: the mean time between two callers being taken from the queue while others wait (exponentially weighted,
each new gap counting one tenth), times the position. It sees everything that slows a queue down - agents shared
with other queues, pauses, missed offers - without having to model it. Until five gaps are known: the expected
handling time divided by the agents on duty, times the position. Its error is measured by the simulator.
"""

from __future__ import annotations

from .records import Item, Queue

WEIGHT = 0.1
MIN_GAPS = 5


def note_taken(queue: Queue, item: Item, now: float) -> None:
    """An item was taken: measure the time since the one before, unless this one had not come yet."""
    last = queue.last_taken
    if last is not None and item.joined_at < now:
        gap = now - max(last, item.joined_at)
        queue.gaps += 1
        weight = max(WEIGHT, 1.0 / queue.gaps)
        queue.gap_mean += weight * (gap - queue.gap_mean)
    queue.last_taken = now


def note_handled(queue: Queue, seconds: float) -> None:
    """An agent is done with an item of the queue, after-call work included."""
    queue.handled += 1
    weight = max(WEIGHT, 1.0 / queue.handled)
    queue.handling_mean += weight * (seconds - queue.handling_mean)


def estimate_wait(queue: Queue, position: int) -> float:
    """Seconds until the item at this position is taken."""
    if queue.gaps >= MIN_GAPS:
        return position * queue.gap_mean
    handling = queue.handling_mean if queue.handled else queue.config.expected_handling_s
    return position * handling / max(queue.active, 1)
