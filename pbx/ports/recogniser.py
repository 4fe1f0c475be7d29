"""Understanding what a caller said: the engine behind menus and free digits by speech."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Heard(msgspec.Struct, frozen=True):
    """What an engine made of one utterance."""

    text: str = ""
    """Empty: nothing of the grammar was recognised."""
    confidence: float = 0.0
    """0 to 1, as far as the engine tells."""
    failure: str = ""
    """Set when the engine could not try: no model for the language, a service that is away."""


class Recogniser(Protocol):
    async def recognise(
        self, samples: bytes, rate: int, *, language: str, phrases: tuple[str, ...] = (), digits: bool = False
    ) -> Heard:
        """Understand mono 16-bit little-endian ``samples`` at ``rate`` Hz.

        ``phrases``: the grammar, one of which was said; with ``digits`` any number of digits. Never raises for what
        was said or for an engine that fails.
        """
        ...

    async def close(self) -> None: ...
