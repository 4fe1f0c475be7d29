"""The simulation: a heap of what callers and agents will do next, and the ACD's own deadlines beside it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

import msgspec

from pbx.acd.acd import Acd
from pbx.acd.estimate import estimate_wait
from pbx.acd.messages import (
    AgentStateChanged,
    AnyOutput,
    Assigned,
    CallbackDeferred,
    Offer,
    OfferWithdrawn,
    Overflowed,
    Queued,
    QueueLeft,
    Refused,
    WorkItem,
)
from pbx.acd.simulation.distributions import RecordedCall, Replay, Sampler, Uniform01, make_arrivals, make_sampler
from pbx.acd.simulation.scenario import Scenario, Stream
from pbx.core.ids import IdSource
from pbx.events.kpi import AgentTimes, QueueCounts

ARRIVE, GIVE_UP, ANSWER, FINISH, WRAP_UP, SHIFT_START, SHIFT_END, BREAK, BACK = range(9)

Event = tuple[float, int, int, str, int]
"""When, number, kind, subject (agent, offer or item), stream or number of the item's entry."""


class EstimateError(msgspec.Struct):
    """How far the estimated waits were from the real ones, over those who waited and were answered."""

    count: int = 0
    error_s: float = 0.0
    """Sum of estimate minus wait."""
    absolute_s: float = 0.0
    waited_s: float = 0.0


class RunResult(msgspec.Struct, kw_only=True):
    """What one run counted after its warm-up."""

    counted_s: float
    queues: dict[str, QueueCounts]
    agents: AgentTimes
    refused: dict[str, int] = {}
    overflowed: dict[str, int] = {}
    estimates: EstimateError = msgspec.field(default_factory=EstimateError)
    calls: int = 0
    """Calls simulated, warm-up included."""
    events: int = 0
    still_waiting: int = 0
    max_waiting: int = 0


