"""Distributions of times, as data and as samplers over a passed-in source of uniform numbers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import msgspec

Uniform01 = Callable[[], float]
"""Draws from [0, 1)."""

Sampler = Callable[[], float]


class Exponential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="exponential", tag_field="kind"):
    """Memoryless, as Erlang's formulae assume."""

    mean: float


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="constant", tag_field="kind"):
    value: float


class Uniform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="uniform", tag_field="kind"):
    low: float
    high: float


class LogNormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="lognormal", tag_field="kind"):
    """As handling times usually are: ``sd`` is the standard deviation of the times themselves."""

    mean: float
    sd: float


class Erlang(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="erlang", tag_field="kind"):
    """The sum of ``stages`` exponential times: more regular the more stages."""

    mean: float
    stages: int


class Empirical(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="empirical", tag_field="kind"):
    """One of the measured values, each with the same chance."""

    values: tuple[float, ...]


class Weibull(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="weibull", tag_field="kind"):
    """Patience whose hazard grows (shape > 1) or falls (shape < 1) with the wait."""

    scale: float
    shape: float


Distribution = Exponential | Constant | Uniform | LogNormal | Erlang | Empirical | Weibull


def make_sampler(distribution: Distribution, uniform: Uniform01) -> Sampler:
    """A function that draws one time. Raises ValueError for impossible parameters."""
    match distribution:
        case Exponential(mean):
            _require(mean > 0, "the mean of an exponential time is positive")
            log = math.log
            return lambda: -mean * log(1.0 - uniform())
        case Constant(value):
            _require(value >= 0, "a constant time is not negative")
            return lambda: value
        case Uniform(low, high):
            _require(0 <= low <= high, "a uniform time goes from low to high")
            return lambda: low + (high - low) * uniform()
        case LogNormal(mean, sd):
            _require(mean > 0 and sd >= 0, "a lognormal time has a positive mean and no negative deviation")
            return _sample_lognormal(mean, sd, uniform)
        case Erlang(mean, stages):
            _require(mean > 0 and 1 <= stages <= 100, "an Erlang time has a positive mean and 1 to 100 stages")
            return lambda: -mean / stages * math.log(math.prod(1.0 - uniform() for _ in range(stages)))
        case Empirical(values):
            _require(len(values) > 0 and min(values) >= 0, "measured times are given and not negative")
            return lambda: values[int(uniform() * len(values))]
        case Weibull(scale, shape):
            _require(scale > 0 and shape > 0, "a Weibull time has positive scale and shape")
            return lambda: scale * (-math.log(1.0 - uniform())) ** (1.0 / shape)


def _sample_lognormal(mean: float, sd: float, uniform: Uniform01) -> Sampler:
    variance = math.log(1.0 + (sd / mean) ** 2)
    mu, sigma = math.log(mean) - variance / 2.0, math.sqrt(variance)

    def draw() -> float:
        # Box and Muller's transform; the second of each pair is not kept, so that draws are independent of order
        normal = math.sqrt(-2.0 * math.log(1.0 - uniform())) * math.cos(2.0 * math.pi * uniform())
        return math.exp(mu + sigma * normal)

    return draw


def mean_of(distribution: Distribution) -> float:
    """The mean, for comparison with formulae."""
    match distribution:
        case Exponential(mean) | LogNormal(mean, _) | Erlang(mean, _):
            return mean
        case Constant(value):
            return value
        case Uniform(low, high):
            return (low + high) / 2.0
        case Empirical(values):
            return math.fsum(values) / len(values)
        case Weibull(scale, shape):
            return scale * math.gamma(1.0 + 1.0 / shape)


class RatePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``at`` seconds on so many arrivals per hour."""

    at: float
    per_hour: float


class Poisson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="poisson", tag_field="kind"):
    """Arrivals independent of each other at a constant rate."""

    per_hour: float


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="profile", tag_field="kind"):
    """Poisson arrivals whose rate follows the day: constant between the points, over again after ``period_s``."""

    points: tuple[RatePoint, ...]
    period_s: float = 86_400.0


class RecordedCall(msgspec.Struct, frozen=True):
    """A call as it was: when it entered, how long it was handled, when the caller gave up. None: not known."""

    at: float
    handling_s: float | None = None
    patience_s: float | None = None
    caller: str = ""
    priority: int = 0


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="replay", tag_field="kind"):
    """Calls from a log, in order of time."""

    calls: tuple[RecordedCall, ...]


Arrivals = Poisson | Profile | Replay


def make_arrivals(arrivals: Poisson | Profile, uniform: Uniform01) -> Callable[[float], float]:
    """A function from the time of one arrival to that of the next; infinite where none comes any more."""
    if isinstance(arrivals, Poisson):
        _require(arrivals.per_hour > 0, "the arrival rate is positive")
        mean = 3600.0 / arrivals.per_hour
        log = math.log
        return lambda now: now - mean * log(1.0 - uniform())
    points = sorted((point.at, point.per_hour) for point in arrivals.points)
    _require(bool(points) and all(rate >= 0 for _, rate in points), "a profile has points, and no negative rate")
    _require(points[-1][0] < arrivals.period_s, "the points of a profile lie within its period")
    return _follow_profile([at for at, _ in points], [rate for _, rate in points], arrivals.period_s, uniform)


def _follow_profile(
    starts: list[float], rates: list[float], period_s: float, uniform: Uniform01
) -> Callable[[float], float]:
    if max(rates) <= 0.0:
        return lambda now: math.inf

    def draw(now: float) -> float:
        # how many arrivals must be expected before the next one comes; then walk along the profile
        expected = -math.log(1.0 - uniform()) * 3600.0
        while True:
            phase = now % period_s
            index = bisect_right(starts, phase) - 1
            rate = rates[index]
            end = starts[index + 1] if index + 1 < len(starts) else period_s
            if index < 0:
                rate, end = rates[-1], starts[0]
            span = end - phase
            if rate * span >= expected > 0:
                return now + expected / rate
            expected -= rate * span
            now += span

    return draw


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
