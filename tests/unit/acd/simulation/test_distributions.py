"""Distributions have the means they claim, arrivals the rates, and nonsense is refused."""

from __future__ import annotations

import math
import random

import pytest

from pbx.acd.simulation.distributions import (
    Arrivals,
    Constant,
    Distribution,
    Empirical,
    Erlang,
    Exponential,
    LogNormal,
    Poisson,
    Profile,
    RatePoint,
    Uniform,
    Weibull,
    make_arrivals,
    make_sampler,
    mean_of,
)

N = 20_000


@pytest.mark.parametrize(
    ("distribution", "deviation"),
    [
        (Exponential(180.0), 180.0),
        (Constant(30.0), 0.0),
        (Uniform(10.0, 30.0), 20.0 / math.sqrt(12)),
        (LogNormal(240.0, 180.0), 180.0),
        (Erlang(200.0, 4), 100.0),
        (Empirical((10.0, 20.0, 60.0)), math.sqrt(1400 / 3)),
        (Weibull(100.0, 2.0), 100.0 * math.sqrt(1 - math.pi / 4)),
    ],
)
def test_mean_and_deviation(distribution: Distribution, deviation: float) -> None:
    sampler = make_sampler(distribution, random.Random(5).random)
    values = [sampler() for _ in range(N)]
    mean = math.fsum(values) / N
    assert min(values) >= 0
    assert mean == pytest.approx(mean_of(distribution), abs=4 * deviation / math.sqrt(N) + 1e-9)
    found = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / N)
    assert found == pytest.approx(deviation, rel=0.05, abs=1e-9)


@pytest.mark.parametrize(
    "distribution",
    [
        Exponential(0.0),
        Constant(-1.0),
        Uniform(3.0, 2.0),
        LogNormal(0.0, 1.0),
        Erlang(1.0, 0),
        Empirical(()),
        Empirical((1.0, -1.0)),
        Weibull(1.0, 0.0),
    ],
)
def test_nonsense_is_refused(distribution: Distribution) -> None:
    with pytest.raises(ValueError, match="time"):
        make_sampler(distribution, random.Random(1).random)


def count_arrivals(arrivals: Poisson | Profile, until: float) -> list[float]:
    following = make_arrivals(arrivals, random.Random(3).random)
    times, now = [], following(0.0)
    while now <= until:
        times.append(now)
        now = following(now)
    return times


def test_poisson_rate() -> None:
    times = count_arrivals(Poisson(120.0), 100 * 3600.0)
    assert len(times) == pytest.approx(12_000, abs=4 * math.sqrt(12_000))
    assert times == sorted(times)


def test_profile_follows_the_day() -> None:
    points = (RatePoint(8 * 3600.0, 60.0), RatePoint(12 * 3600.0, 240.0), RatePoint(18 * 3600.0, 0.0))
    times = count_arrivals(Profile(points), 50 * 86_400.0)
    by_hour = [0] * 24
    for at in times:
        by_hour[int(at % 86_400.0 // 3600)] += 1
    assert sum(by_hour[:8]) == sum(by_hour[18:]) == 0
    assert sum(by_hour[8:12]) == pytest.approx(12_000, abs=4 * math.sqrt(12_000))
    assert sum(by_hour[12:18]) == pytest.approx(72_000, abs=4 * math.sqrt(72_000))


def test_a_profile_of_nothing() -> None:
    following = make_arrivals(Profile((RatePoint(0.0, 0.0),)), random.Random(1).random)
    assert following(0.0) == math.inf


@pytest.mark.parametrize(
    "arrivals", [Poisson(0.0), Profile(()), Profile((RatePoint(0.0, -1.0),)), Profile((RatePoint(90_000.0, 1.0),))]
)
def test_impossible_arrivals_are_refused(arrivals: Arrivals) -> None:
    assert not hasattr(arrivals, "calls")
    with pytest.raises(ValueError, match="rate|profile"):
        make_arrivals(arrivals, random.Random(1).random)
