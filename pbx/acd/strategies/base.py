"""What a routing strategy is: the order among ready agents of one queue who all meet an item's needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

Key = tuple[float, ...]
"""Less is better. Taken when the agent becomes ready; nothing in it may change while he stays ready."""


class Seat(Protocol):
    """One agent in one queue, as strategies see it."""

    @property
    def idle_since(self) -> float:
        """When the agent last finished something, or became ready for the first time (monotonic seconds)."""

    @property
    def calls(self) -> int:
        """Items the agent has taken since the counts were last reset."""

    @property
    def queue_calls(self) -> int:
        """Of these, items of this queue."""

    @property
    def turn(self) -> int:
        """Number of the queue's last offer to this agent, growing with each offer; 0 if there was none."""


Needs = tuple[tuple[str, int], ...]


def count_no_fit(levels: Mapping[str, int], needs: Needs) -> float:
    """All who meet the needs are equal."""
    return 0.0


class Strategy(NamedTuple):
    """A row of the registry. Order is by level in the queue, then by fit (more first), then by key (less first)."""

    name: str
    summary: str
    key: Callable[[Seat], Key]
    fit: Callable[[Mapping[str, int], Needs], float] = count_no_fit
    """How well an agent's skill levels suit the needs."""
    everyone: bool = False
    """Offer to all who fit at once; the first to accept wins."""
    by_lot: bool = False
    """Draw among those who are first by level and fit, instead of by key."""
