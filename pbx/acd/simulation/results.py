"""What several runs say together: means with confidence intervals, and how far they are from Erlang's formulae."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from pbx.acd.erlang import Waiting, wait_erlang_a, wait_erlang_c
from pbx.acd.simulation.distributions import Exponential, Poisson, mean_of
from pbx.acd.simulation.engine import RunResult
from pbx.acd.simulation.scenario import Scenario
from pbx.events.kpi import (
    QueueCounts,
    measure_abandonment,
    measure_occupancy,
    measure_service_level,
    measure_speed_of_answer,
    measure_wait,
)

_STUDENT_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom."""


class Estimate(msgspec.Struct, frozen=True):
    """A figure over several runs."""

    mean: float | None
    half_width: float | None
    """Of the 95 % confidence interval; None with fewer than two runs."""
    standard_error: float | None
    runs: int


def estimate_mean(values: Sequence[float | None]) -> Estimate:
    """Mean of independent runs; runs without a value are left out."""
    known = [value for value in values if value is not None]
    n = len(known)
    if n == 0:
        return Estimate(None, None, None, 0)
    mean = math.fsum(known) / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1) / n)
    quantile = _STUDENT_95[n - 2] if n - 2 < len(_STUDENT_95) else 1.96 + 2.5 / (n - 1)
    return Estimate(mean, quantile * error, error, n)


FIGURES: dict[str, Callable[[QueueCounts], float | None]] = {
    "offered": lambda counts: float(counts.offered),
    "waited_share": lambda counts: counts.queued / counts.offered if counts.offered else None,
    "service_level": lambda counts: measure_service_level(counts, "offered"),
    "abandoned_share": lambda counts: measure_abandonment(counts, "offered"),
    "flow_out_share": lambda counts: counts.flowed_out / counts.offered if counts.offered else None,
    "speed_of_answer_s": measure_speed_of_answer,
    "wait_s": measure_wait,
    "longest_wait_s": lambda counts: counts.longest_wait_s,
}
"""Figures of a queue, by name."""


def summarise_queue(runs: Sequence[RunResult], queue: str) -> dict[str, Estimate]:
    """All figures of a queue over the runs."""
    return {name: estimate_mean([figure(run.queues[queue]) for run in runs]) for name, figure in FIGURES.items()}


def summarise_agents(runs: Sequence[RunResult]) -> dict[str, Estimate]:
    """Occupancy of all agents, and the estimated wait's error, over the runs."""
    return {
        "occupancy": estimate_mean([measure_occupancy(run.agents) for run in runs]),
        "estimate_bias_s": estimate_mean([_mean_error(run, absolute=False) for run in runs]),
        "estimate_error_s": estimate_mean([_mean_error(run, absolute=True) for run in runs]),
        "estimate_wait_s": estimate_mean(
            [run.estimates.waited_s / run.estimates.count if run.estimates.count else None for run in runs]
        ),
    }


def _mean_error(run: RunResult, *, absolute: bool) -> float | None:
    errors = run.estimates
    if not errors.count:
        return None
    return (errors.absolute_s if absolute else errors.error_s) / errors.count


# --- beside Erlang -----------------------------------------------------------------------------------------------


class Comparison(msgspec.Struct, frozen=True):
    """One figure beside its formula."""

    figure: str
    formula: float
    simulated: Estimate
    sigmas: float | None
    """Distance in standard errors."""


def find_theory(scenario: Scenario) -> tuple[str, Waiting] | None:
    """The formula that describes the scenario, if there is one: one queue, one Poisson stream, all exponential,
    agents all alike and always there, nothing that limits the queue."""
    config = scenario.config
    if len(config.queues) != 1 or len(scenario.streams) != 1 or scenario.shifts:
        return None
    stream, queue = scenario.streams[0], config.queues[0]
    plain = (
        isinstance(stream.arrivals, Poisson)
        and isinstance(stream.handling, Exponential)
        and (stream.patience is None or isinstance(stream.patience, Exponential))
        and not (queue.max_wait_s or queue.max_length or queue.skills or queue.after_call_work_s)
        and mean_of(scenario.manners.answer) == 0
        and not (scenario.manners.miss_share or scenario.manners.decline_share)
    )
    if not plain or not isinstance(stream.arrivals, Poisson):
        return None
    handling = mean_of(stream.handling)
    agents = sum(queue.name in agent.queues for agent in config.agents)
    erlangs = stream.arrivals.per_hour / 3600.0 * handling
    if stream.patience is None:
        return "Erlang C", wait_erlang_c(erlangs, agents, handling, queue.service_level_s)
    patience = mean_of(stream.patience)
    return "Erlang A", wait_erlang_a(erlangs, agents, handling, patience, queue.service_level_s)


def compare_with_theory(scenario: Scenario, runs: Sequence[RunResult]) -> tuple[Comparison, ...]:
    """The simulated figures beside the formula's; empty where none describes the scenario."""
    theory = find_theory(scenario)
    if theory is None:
        return ()
    waiting = theory[1]
    queue = summarise_queue(runs, scenario.config.queues[0].name)
    rows = (
        ("waited_share", waiting.probability_of_waiting, queue["waited_share"]),
        ("service_level", waiting.service_level, queue["service_level"]),
        ("abandoned_share", waiting.abandoned, queue["abandoned_share"]),
        ("wait_s", waiting.speed_of_answer_s, queue["wait_s"]),
        ("occupancy", waiting.occupancy, summarise_agents(runs)["occupancy"]),
    )
    return tuple(Comparison(figure, formula, found, _count_sigmas(formula, found)) for figure, formula, found in rows)


def _count_sigmas(formula: float, found: Estimate) -> float | None:
    if found.mean is None or found.standard_error is None or not math.isfinite(formula):
        return None
    if found.standard_error == 0:
        return 0.0 if found.mean == formula else math.inf
    return (found.mean - formula) / found.standard_error
