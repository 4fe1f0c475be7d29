"""Identifiers from the operating system's generator."""

from __future__ import annotations

import os
import random

TOKENS_AT_ONCE = 256


class SystemIds:
    """Implements ``pbx.core.ids.IdSource`` with unguessable tokens."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()
        self._tokens: list[str] = []

    def token(self, prefix: str = "") -> str:
        try:
            return prefix + self._tokens.pop()
        except IndexError:
            # A call needs fifteen: one system call for many of them, and two threads never get the same one.
            digits = os.urandom(8 * TOKENS_AT_ONCE).hex()
            tokens = [digits[n : n + 16] for n in range(0, len(digits), 16)]
            token = tokens.pop()
            self._tokens += tokens
            return prefix + token

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
