"""Skill level: the best at what is needed, or the least over-qualified; the longest idle among equals."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Key, Needs, Seat, Strategy


def take_key(seat: Seat) -> Key:
    return (seat.idle_since,)


def add_levels(levels: Mapping[str, int], needs: Needs) -> float:
    """Sum of the levels in the needed skills."""
    return float(sum(levels.get(skill, 0) for skill, _ in needs))


def subtract_surplus(levels: Mapping[str, int], needs: Needs) -> float:
    """Minus the levels beyond what is needed, over all skills that items of this queue ever ask for."""
    needed = dict(needs)
    return -float(sum(level - needed.get(skill, 0) for skill, level in levels.items()))


SKILL_LEVEL = Strategy("skill_level", "The agent most proficient in the needed skills", take_key, fit=add_levels)
LEAST_SKILLED = Strategy(
    "least_skilled", "The agent least over-qualified, so that experts stay free", take_key, fit=subtract_surplus
)
