"""The PIN that logs an agent in at a phone that is not his; a restart does not open what wrong ones have locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from pbx.app.outputs import Checkpoint
from pbx.core.lockout import Lockout
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

KEY = "@login "
"""Begins the names of these states among what is written down."""
ATTEMPTS, LOCK_S = 5, 900.0

_FREE = Lockout()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Lockout).decode


class LoginPin:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._lockouts: dict[str, Lockout] = {}

    def fits(self, agent: str, pin: str, device: str) -> bool:
        """Whether ``pin``, dialled at ``device``, is the agent's and not locked."""
        ex = self._ex
        entry = ex.settings.configuration.agents.get(agent)
        before = self._lockouts.get(agent, _FREE)
        if entry is None or entry.pin is None or not pin or before.is_locked(ex.wall):
            return False
        fits = ex.same_secret(pin, ex.settings.reveal(entry.pin))
        after = before.after(fits, ex.wall, ATTEMPTS, LOCK_S)
        if after.locked_until:
            detail = f"{after.wrong} wrong PINs"
            ex.log(facts.AuditEntry(user=device, action="login locked", object=f"agent:{agent}", detail=detail))
        if after != before:
            self._lockouts[agent] = after
            ex.out.append(Checkpoint(KEY + agent, b"" if after == _FREE else _encode(after)))
        return fits

    def take_over(self, kept: Mapping[str, bytes]) -> None:
        """At start: what was locked before."""
        for key, state in kept.items():
            if key.startswith(KEY):
                try:
                    self._lockouts[key.removeprefix(KEY)] = _decode(state)
                except msgspec.MsgspecError as error:
                    self._ex.note("error", "wrong PINs cannot be read", key=key, error=str(error))
