"""Identifiers from the operating system's generator."""

from __future__ import annotations

import random
import secrets


class SystemIds:
    """Implements ``pbx.core.ids.IdSource`` with unguessable tokens."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def token(self, prefix: str = "") -> str:
        return prefix + secrets.token_hex(8)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
