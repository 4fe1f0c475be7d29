"""Routing strategies: one file and one row here each."""

from __future__ import annotations

from .base import Key, Needs, Seat, Strategy
from .chance import RANDOM
from .least_calls import LEAST_CALLS, LEAST_QUEUE_CALLS
from .longest_idle import LONGEST_IDLE
from .ring_all import RING_ALL
from .round_robin import ROUND_ROBIN
from .skill_level import LEAST_SKILLED, SKILL_LEVEL

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        LONGEST_IDLE,
        ROUND_ROBIN,
        LEAST_CALLS,
        LEAST_QUEUE_CALLS,
        RING_ALL,
        SKILL_LEVEL,
        LEAST_SKILLED,
        RANDOM,
    )
}

__all__ = ["STRATEGIES", "Key", "Needs", "Seat", "Strategy"]
