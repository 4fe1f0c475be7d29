"""Round robin: in turn, whoever was offered an item of this queue longest ago."""

from __future__ import annotations

from .base import Key, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return (float(seat.turn),)


ROUND_ROBIN = Strategy("round_robin", "Agents in turn, counting offers of this queue", take_key)
