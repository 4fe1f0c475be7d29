"""Random: each ready agent with the same chance; for fair trials and for spreading without memory."""

from __future__ import annotations

from .base import Key, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return ()


RANDOM = Strategy("random", "Any ready agent, by lot", take_key, by_lot=True)
