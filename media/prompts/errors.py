"""Why something cannot be played."""

from __future__ import annotations


class PromptError(Exception):
    """An item that cannot be rendered. ``reason`` is one sentence naming the item, fit for a log and an admin."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
