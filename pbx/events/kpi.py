"""Key figures of a contact centre as formulae over base counts; nothing here knows where the counts come from.

Base counts are per queue and interval. Each *entry* of a contact into a queue counts once, by its entry time; entries
still open at the end of the interval are not counted until they are resolved. ``w`` is the wait from queue entry to
the agent's answer, or until the caller is gone. T is the service threshold (``w <= T`` is in time), S the short-abandon
threshold (``w < S`` is short; 0: no abandon is short). Shares are 0..1, times are seconds. A figure whose denominator
is zero is None: there is nothing to report, which is not the same as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

ServiceLevelKind = Literal[
    "standard", "offered", "answered", "abandoned_ok", "with_flow_out", "asterisk", "amazon_connect", "copc"
]


class QueueCounts(msgspec.Struct, kw_only=True):
    """Base counts of a queue in an interval. Two intervals are added with :meth:`add`; T and S must agree."""

    threshold_s: float = 20.0
    """T, stored with the result."""
    short_s: float = 5.0
    """S, stored with the result."""
    answered: int = 0
    answered_in_time: int = 0
    abandoned: int = 0
    abandoned_short: int = 0
    abandoned_in_time: int = 0
    """Abandoned with w <= T."""
    flowed_out: int = 0
    """Overflow, voicemail, callback, exit key, moved, forced out."""
    queued: int = 0
    """Of all entries, those that had to wait (w > 0)."""
    answered_wait_s: float = 0.0
    abandoned_wait_s: float = 0.0
    abandoned_short_wait_s: float = 0.0
    flowed_out_wait_s: float = 0.0
    longest_wait_s: float = 0.0
    callbacks_kept: int = 0
    callbacks_reached: int = 0
    callback_delay_s: float = 0.0

    @property
    def offered(self) -> int:
        """Resolved entries: answered, abandoned and flowed out."""
        return self.answered + self.abandoned + self.flowed_out

    def count_answer(self, wait_s: float) -> None:
        self.answered += 1
        self.answered_in_time += wait_s <= self.threshold_s
        self.answered_wait_s += wait_s
        self._count_wait(wait_s)

    def count_abandon(self, wait_s: float) -> None:
        self.abandoned += 1
        self.abandoned_in_time += wait_s <= self.threshold_s
        self.abandoned_wait_s += wait_s
        if wait_s < self.short_s:
            self.abandoned_short += 1
            self.abandoned_short_wait_s += wait_s
        self._count_wait(wait_s)

    def count_flow_out(self, wait_s: float) -> None:
        self.flowed_out += 1
        self.flowed_out_wait_s += wait_s
        self._count_wait(wait_s)

    def _count_wait(self, wait_s: float) -> None:
        self.queued += wait_s > 0
        if wait_s > self.longest_wait_s:
            self.longest_wait_s = wait_s

    def add(self, other: QueueCounts) -> None:
        """Add another interval or queue. Raises ValueError if it was counted with other thresholds."""
        if (self.threshold_s, self.short_s) != (other.threshold_s, other.short_s):
            raise ValueError("counts with different thresholds cannot be added")
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest_wait_s = max(self.longest_wait_s, other.longest_wait_s)


_SUMMED = tuple(
    name for name in QueueCounts.__struct_fields__ if name not in ("threshold_s", "short_s", "longest_wait_s")
)


def count_waits(
    answered: Iterable[float] = (),
    abandoned: Iterable[float] = (),
    flowed_out: Iterable[float] = (),
    *,
    threshold_s: float = 20.0,
    short_s: float = 5.0,
) -> QueueCounts:
    """Base counts from waits."""
    counts = QueueCounts(threshold_s=threshold_s, short_s=short_s)
    for wait_s in answered:
        counts.count_answer(wait_s)
    for wait_s in abandoned:
        counts.count_abandon(wait_s)
    for wait_s in flowed_out:
        counts.count_flow_out(wait_s)
    return counts


def divide(numerator: float, denominator: float) -> float | None:
    """The quotient, None without a denominator."""
    return numerator / denominator if denominator > 0 else None


# --- figures of a queue ------------------------------------------------------------------------------------------

SERVICE_LEVELS: dict[ServiceLevelKind, Callable[[QueueCounts], float | None]] = {
    # A(w<=T) / (A + B - Bs): the default
    "standard": lambda c: divide(c.answered_in_time, c.answered + c.abandoned - c.abandoned_short),
    # A(w<=T) / O: everything that came counts against us
    "offered": lambda c: divide(c.answered_in_time, c.offered),
    # A(w<=T) / A: only those we answered
    "answered": lambda c: divide(c.answered_in_time, c.answered),
    # (A(w<=T) + B(w<=T)) / (A + B): who left early was not kept waiting
    "abandoned_ok": lambda c: divide(c.answered_in_time + c.abandoned_in_time, c.answered + c.abandoned),
    # A(w<=T) / (A + B - Bs + X)
    "with_flow_out": lambda c: divide(c.answered_in_time, c.answered + c.abandoned - c.abandoned_short + c.flowed_out),
    # as others compute it
    "asterisk": lambda c: divide(c.answered_in_time, c.answered),
    "amazon_connect": lambda c: divide(c.answered_in_time, c.offered),
    "copc": lambda c: divide(c.answered_in_time, c.answered),
}


def measure_service_level(counts: QueueCounts, kind: ServiceLevelKind = "standard") -> float | None:
    """Share in time. Raises KeyError for an unknown kind."""
    return SERVICE_LEVELS[kind](counts)


def measure_speed_of_answer(counts: QueueCounts) -> float | None:
    """ASA: mean wait of the answered."""
    return divide(counts.answered_wait_s, counts.answered)


def measure_wait(counts: QueueCounts) -> float | None:
    """Mean wait of all resolved entries."""
    waits = counts.answered_wait_s + counts.abandoned_wait_s + counts.flowed_out_wait_s
    return divide(waits, counts.offered)


def measure_abandonment(counts: QueueCounts, kind: Literal["standard", "offered"] = "standard") -> float | None:
    """(B - Bs) / (A + B - Bs), or B / O."""
    if kind == "offered":
        return divide(counts.abandoned, counts.offered)
    patient = counts.abandoned - counts.abandoned_short
    return divide(patient, counts.answered + patient)


def measure_time_to_abandon(counts: QueueCounts, *, with_short: bool = True) -> float | None:
    """Mean wait of those who gave up."""
    if with_short:
        return divide(counts.abandoned_wait_s, counts.abandoned)
    waits = counts.abandoned_wait_s - counts.abandoned_short_wait_s
    return divide(waits, counts.abandoned - counts.abandoned_short)


# --- figures of agents -------------------------------------------------------------------------------------------


class AgentTimes(msgspec.Struct, kw_only=True):
    """Base times and counts of an agent, team or centre in an interval; seconds."""

    talk_s: float = 0.0
    """Agent leg connected, hold excluded."""
    hold_s: float = 0.0
    """Put on hold by the agent."""
    after_call_s: float = 0.0
    ring_s: float = 0.0
    """Offer to answer."""
    idle_s: float = 0.0
    """Ready and free."""
    not_ready_s: float = 0.0
    handled: int = 0
    """Segments he answered."""
    held: int = 0
    """Of these, segments with a hold."""
    transferred_blind: int = 0
    transferred_attended: int = 0
    transferred_to_queue: int = 0
    offers: int = 0
    missed: int = 0
    """Offers not answered in time."""

    @property
    def logged_on_s(self) -> float:
        busy = self.talk_s + self.hold_s + self.after_call_s + self.ring_s
        return busy + self.idle_s + self.not_ready_s

    @property
    def transferred(self) -> int:
        return self.transferred_blind + self.transferred_attended + self.transferred_to_queue

    def add(self, other: AgentTimes) -> None:
        for name in AgentTimes.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def measure_handling_time(times: AgentTimes, *, with_ring: bool = False) -> float | None:
    """AHT: (talk + hold + after-call work [+ ring]) / handled."""
    seconds = times.talk_s + times.hold_s + times.after_call_s + (times.ring_s if with_ring else 0.0)
    return divide(seconds, times.handled)


def measure_occupancy(times: AgentTimes) -> float | None:
    """(talk + hold + after-call + ring) / (the same + idle). Pauses are outside."""
    busy = times.talk_s + times.hold_s + times.after_call_s + times.ring_s
    return divide(busy, busy + times.idle_s)


def measure_utilisation(times: AgentTimes) -> float | None:
    """(talk + hold + after-call) / logged-on time."""
    return divide(times.talk_s + times.hold_s + times.after_call_s, times.logged_on_s)


def measure_calls_per_hour(times: AgentTimes, *, productive: bool = False) -> float | None:
    """Handled per hour logged on, or per productive hour (pauses left out)."""
    hours = (times.logged_on_s - (times.not_ready_s if productive else 0.0)) / 3600.0
    return divide(times.handled, hours)


def measure_transfer_rate(times: AgentTimes) -> float | None:
    """Segments ended by a transfer / handled."""
    return divide(times.transferred, times.handled)


def measure_hold_rate(times: AgentTimes) -> float | None:
    """Handled with a hold / handled."""
    return divide(times.held, times.handled)


def measure_missed_offers(times: AgentTimes) -> float | None:
    """RONA: offers not answered / offers."""
    return divide(times.missed, times.offers)


# --- figures of outbound work ------------------------------------------------------------------------------------


class OutboundCounts(msgspec.Struct, kw_only=True):
    """Base counts of a campaign in an interval."""

    attempts: int = 0
    right_party: int = 0
    answered_by_person: int = 0
    dropped: int = 0
    """Answered by a person and not connected to an agent within 2 s of the end of the greeting."""


def measure_contact_rate(counts: OutboundCounts) -> float | None:
    return divide(counts.right_party, counts.attempts)


def measure_drop_rate(counts: OutboundCounts) -> float | None:
    """Dropped / answered by a person; the US TSR allows 3 % per campaign and 30 days."""
    return divide(counts.dropped, counts.answered_by_person)
