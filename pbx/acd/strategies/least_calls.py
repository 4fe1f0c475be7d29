"""Least calls: whoever took the fewest items today, in all queues or in this one; the longest idle among equals."""

from __future__ import annotations

from .base import Key, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return (float(seat.calls), seat.idle_since)


def take_queue_key(seat: Seat) -> Key:
    return (float(seat.queue_calls), seat.idle_since)


LEAST_CALLS = Strategy("least_calls", "The agent with the fewest items of all queues", take_key)
LEAST_QUEUE_CALLS = Strategy("least_queue_calls", "The agent with the fewest items of this queue", take_queue_key)
