"""Who spoke with a caller last, over restarts: each caller is kept as one small checkpoint of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from pbx.app.outputs import Checkpoint

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

KEY = "@last_agent "
"""Begins the name of a caller's checkpoint; no call's id holds a blank."""
MAX_REMEMBERED = 10_000
"""Callers whose last agent is known."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, float]).decode


class LastAgents:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._last: dict[str, tuple[str, float]] = {}
        """Agent and wall-clock time by caller; the oldest first."""

    def remember(self, caller: str, agent: str) -> None:
        """``agent`` speaks with ``caller``. Nothing is kept while no queue asks for it."""
        if caller == "anonymous" or not self._longest():
            return
        self._last.pop(caller, None)
        self._last[caller] = agent, self._ex.wall
        self._ex.out.append(Checkpoint(KEY + caller, _encode(self._last[caller])))
        if len(self._last) > MAX_REMEMBERED:
            self._forget(next(iter(self._last)))

    def find(self, caller: str, within: float) -> str:
        """The agent who spoke with ``caller`` in the last ``within`` seconds, or an empty text."""
        agent, at = self._last.get(caller, ("", 0.0))
        return agent if self._ex.wall - at <= within else ""

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take back what a process before us wrote, except what has grown too old."""
        entries = []
        for key, state in kept.items():
            if not key.startswith(KEY):
                continue
            try:
                agent, at = _decode(state)
            except msgspec.MsgspecError as error:
                self._ex.note("error", "a caller's last agent cannot be read", caller=key[len(KEY) :], error=str(error))
                agent, at = "", 0.0
            entries.append((at, key[len(KEY) :], agent))
        longest = self._longest()
        for at, caller, agent in sorted(entries):
            self._last[caller] = agent, at
            if self._ex.wall - at > longest:
                self._forget(caller)

    def _longest(self) -> float:
        return max((queue.last_agent for queue in self._ex.settings.configuration.queues.values()), default=0.0)

    def _forget(self, caller: str) -> None:
        del self._last[caller]
        self._ex.out.append(Checkpoint(KEY + caller, b""))
