"""Ring all: every agent who fits, up to the queue's limit; the first to accept wins."""

from __future__ import annotations

from .base import Key, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return (seat.idle_since,)


RING_ALL = Strategy("ring_all", "All agents at once, the first to accept wins", take_key, everyone=True)
