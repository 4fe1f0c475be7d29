"""Midnight where the call centre stands: what is counted by the day begins anew."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pbx.core.timers import Deadline

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class Day:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._begin()

    def configure(self) -> None:
        """The time zone may be another; what was counted goes on until the next midnight there."""
        self.expire(self._ex.now)
        self._begin()

    def expire(self, now: float) -> None:
        """After midnight the agents' counts of today's calls begin at nought."""
        if self._ex.wall >= self._midnight:
            self._begin()
            self._ex.agents.take(self._ex.acd.reset_counts(now))

    def next_deadline(self) -> Deadline:
        ex = self._ex
        return Deadline(ex.now + self._midnight - ex.wall, "midnight")

    def began_after(self, wall: float) -> bool:
        """Whether today began after this moment (Unix time, seconds)."""
        return wall < self._start

    def _begin(self) -> None:
        zone = ZoneInfo(self._ex.settings.configuration.locale.timezone)
        today = datetime.fromtimestamp(self._ex.wall, zone).date()
        self._start, self._midnight = (
            datetime.combine(day, time.min, zone).timestamp() for day in (today, today + timedelta(days=1))
        )
