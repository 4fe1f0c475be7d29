"""Key figures of a span of time as a fold over the log: base counts per queue and agent, for ``pbx.events.kpi``.

An entry into a queue belongs to the span in which it entered, whenever it was resolved; the log is therefore read
on beyond the span until nothing is open, or to its end. Times of agents are cut at the span's edges. Nothing but the
log goes in, so the same span gives the same numbers, today and in a year.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pbx.events import catalogue as facts
from pbx.events.folds.counts import ServiceGoal
from pbx.events.indicators import CentreFigures
from pbx.events.kpi import AgentTimes, QueueCounts

RESOLUTION_S = 7 * 86_400.0
"""A contact is solved at once if the same number does not come back within so long (as far as the log reaches)."""


class FiguresFold:
    """Reads records in order; ask the results after :meth:`close`."""

    def __init__(self, from_at: float, to_at: float, goals: Mapping[str, ServiceGoal] | None = None) -> None:
        """The span is [from_at, to_at), wall clock. ``goals``: threshold and short abandons by queue."""
        self._from, self._to = from_at, to_at
        self._goals = dict(goals or {})
        self.queues: dict[str, QueueCounts] = {}
        self.agents: dict[str, AgentTimes] = {}
        self.blocked = 0
        self._entries: dict[str, str] = {}
        """Open entries of the span, and their queue."""
        self._states: dict[str, tuple[str, float]] = {}
        self._holding: dict[str, float] = {}
        """Agent to since when he holds."""
        self._held: set[tuple[str, str]] = set()
        self._last_contact: dict[str, float] = {}
        """Caller to the last answered contact in the span, while it counts as solved."""
        self._contacts = 0
        self._repeated = 0
        self._callers: dict[str, str] = {}
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            facts.Offered: self._on_offered,
            facts.CallCleared: self._on_cleared,
            facts.Queued: self._on_queued,
            facts.QueueLeft: self._on_left,
            facts.CallbackRegistered: self._on_callback,
            facts.CallbackReached: self._on_callback_reached,
            facts.OfferEnded: self._on_offer_ended,
            facts.Transferred: self._on_transferred,
            facts.Held: self._on_held,
            facts.Retrieved: self._on_retrieved,
            facts.AgentLoggedOff: lambda event, at: self._enter(event.agent, "", at),
            facts.AgentReady: lambda event, at: self._enter(event.agent, "idle_s", at),
            facts.AgentNotReady: lambda event, at: self._enter(event.agent, "not_ready_s", at),
            facts.AgentRinging: lambda event, at: self._enter(event.agent, "ring_s", at),
            facts.AgentBusy: lambda event, at: self._enter(event.agent, "talk_s", at),
            facts.AgentWorkingAfterCall: lambda event, at: self._enter(event.agent, "after_call_s", at),
        }

    def read(self, record: facts.Record) -> None:
        handler = self._handlers.get(type(record.event))
        if handler is not None:
            handler(record.event, record.at)

    def is_done(self, at: float) -> bool:
        """Whether records after ``at`` cannot change anything any more but the solved contacts."""
        return at >= self._to and not self._entries

    def close(self, at: float) -> None:
        """The log ends here: cut the states that last."""
        for agent in tuple(self._states):
            self._enter(agent, "", at)

    # --- results ------------------------------------------------------------------------------------------------

    def total(self) -> CentreFigures:
        """The whole centre. Waits against each queue's own threshold are added up; the totals' own is the default."""
        figures = CentreFigures(blocked=self.blocked)
        figures.solved_base, figures.solved_first_time = self._contacts, self._contacts - self._repeated
        for counts in self.queues.values():
            _add_counts(figures.queue, counts)
        for times in self.agents.values():
            figures.agents.add(times)
        return figures

    # --- queues -------------------------------------------------------------------------------------------------

    def _count(self, queue: str) -> QueueCounts:
        counts = self.queues.get(queue)
        if counts is None:
            goal = self._goals.get(queue, ServiceGoal())
            counts = self.queues[queue] = QueueCounts(threshold_s=goal.threshold_s, short_s=goal.short_abandon_s)
        return counts

    def _on_queued(self, event: facts.Queued, at: float) -> None:
        if self._from <= at < self._to:
            self._entries[event.entry or f"{event.item} of {event.queue}"] = event.queue

    def _on_left(self, event: facts.QueueLeft, at: float) -> None:
        queue = self._entries.pop(event.entry or f"{event.item} of {event.queue}", None)
        if event.reason == "answered" and self._from <= at < self._to:
            self._times(event.agent).handled += 1
        if queue is None:
            return
        counts = self._count(queue)
        if event.reason == "answered":
            counts.count_answer(event.waited_s)
            self._count_contact(self._callers.get(event.call, ""), at)
        elif event.reason == "abandoned":
            counts.count_abandon(event.waited_s)
        else:
            counts.count_flow_out(event.waited_s)

    def _on_callback(self, event: facts.CallbackRegistered, at: float) -> None:
        if self._from <= at < self._to:
            self._count(event.queue).callbacks_kept += 1

    def _on_callback_reached(self, event: facts.CallbackReached, at: float) -> None:
        """No entry of the queue: the one it came from flowed out. The agent has served somebody all the same."""
        if self._from <= at < self._to:
            counts = self._count(event.queue)
            counts.callbacks_reached += 1
            counts.callback_delay_s += event.delay_s
            self._times(event.agent).handled += 1

    def _on_offered(self, event: facts.Offered, at: float) -> None:
        if event.direction != "inbound" or not event.caller:
            return
        self._callers[event.call] = event.caller
        before = self._last_contact.get(event.caller)
        if before is not None and at - before <= RESOLUTION_S:
            self._repeated += 1
            del self._last_contact[event.caller]

    def _on_cleared(self, event: facts.CallCleared, at: float) -> None:
        self._callers.pop(event.call, None)
        self.blocked += event.outcome == "blocked" and self._from <= at < self._to

    def _count_contact(self, caller: str, at: float) -> None:
        if caller:
            self._contacts += 1
            self._last_contact[caller] = at

    # --- agents -------------------------------------------------------------------------------------------------

    def _times(self, agent: str) -> AgentTimes:
        times = self.agents.get(agent)
        if times is None:
            times = self.agents[agent] = AgentTimes()
        return times

    def _enter(self, agent: str, state: str, at: float) -> None:
        """A new state; the time in the one before is counted."""
        self._count_hold(agent, at)
        before = self._states.pop(agent, None)
        if before is not None:
            self._add(agent, before[0], before[1], at)
        if state:
            self._states[agent] = state, at

    def _add(self, agent: str, name: str, since: float, until: float) -> float:
        seconds = min(until, self._to) - max(since, self._from)
        if seconds <= 0:
            return 0.0
        times = self._times(agent)
        setattr(times, name, getattr(times, name) + seconds)
        return seconds

    def _on_held(self, event: facts.Held, at: float) -> None:
        if event.agent:
            self._holding.setdefault(event.agent, at)
            if self._from <= at < self._to and (event.agent, event.call) not in self._held:
                self._held.add((event.agent, event.call))
                self._times(event.agent).held += 1

    def _on_retrieved(self, event: facts.Retrieved, at: float) -> None:
        self._count_hold(event.agent, at)

    def _count_hold(self, agent: str, at: float) -> None:
        """Hold is a part of the talk, counted apart."""
        since = self._holding.pop(agent, None)
        if since is not None:
            seconds = self._add(agent, "hold_s", since, at)
            if seconds > 0:
                self._times(agent).talk_s -= seconds

    def _on_offer_ended(self, event: facts.OfferEnded, at: float) -> None:
        if self._from <= at < self._to:
            times = self._times(event.agent)
            times.offers += 1
            times.missed += event.result == "no_answer"

    def _on_transferred(self, event: facts.Transferred, at: float) -> None:
        if not event.agent or event.kind == "takeover" or not self._from <= at < self._to:
            return
        times = self._times(event.agent)
        if event.destination.startswith("queue:"):
            times.transferred_to_queue += 1
        elif event.kind == "blind":
            times.transferred_blind += 1
        else:
            times.transferred_attended += 1


def _add_counts(total: QueueCounts, counts: QueueCounts) -> None:
    """Add counts that were each made with their queue's own thresholds."""
    like = QueueCounts(threshold_s=counts.threshold_s, short_s=counts.short_s)
    like.add(counts)
    like.threshold_s, like.short_s = total.threshold_s, total.short_s
    total.add(like)
