"""A heap of deadlines for machines that never start a timer themselves."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadline(NamedTuple):
    """When something is due and why; ``reason`` is for logs and tests."""

    at: float
    """Monotonic seconds, on the clock that was passed in."""
    reason: str


class Timers(Generic[K]):
    """Named timers: setting a key again moves it, and each fires once.

    Cancelled entries stay in the heap until they surface, which keeps both operations O(log n); the heap
    is rebuilt when more than half of it is stale so that memory follows the number of live timers.
    """

    __slots__ = ("_count", "_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, tuple[float, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def set(self, key: K, at: float) -> None:
        """Fire ``key`` at ``at`` (seconds); replaces an earlier setting of it."""
        self._count += 1
        self._due[key] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, key))
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._due):
            self._heap = [(when, count, k) for k, (when, count) in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Forget ``key``; unknown keys are ignored."""
        self._due.pop(key, None)

    def at(self, key: K) -> float | None:
        """When ``key`` is due, or None if it is not set."""
        entry = self._due.get(key)
        return entry[0] if entry else None

    def next(self) -> float | None:
        """The earliest due time, or None when nothing is set."""
        heap, due = self._heap, self._due
        while heap:
            at, count, key = heap[0]
            if due.get(key) == (at, count):
                return at
            heapq.heappop(heap)
        return None

    def peek(self) -> tuple[float, K] | None:
        """The earliest due time with its key."""
        return (self._heap[0][0], self._heap[0][2]) if self.next() is not None else None

    def pop(self, now: float) -> K | None:
        """Take the earliest key that is due at ``now``, in order of time then of setting; None if there is none."""
        at = self.next()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key
