"""Erlang's formulae against published values and against each other."""

from __future__ import annotations

import math

import pytest

from pbx.acd.erlang import (
    block_erlang_b,
    fit_erlang_b,
    staff_for_service_level,
    wait_erlang_a,
    wait_erlang_c,
)


@pytest.mark.parametrize(
    ("erlangs", "lines", "blocking"),
    [(1, 1, 0.5), (1, 2, 0.2), (5, 5, 0.28486782), (5, 10, 0.01838457), (10, 10, 0.21458234), (3, 0, 1.0)],
)
def test_erlang_b_points(erlangs: float, lines: int, blocking: float) -> None:
    assert block_erlang_b(erlangs, lines) == pytest.approx(blocking, abs=5e-9)


TABLE = {
    1: (0.001, 0.005, 0.010, 0.020, 0.053),
    2: (0.046, 0.105, 0.153, 0.223, 0.381),
    5: (0.762, 1.132, 1.361, 1.657, 2.218),
    10: (3.092, 3.961, 4.461, 5.084, 6.216),
    30: (16.684, 19.034, 20.337, 21.932, 24.802),
    100: (75.242, 80.910, 84.064, 87.972, 95.240),
}


@pytest.mark.parametrize(("lines", "row"), TABLE.items())
def test_erlang_b_printed_table(lines: int, row: tuple[float, ...]) -> None:
    blockings = (0.001, 0.005, 0.01, 0.02, 0.05)
    assert [fit_erlang_b(blocking, lines) for blocking in blockings] == pytest.approx(row, abs=6e-4)


@pytest.mark.parametrize(
    ("erlangs", "agents", "handling", "threshold", "waiting", "level", "answer", "occupancy"),
    [
        (10, 14, 180, 20, 0.1741319336, 0.8883500192, 7.83593701, 0.714286),
        (10, 11, 180, 20, 0.6821182, 0.3896138, 122.7813, 0.909091),
        (48, 55, 240, 15, 0.238701, 0.845883, 8.18403, 0.872727),
        (10, 12, 180, 20, 0.449388, 0.640158, 40.4449, 0.833333),
        (20, 24, 180, 20, 0.298072, 0.808882, 13.4133, 0.833333),
        (1, 2, 180, 20, 1 / 3, 0.701720, 60.0, 0.5),
    ],
)
def test_erlang_c(
    erlangs: float,
    agents: int,
    handling: float,
    threshold: float,
    waiting: float,
    level: float,
    answer: float,
    occupancy: float,
) -> None:
    found = wait_erlang_c(erlangs, agents, handling, threshold)
    assert found.probability_of_waiting == pytest.approx(waiting, abs=6e-7)
    assert found.service_level == pytest.approx(level, abs=6e-7)
    assert found.speed_of_answer_s == pytest.approx(answer, rel=5e-6)
    assert found.occupancy == pytest.approx(occupancy, abs=6e-7)
    assert found.abandoned == 0.0


def test_erlang_c_without_enough_agents_waits_for_ever() -> None:
    found = wait_erlang_c(12, 12, 180, 20)
    assert (found.probability_of_waiting, found.speed_of_answer_s) == (1.0, math.inf)
    assert found.service_level == 0.0


@pytest.mark.parametrize(
    ("per_minute", "service_per_minute", "patience_min", "agents", "waiting", "lost", "wait", "occupancy", "level"),
    [
        (10 / 3, 1 / 3, 5, 14, 0.145260, 0.013984, 4.195123, 0.704297, 0.916792),
        (48, 1, 2, 50, 0.467774, 0.030912, 3.709470, 0.930324, 0.943019),
    ],
)
def test_erlang_a(
    per_minute: float,
    service_per_minute: float,
    patience_min: float,
    agents: int,
    waiting: float,
    lost: float,
    wait: float,
    occupancy: float,
    level: float,
) -> None:
    handling = 60 / service_per_minute
    found = wait_erlang_a(per_minute / service_per_minute, agents, handling, patience_min * 60, 20)
    assert found.probability_of_waiting == pytest.approx(waiting, abs=2e-6)
    assert found.abandoned == pytest.approx(lost, abs=2e-6)
    assert found.speed_of_answer_s == pytest.approx(wait, rel=2e-5)
    assert found.occupancy == pytest.approx(occupancy, abs=2e-6)
    assert found.service_level == pytest.approx(level, abs=2e-6)


def test_erlang_a_with_endless_patience_is_erlang_c() -> None:
    patient, endless = wait_erlang_a(10, 14, 180, 1e9, 20), wait_erlang_c(10, 14, 180, 20)
    assert patient.probability_of_waiting == pytest.approx(endless.probability_of_waiting, rel=1e-5)
    assert patient.service_level == pytest.approx(endless.service_level, rel=1e-5)
    assert patient.speed_of_answer_s == pytest.approx(endless.speed_of_answer_s, rel=1e-4)


def test_erlang_a_bears_more_traffic_than_agents() -> None:
    found = wait_erlang_a(20, 10, 180, 60, 20)
    assert 0.49 < found.abandoned < 0.52
    assert found.occupancy > 0.97
    assert 0.0 < found.service_level < 0.5


def test_large_centres_do_not_overflow() -> None:
    assert 0 < wait_erlang_c(9_800, 10_000, 180, 20).probability_of_waiting < 0.1
    assert 0 < wait_erlang_a(3_000, 3_000, 180, 120, 20).abandoned < 0.02


@pytest.mark.parametrize(("patience", "agents"), [(None, 14), (300.0, 13)])
def test_staffing_is_the_fewest_that_suffice(patience: float | None, agents: int) -> None:
    assert staff_for_service_level(10, 180, 20, 0.8, patience) == agents
    assert staff_for_service_level(0, 180, 20, 0.8) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: block_erlang_b(-1, 2),
        lambda: fit_erlang_b(1.0, 2),
        lambda: wait_erlang_a(1, 1, 0, 60, 20),
        lambda: staff_for_service_level(10, 180, 20, 1.0),
        lambda: wait_erlang_c(math.nan, 2, 180, 20),
    ],
)
def test_nonsense_is_refused(call: object) -> None:
    with pytest.raises(ValueError, match=r"between|negative|positive"):
        call()  # type: ignore[operator]
