"""Longest idle: the fairest, and the usual default."""

from __future__ import annotations

from .base import Key, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return (seat.idle_since,)


LONGEST_IDLE = Strategy("longest_idle", "The agent who has been free for longest", take_key)
