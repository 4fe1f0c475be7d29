"""What commands were answered, so that a repeated one is answered again and not carried out again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .commands import AnyCommand, CommandResult

KEPT_S = 900.0
MAX_KEPT = 50_000
MIN_ID = 8

_encode = msgspec.json.Encoder(order="deterministic").encode


class KeptAnswer(msgspec.Struct, frozen=True):
    """As it is stored."""

    command: str
    """Which command it was; the same id with another is a mistake of the client."""
    result: CommandResult


class Entry:
    """One command of one user."""

    __slots__ = ("at", "command", "result", "waiting")

    def __init__(self, command: str, at: float) -> None:
        self.command = command
        self.at = at
        self.result: CommandResult | None = None
        self.waiting: list[int] = []
        """Peers to be answered."""


def describe(command: AnyCommand) -> str:
    return _encode(command).decode()


class Answers:
    """By (user, id). Times are whatever clock the caller uses, seconds."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def begin(
        self, user: str, id: str, command: AnyCommand, peer: int, now: float
    ) -> tuple[Literal["new", "running", "answered", "reused"], Entry]:
        """What to do with a command: carry it out, wait with the others, answer it again, or refuse it."""
        self._expire(now)
        key, text = (user, id), describe(command)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(text, now)
            entry.waiting.append(peer)
            return "new", entry
        if entry.command != text:
            return "reused", entry
        if entry.result is None:
            if peer not in entry.waiting:
                entry.waiting.append(peer)
            return "running", entry
        return "answered", entry

    def finish(self, user: str, id: str, result: CommandResult, now: float) -> KeptAnswer | None:
        """Note the result; None for a command nobody gave or one that is finished."""
        entry = self._entries.get((user, id))
        if entry is None or entry.result is not None:
            return None
        entry.result, entry.at = result, now
        return KeptAnswer(entry.command, result)

    def take_waiting(self, user: str, id: str) -> list[int]:
        """Peers that wait for the answer."""
        entry = self._entries.get((user, id))
        if entry is None:
            return []
        waiting, entry.waiting = entry.waiting, []
        return waiting

    def find(self, user: str, id: str) -> CommandResult | None:
        """The answer, if there is one."""
        entry = self._entries.get((user, id))
        return entry.result if entry is not None else None

    def restore(self, kept: Iterable[tuple[str, str, float, str]]) -> None:
        """(user, id, when on this machine's clock, stored answer), oldest first; after a restart."""
        for user, id, at, text in kept:
            answer = msgspec.json.decode(text, type=KeptAnswer)
            entry = self._entries[user, id] = Entry(answer.command, at)
            entry.result = answer.result

    def _expire(self, now: float) -> None:
        # In the order they began: the oldest are in front.
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key].at > now - KEPT_S and len(self._entries) <= MAX_KEPT:
                return
            del self._entries[key]
