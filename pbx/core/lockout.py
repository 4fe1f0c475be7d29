"""Wrong PINs shut a door for a while: the rule, wherever PINs are dialled. Times are Unix seconds."""

from __future__ import annotations

from typing import Self

import msgspec


class Lockout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who tried to get in. Kept with what the door guards, by inheriting from this."""

    wrong: int = 0
    """Wrong PINs since the last right one."""
    locked_until: float = 0.0

    def is_locked(self, wall: float) -> bool:
        return self.locked_until > wall

    def tries(self, wall: float) -> int:
        """Wrong PINs that still count: a lock that has run out begins anew."""
        return 0 if self.locked_until and not self.is_locked(wall) else self.wrong

    def after(self, fits: bool, wall: float, attempts: int, seconds: float) -> Self:
        """As it is after one more PIN; the ``attempts``-th wrong one in a row locks for ``seconds``."""
        if fits:
            return msgspec.structs.replace(self, wrong=0, locked_until=0.0)
        wrong = self.tries(wall) + 1
        return msgspec.structs.replace(self, wrong=wrong, locked_until=wall + seconds if wrong >= attempts else 0.0)
