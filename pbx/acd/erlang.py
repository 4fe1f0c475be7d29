"""Erlang B, C and A: what a simulation is measured against, and a first guess at staffing.

``erlangs`` is the offered traffic: arrivals per second times mean handling time. Times are seconds.
"""

from __future__ import annotations

import math
from typing import NamedTuple


def block_erlang_b(erlangs: float, lines: int) -> float:
    """Probability that all lines are busy, callers who find them so being lost.

    By the recursion B(k) = A B(k-1) / (k + A B(k-1)), which cannot overflow. Raises ValueError below zero.
    """
    _refuse_negative(erlangs=erlangs, lines=lines)
    blocking = 1.0
    for k in range(1, lines + 1):
        blocking = erlangs * blocking / (k + erlangs * blocking)
    return blocking


def fit_erlang_b(blocking: float, lines: int) -> float:
    """The traffic in erlang that ``lines`` carry at this blocking. Raises ValueError outside 0..1."""
    if not 0.0 < blocking < 1.0 or lines < 1:
        raise ValueError("blocking lies between 0 and 1, lines from 1")
    low, high = 0.0, 1.0
    while block_erlang_b(high, lines) < blocking:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if block_erlang_b(middle, lines) < blocking:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


class Waiting(NamedTuple):
    """A queue in the long run."""

    probability_of_waiting: float
    abandoned: float
    """Share of callers who give up; 0 in Erlang C."""
    speed_of_answer_s: float
    """Mean wait of all callers, those who give up included; infinite where the queue grows for ever."""
    queue_length: float
    occupancy: float
    service_level: float
    """Share answered within the threshold, of all callers."""


def wait_erlang_c(erlangs: float, agents: int, handling_s: float, threshold_s: float) -> Waiting:
    """M/M/n: nobody gives up. With traffic at or above the agents everybody waits, for ever longer."""
    _refuse_negative(erlangs=erlangs, agents=agents, handling_s=handling_s, threshold_s=threshold_s)
    if erlangs >= agents:
        return Waiting(1.0, 0.0, math.inf, math.inf, 1.0, 0.0)
    blocking = block_erlang_b(erlangs, agents)
    waiting = agents * blocking / (agents - erlangs * (1.0 - blocking))
    spare = agents - erlangs
    return Waiting(
        probability_of_waiting=waiting,
        abandoned=0.0,
        speed_of_answer_s=waiting * handling_s / spare,
        queue_length=waiting * erlangs / spare,
        occupancy=erlangs / agents,
        service_level=1.0 - waiting * math.exp(-spare * threshold_s / handling_s),
    )


def wait_erlang_a(erlangs: float, agents: int, handling_s: float, patience_s: float, threshold_s: float) -> Waiting:
    """M/M/n+M: callers give up after an exponential patience of this mean.

    The stationary distribution of the birth-death chain, cut where the tail is below 1e-15; the service level from
    the death chain that a caller finding k before him goes through. Raises ValueError below zero.
    """
    _refuse_negative(erlangs=erlangs, agents=agents, threshold_s=threshold_s)
    if handling_s <= 0 or patience_s <= 0:
        raise ValueError("handling time and patience must be positive")
    arrival, service, giving_up = erlangs / handling_s, 1.0 / handling_s, 1.0 / patience_s
    weights = _weigh_states(arrival, service, giving_up, agents)
    total = math.fsum(weights)
    states = [weight / total for weight in weights]
    queue_length = math.fsum((k - agents) * p for k, p in enumerate(states) if k > agents)
    waiting = math.fsum(states[agents:])
    abandoned = giving_up * queue_length / arrival if arrival > 0 else 0.0
    answered_at_once = math.fsum(states[:agents])
    late = _serve_within(states[agents:], agents * service, giving_up, threshold_s)
    return Waiting(
        probability_of_waiting=waiting,
        abandoned=abandoned,
        speed_of_answer_s=queue_length / arrival if arrival > 0 else 0.0,
        queue_length=queue_length,
        occupancy=arrival * (1.0 - abandoned) / (agents * service) if agents else 0.0,
        service_level=answered_at_once + late,
    )


def _weigh_states(arrival: float, service: float, giving_up: float, agents: int) -> list[float]:
    """Unnormalised probability of k callers in the system; the largest is near 1, so nothing overflows."""
    busiest = int(min(arrival / service, agents)) if service > 0 else 0
    up = [1.0]
    k = busiest
    while up[-1] > 1e-18 or k < agents:
        k += 1
        up.append(up[-1] * arrival / (min(k, agents) * service + max(k - agents, 0) * giving_up))
    down = [1.0]
    for k in range(busiest, 0, -1):
        down.append(down[-1] * (min(k, agents) * service + max(k - agents, 0) * giving_up) / arrival)
    return down[:0:-1] + up


def _serve_within(found: list[float], served: float, giving_up: float, threshold_s: float) -> float:
    """Probability to find all agents busy and be served within the threshold.

    A caller who finds j waiting is behind j + 1 departures of the queue, the m-th from the front of which comes at
    rate ``served + (m - 1) * giving_up``; meanwhile he himself gives up at rate ``giving_up``. Solved by
    uniformisation: the chain is stepped in discrete time, the number of steps being Poisson.
    """
    if threshold_s <= 0 or not found:
        return 0.0
    positions = len(found)
    rate = served + positions * giving_up
    mean = rate * threshold_s
    state = list(found)
    done = 0.0
    result = 0.0
    steps = int(mean + 12.0 * math.sqrt(mean) + 40.0)
    for step in range(steps + 1):
        result += math.exp(step * math.log(mean) - mean - math.lgamma(step + 1)) * done
        done += state[0] * served / rate
        following = [0.0] * positions
        for j, p in enumerate(state):
            if p > 0.0:
                ahead = served + j * giving_up
                if j:
                    following[j - 1] += p * ahead / rate
                following[j] += p * max(1.0 - (ahead + giving_up) / rate, 0.0)
        state = following
    return result


def staff_for_service_level(
    erlangs: float, handling_s: float, threshold_s: float, target: float, patience_s: float | None = None
) -> int:
    """The fewest agents that reach the service level: by Erlang A if a patience is given, else by Erlang C.

    Starts from the square-root rule and walks. Raises ValueError if the target is not between 0 and 1.
    """
    if not 0.0 < target < 1.0:
        raise ValueError("the target lies between 0 and 1")

    def reach(agents: int) -> bool:
        if patience_s is None:
            return wait_erlang_c(erlangs, agents, handling_s, threshold_s).service_level >= target
        return wait_erlang_a(erlangs, agents, handling_s, patience_s, threshold_s).service_level >= target

    agents = max(int(erlangs + math.sqrt(erlangs)), 1)
    while not reach(agents):
        agents += 1
    while agents > 1 and reach(agents - 1):
        agents -= 1
    return agents


def _refuse_negative(**values: float) -> None:
    for name, value in values.items():
        if value < 0 or math.isnan(value):
            raise ValueError(f"{name} must not be negative")
