"""Service hours of the queues: each opens and closes when its calendar says so, whether or not anybody calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pbx.core.timers import Deadline

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class Hours:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._due = -math.inf
        """Unix time of the next look; the first is due at once, after a restart has brought the queues back."""

    def expire(self) -> None:
        """At an opening or closing time the queues follow their calendars; who waits stays or overflows."""
        # The timer's clock may be a rounding short of the wall clock's minute.
        if self._ex.wall + 0.001 >= self._due:
            self.look(max(self._ex.wall, self._due))

    def next_deadline(self) -> Deadline | None:
        ex = self._ex
        if math.isinf(self._due):
            return None if self._due > 0 else Deadline(ex.now, "service hours")
        return Deadline(ex.now + self._due - ex.wall, "service hours")

    def look(self, wall: float | None = None) -> None:
        """Also when a calendar was switched by hand, or the configuration is another: a queue that has lost its
        calendar is open."""
        ex = self._ex
        wall = ex.wall if wall is None else wall
        queues = ex.settings.configuration.queues
        calendars = {entry.calendar for entry in queues.values() if entry.calendar is not None}
        states = {name: ex.settings.calendar_state(name, wall)[0] for name in calendars}
        for queue, entry in queues.items():
            state = "open" if entry.calendar is None else states[entry.calendar]
            reason: Literal["closed", "holiday"] = "holiday" if state == "holiday" else "closed"
            ex.agents.take(ex.acd.set_hours(queue, state == "open", ex.now, reason))
        self._due = min((ex.settings.calendar_may_change_at(name, wall) for name in calendars), default=math.inf)
