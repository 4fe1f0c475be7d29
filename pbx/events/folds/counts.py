"""Counts of one queue, today and in the last half hour: what service level and wallboard are computed from."""

from __future__ import annotations

import msgspec

WINDOW_S = 1800.0
"""How far back "now" reaches."""
MAX_RECENT = 1000


class ServiceGoal(msgspec.Struct, frozen=True):
    """What a queue promises."""

    threshold_s: float = 20.0
    """A call answered within this time counts as served."""
    short_abandon_s: float = 5.0
    """A caller who gave up sooner is not counted; 0 counts everybody."""


class Exit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry that ended."""

    at: float
    kind: str
    """``answered``, ``served`` (answered in time), ``abandoned``, ``short`` (abandoned at once) or ``flow_out``."""


class QueueCounts(msgspec.Struct, omit_defaults=True):
    """Counts since midnight, and the exits of the last half hour."""

    day: int = 0
    offered: int = 0
    answered: int = 0
    served: int = 0
    """Answered within the goal; a part of ``answered``."""
    abandoned: int = 0
    short: int = 0
    """Abandoned sooner than it counts; a part of ``abandoned``."""
    flow_out: int = 0
    answered_wait_s: float = 0.0
    """Sum over the answered."""
    longest_wait_s: float = 0.0
    recent: list[Exit] = []

    def count_entry(self, at: float, day: int) -> None:
        self.begin_day(day)
        self.offered += 1

    def count_exit(self, at: float, day: int, reason: str, waited_s: float, goal: ServiceGoal) -> None:
        self.begin_day(day)
        self.longest_wait_s = max(self.longest_wait_s, waited_s)
        if reason == "answered":
            self.answered += 1
            self.answered_wait_s += waited_s
            served = waited_s <= goal.threshold_s
            self.served += served
            kind = "served" if served else "answered"
        elif reason == "abandoned":
            self.abandoned += 1
            short = waited_s < goal.short_abandon_s
            self.short += short
            kind = "short" if short else "abandoned"
        else:
            self.flow_out += 1
            kind = "flow_out"
        self.recent.append(Exit(at, kind))
        if len(self.recent) > MAX_RECENT or self.recent[0].at < at - 2 * WINDOW_S:
            self.recent = [past for past in self.recent if past.at >= at - WINDOW_S][-MAX_RECENT:]

    def begin_day(self, day: int) -> None:
        """Midnight: today's counts begin again."""
        if day != self.day:
            self.day = day
            self.offered = self.answered = self.served = self.abandoned = self.short = self.flow_out = 0
            self.answered_wait_s = self.longest_wait_s = 0.0

    def measure_level_today(self) -> float | None:
        """Answered in time / (answered + abandoned - abandoned at once); None before the first."""
        base = self.answered + self.abandoned - self.short
        return self.served / base if base else None

    def measure_level_now(self, at: float) -> float | None:
        """The same over the half hour before ``at``."""
        kinds = [past.kind for past in self.recent if past.at >= at - WINDOW_S]
        served = kinds.count("served")
        base = served + kinds.count("answered") + kinds.count("abandoned")
        return served / base if base else None
