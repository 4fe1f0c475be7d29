"""Random: each ready agent with the same chance; for fair trials and for spreading without memory."""

from __future__ import annotations

from pbx.core.ids import IdSource

from .base import Key, Seat, Strategy


def take_key(seat: Seat, ids: IdSource) -> Key:
    return (ids.uniform(0.0, 1.0),)


RANDOM = Strategy("random", "Any ready agent, by lot", take_key)
