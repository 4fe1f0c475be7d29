"""The numbers on the wall, computed from the live state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from .live import LiveAgent, LiveQueue, LiveState

AGENT_STATES = ("ready", "ringing", "talking", "after_call_work", "not_ready", "logged_off")


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One queue now and today. Rates are between 0 and 1, None before the first call."""

    queue: str
    waiting: int
    longest_wait_s: float
    """Of those who wait now."""
    service_level_now: float | None
    """Last half hour: answered in time / (answered + abandoned, less those who gave up at once)."""
    service_level_today: float | None
    offered: int
    answered: int
    abandoned: int
    short_abandoned: int
    flow_out: int
    callbacks: int
    """Customers who wait now to be called back."""
    average_speed_of_answer_s: float | None
    abandonment_rate: float | None
    longest_wait_today_s: float
    agents: dict[str, int] = {}
    """Agents of the queue by state."""
    closed: str = ""
    """Why it takes no calls: closed or holiday; empty while it is open."""


class Wallboard(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    seq: int
    calls: int
    agents: dict[str, int]
    queues: list[QueueRow]


def make_wallboard(
    state: LiveState,
    *,
    wall: float,
    day: int,
    serving: Mapping[str, Iterable[str]],
    queues: Iterable[str] | None = None,
    agents: Iterable[str] | None = None,
) -> Wallboard:
    """``serving`` maps queues to their agents; ``queues`` and ``agents`` limit what is shown (None: all)."""
    shown = set(state.queues) | set(serving) if queues is None else set(queues)
    people = list(state.agents) if agents is None else list(agents)
    return Wallboard(
        at=wall,
        seq=state.seq,
        calls=len(state.calls),
        agents=count_states(state, people),
        queues=[
            make_row(state.queues.get(name) or LiveQueue(queue=name), state, wall, day, serving.get(name, ()))
            for name in sorted(shown)
        ],
    )


def make_row(queue: LiveQueue, state: LiveState, wall: float, day: int, agents: Iterable[str]) -> QueueRow:
    counts = queue.counts
    today = counts.day == day
    oldest = min((waiting.since for waiting in queue.waiting.values()), default=wall)
    counted = counts.answered + counts.abandoned - counts.short
    return QueueRow(
        queue=queue.queue,
        waiting=len(queue.waiting),
        longest_wait_s=max(0.0, wall - oldest),
        service_level_now=counts.measure_level_now(wall),
        service_level_today=counts.measure_level_today() if today else None,
        offered=counts.offered if today else 0,
        answered=counts.answered if today else 0,
        abandoned=counts.abandoned if today else 0,
        short_abandoned=counts.short if today else 0,
        flow_out=counts.flow_out if today else 0,
        callbacks=len(queue.callbacks),
        average_speed_of_answer_s=counts.answered_wait_s / counts.answered if today and counts.answered else None,
        abandonment_rate=(counts.abandoned - counts.short) / counted if today and counted else None,
        longest_wait_today_s=counts.longest_wait_s if today else 0.0,
        agents=count_states(state, agents),
        closed=queue.closed,
    )


def count_states(state: LiveState, agents: Iterable[str]) -> dict[str, int]:
    found = dict.fromkeys(AGENT_STATES, 0)
    for agent in agents:
        found[state.agents.get(agent, LiveAgent(agent=agent)).state] += 1
    return found