class Simulation:
    """One run of a scenario. ``uniform`` draws from [0, 1); the same draws give the same run."""

    def __init__(self, scenario: Scenario, uniform: Uniform01, ids: IdSource) -> None:
        self.scenario = scenario
        self.acd = Acd(scenario.config, ids)
        self._uniform = uniform
        self._heap: list[Event] = []
        self._number = 0
        self._streams: list[_StreamState] = [
            _StreamState(stream, self._make_samplers(stream), uniform) for stream in scenario.streams
        ]
        self._answer = make_sampler(scenario.manners.answer, uniform)
        self._stream_of: dict[str, int] = {}
        self._recorded: dict[str, RecordedCall] = {}
        self._estimated: dict[str, float] = {}
        self._entries: dict[str, tuple[str, float]] = {}
        """Item to its entry and its time, while it waits."""
        self._since: dict[str, tuple[str, float]] = {}
        self._state_s: dict[str, float] = {}
        self._away: set[str] = set()
        self._at_once: deque[tuple[str, bool]] = deque()
        """Offers answered (or declined) without ringing."""
        queues = {
            queue.name: QueueCounts(threshold_s=queue.service_level_s, short_s=scenario.short_s)
            for queue in scenario.config.queues
        }
        self.result = RunResult(counted_s=scenario.duration_s - scenario.warm_up_s, queues=queues, agents=AgentTimes())
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            Queued: self._on_queued,
            Offer: self._on_offer,
            OfferWithdrawn: self._on_withdrawn,
            Assigned: self._on_assigned,
            QueueLeft: self._on_left,
            Refused: self._on_refused,
            Overflowed: self._on_overflowed,
            AgentStateChanged: self._on_state,
            CallbackDeferred: self._on_deferred,
        }

    def _make_samplers(self, stream: Stream) -> tuple[Sampler, Sampler | None, Sampler | None]:
        return (
            make_sampler(stream.handling, self._uniform),
            None if stream.patience is None else make_sampler(stream.patience, self._uniform),
            None if stream.after_call is None else make_sampler(stream.after_call, self._uniform),
        )

    def run(self) -> RunResult:
        """From an empty floor to the end of the scenario."""
        self._open()
        heap, acd, end = self._heap, self.acd, self.scenario.duration_s
        next_due = acd.floor.timers.next
        events = 0
        while True:
            at = heap[0][0] if heap else end
            due = next_due()
            if due is not None and due <= at:
                if due > end:
                    break
                self._take(acd.expire(due), due)
            elif not heap or at > end:
                break
            else:
                now, _, kind, subject, n = heappop(heap)
                self._act(kind, subject, n, now)
            events += 1
        self.result.events = events
        self._close(end)
        return self.result

    def _open(self) -> None:
        working = {agent for shift in self.scenario.shifts for agent in shift.agents}
        for shift in self.scenario.shifts:
            for agent in shift.agents:
                self._plan(shift.start_s, SHIFT_START, agent)
                self._plan(shift.end_s, SHIFT_END, agent)
                for start_s, end_s in shift.breaks:
                    self._plan(start_s, BREAK, agent)
                    self._plan(end_s, BACK, agent)
        for config in self.scenario.config.agents:
            if config.id not in working:
                self._act(SHIFT_START, config.id, 0, 0.0)
        for n, stream in enumerate(self._streams):
            self._plan_arrival(n, stream, 0.0)

    def _close(self, end: float) -> None:
        for agent, (state, since) in self._since.items():
            self._count_state(agent, state, since, end)
        times, states = self.result.agents, self._state_s
        times.talk_s = states.get("talking", 0.0)
        times.after_call_s = states.get("after_call_work", 0.0)
        times.ring_s = states.get("ringing", 0.0)
        times.idle_s = states.get("ready", 0.0)
        times.not_ready_s = states.get("not_ready", 0.0)
        self.result.still_waiting = len(self._entries)

    def _plan(self, at: float, kind: int, subject: str, n: int = 0) -> None:
        self._number += 1
        heappush(self._heap, (at, self._number, kind, subject, n))

    def _plan_arrival(self, n: int, stream: _StreamState, now: float) -> None:
        at = stream.next_arrival(now)
        if at <= self.scenario.duration_s:
            self._plan(at, ARRIVE, "", n)

    # --- what callers and agents do ------------------------------------------------------------------------------

    def _act(self, kind: int, subject: str, n: int, now: float) -> None:
        acd = self.acd
        if kind == ARRIVE:
            self._arrive(n, now)
        elif kind == FINISH:
            self._finish(subject, n, now)
        elif kind == GIVE_UP:
            entry = self._entries.get(subject)
            if entry is not None:
                self._take(acd.withdraw(subject, "abandoned", now), now)
        elif kind == ANSWER:
            if subject in acd.floor.offers:
                self._take(acd.accept(subject, now), now)
        elif kind == WRAP_UP:
            agent = acd.floor.agents[subject]
            if agent.after_call is not None and agent.calls == n:
                self._take(acd.wrap_up(subject, now, "done"), now)
        else:
            self._change_shift(kind, subject, now)

    def _arrive(self, n: int, now: float) -> None:
        stream = self._streams[n]
        call = stream.recorded
        self._plan_arrival(n, stream, now)
        self.result.calls += 1
        item = f"c{self.result.calls}"
        config = stream.config
        work = WorkItem(
            id=item,
            channel=stream.channel or self._channel(stream),
            caller="" if call is None else call.caller,
            priority=config.priority if call is None else config.priority + call.priority,
            vip=config.vip_share > 0 and self._uniform() < config.vip_share,
            skills=config.skills,
            language=config.language,
        )
        self._stream_of[item] = n
        patience = None if call is None else call.patience_s
        if call is not None:
            self._recorded[item] = call
        self._take(self.acd.enqueue(work, config.queue, now), now)
        if item in self._entries:
            if patience is None and stream.patience is not None:
                patience = stream.patience()
            if patience is not None:
                self._plan(now + patience, GIVE_UP, item)

    def _channel(self, stream: _StreamState) -> str:
        queue = self.acd.floor.queues.get(stream.config.queue)
        stream.channel = "voice" if queue is None else queue.channel
        return stream.channel

    def _finish(self, item: str, n: int, now: float) -> None:
        holder = self.acd.floor.holders.get(item)
        if holder is None:
            return
        agent = holder[0]
        self._take(self.acd.finished(agent.id, item, now), now)
        self._stream_of.pop(item, None)
        after = agent.after_call
        sample = self._streams[n].after_call
        if after is not None and sample is not None and after.item == item:
            seconds = sample()
            if seconds < after.until - now:
                self._plan(now + seconds, WRAP_UP, agent.id, agent.calls)
            elif seconds > after.until - now:
                self._take(self.acd.extend_wrap_up(agent.id, seconds - (after.until - now), now), now)

    def _change_shift(self, kind: int, agent: str, now: float) -> None:
        acd = self.acd
        if kind == SHIFT_START:
            config = acd.floor.agents[agent].config
            self._take(acd.log_on(agent, config.device or f"desk of {agent}", now, ready=True), now)
        elif kind == SHIFT_END:
            self._take(acd.log_off(agent, now), now)
        elif kind == BREAK:
            self._away.add(agent)
            self._take(acd.set_state(agent, "not_ready", "", now), now)
        else:
            self._away.discard(agent)
            self._take(acd.set_state(agent, "ready", "", now), now)

    # --- what the ACD says ----------------------------------------------------------------------------------------

    def _take(self, outputs: list[AnyOutput], now: float) -> None:
        handlers = self._handlers
        for output in outputs:
            handler = handlers.get(type(output))
            if handler is not None:
                handler(output, now)
        while self._at_once:
            # only after all outputs before, or the states of others rung with him would be seen out of order
            offer, accepted = self._at_once.popleft()
            self._take(self.acd.accept(offer, now) if accepted else self.acd.decline(offer, "refused", now), now)

    def _on_queued(self, queued: Queued, now: float) -> None:
        self._entries[queued.item] = (queued.entry, now)
        waiting = len(self._entries)
        if waiting > self.result.max_waiting:
            self.result.max_waiting = waiting
        item = self.acd.floor.items.get(queued.item)
        if item is not None and item.round is None:
            self._estimated[queued.item] = estimate_wait(item.queue, queued.position)

    def _on_offer(self, offer: Offer, now: float) -> None:
        manners = self.scenario.manners
        if now >= self.scenario.warm_up_s:
            self.result.agents.offers += 1
        if manners.miss_share > 0 and self._uniform() < manners.miss_share:
            return
        if manners.decline_share > 0 and self._uniform() < manners.decline_share:
            self._at_once.append((offer.offer, False))
            return
        seconds = self._answer()
        if seconds <= 0:
            self._at_once.append((offer.offer, True))
        else:
            self._plan(now + seconds, ANSWER, offer.offer)

    def _on_withdrawn(self, withdrawn: OfferWithdrawn, now: float) -> None:
        if withdrawn.result == "no_answer" and now >= self.scenario.warm_up_s:
            self.result.agents.missed += 1
            agent = self.acd.floor.agents[withdrawn.agent]
            if not agent.ready_wanted and agent.wanted_reason == "no_answer" and agent.id not in self._away:
                self._plan(now + 60.0, BACK, agent.id)  # somebody tells him

    def _on_assigned(self, assigned: Assigned, now: float) -> None:
        item = assigned.item
        n = self._stream_of[item]
        recorded = self._recorded.pop(item, None)
        handling = None if recorded is None else recorded.handling_s
        seconds = self._streams[n].handling() if handling is None else handling
        self._number += 1
        heappush(self._heap, (now + seconds, self._number, FINISH, item, n))
        joined = self._entries.pop(item)[1]
        estimate = self._estimated.pop(item, None)
        if joined < self.scenario.warm_up_s:
            return
        wait = assigned.waited_s
        self.result.agents.handled += 1
        self.result.queues[assigned.queue].count_answer(wait)
        if wait > 0 and estimate is not None:
            errors = self.result.estimates
            errors.count += 1
            errors.error_s += estimate - wait
            errors.absolute_s += abs(estimate - wait)
            errors.waited_s += wait

    def _on_deferred(self, deferred: CallbackDeferred, now: float) -> None:
        self._entries[deferred.item] = (deferred.entry, now)

    def _on_left(self, left: QueueLeft, now: float) -> None:
        joined = self._entries.pop(left.item)[1]
        self._estimated.pop(left.item, None)
        if joined < self.scenario.warm_up_s:
            return
        counts = self.result.queues[left.queue]
        if left.reason == "abandoned":
            counts.count_abandon(left.waited_s)
        else:
            counts.count_flow_out(left.waited_s)

    def _on_refused(self, refused: Refused, now: float) -> None:
        if now >= self.scenario.warm_up_s:
            self.result.refused[refused.reason] = self.result.refused.get(refused.reason, 0) + 1

    def _on_overflowed(self, overflowed: Overflowed, now: float) -> None:
        if now >= self.scenario.warm_up_s:
            reason = overflowed.reason
            self.result.overflowed[reason] = self.result.overflowed.get(reason, 0) + 1

    def _on_state(self, changed: AgentStateChanged, now: float) -> None:
        agent = changed.agent
        before = self._since.get(agent)
        if before is not None:
            self._count_state(agent, before[0], before[1], now)
        self._since[agent] = (changed.state, now)

    def _count_state(self, agent: str, state: str, since: float, now: float) -> None:
        warm_up = self.scenario.warm_up_s
        if now > warm_up:
            self._state_s[state] = self._state_s.get(state, 0.0) + now - (since if since > warm_up else warm_up)


class _StreamState:
    """A stream while it runs."""

    __slots__ = ("_calls", "_draw", "after_call", "channel", "config", "handling", "patience", "recorded")

    def __init__(
        self, stream: Stream, samplers: tuple[Sampler, Sampler | None, Sampler | None], uniform: Uniform01
    ) -> None:
        self.config = stream
        self.channel = ""
        self.handling, self.patience, self.after_call = samplers
        self.recorded: RecordedCall | None = None
        self._calls: Iterator[RecordedCall] = iter(())
        self._draw: Callable[[float], float] | None = None
        if isinstance(stream.arrivals, Replay):
            self._calls = iter(sorted(stream.arrivals.calls, key=lambda call: call.at))
        else:
            self._draw = make_arrivals(stream.arrivals, uniform)

    def next_arrival(self, now: float) -> float:
        """When the next call of the stream comes; infinite after the last. A replayed one is kept in ``recorded``."""
        if self._draw is not None:
            return self._draw(now)
        self.recorded = next(self._calls, None)
        return math.inf if self.recorded is None else max(self.recorded.at, now)
