"""Where identifiers and random choices come from: injected, so that a seeded run repeats exactly."""

from __future__ import annotations

from typing import Protocol


class IdSource(Protocol):
    """Source of everything that must be unique or unguessable."""

    def token(self, prefix: str = "") -> str:
        """A fresh unguessable token of 16 hexadecimal digits (64 bits) behind ``prefix``."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A random number in [low, high): jitter for retries and refreshes."""
        ...


class SeededIds:
    """Ids from a small counter-based generator (SplitMix64): the same seed gives the same ids.

    For tests and simulations; the server uses ``pbx.adapters.ids.SystemIds``.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & 0xFFFFFFFFFFFFFFFF

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return z ^ (z >> 31)

    def token(self, prefix: str = "") -> str:
        return f"{prefix}{self._next():016x}"

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * (self._next() / 2**64)
