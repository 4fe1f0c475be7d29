"""The formulae by the golden case, by hand-made figures, and where there is nothing to divide by."""

from __future__ import annotations

import pytest

from pbx.events.kpi import (
    SERVICE_LEVELS,
    AgentTimes,
    OutboundCounts,
    QueueCounts,
    ServiceLevelKind,
    count_waits,
    measure_abandonment,
    measure_calls_per_hour,
    measure_contact_rate,
    measure_drop_rate,
    measure_handling_time,
    measure_hold_rate,
    measure_missed_offers,
    measure_occupancy,
    measure_service_level,
    measure_speed_of_answer,
    measure_time_to_abandon,
    measure_transfer_rate,
    measure_utilisation,
    measure_wait,
)


@pytest.fixture
def golden() -> QueueCounts:
    return count_waits([3, 12, 20, 21, 60], [2, 8, 40], [30], threshold_s=20, short_s=5)


def test_golden_counts(golden: QueueCounts) -> None:
    assert (golden.offered, golden.answered, golden.abandoned, golden.abandoned_short, golden.flowed_out) == (
        9,
        5,
        3,
        1,
        1,
    )
    assert golden.longest_wait_s == 60


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("standard", 3 / 7),
        ("offered", 3 / 9),
        ("answered", 0.6),
        ("abandoned_ok", 0.625),
        ("with_flow_out", 0.375),
        ("asterisk", 0.6),
        ("amazon_connect", 3 / 9),
        ("copc", 0.6),
    ],
)
def test_golden_service_level(golden: QueueCounts, kind: ServiceLevelKind, level: float) -> None:
    assert measure_service_level(golden, kind) == pytest.approx(level)


def test_golden_times(golden: QueueCounts) -> None:
    assert measure_speed_of_answer(golden) == pytest.approx(23.2)
    assert measure_wait(golden) == pytest.approx((116 + 50 + 30) / 9)
    assert measure_abandonment(golden) == pytest.approx(2 / 7)
    assert measure_abandonment(golden, "offered") == pytest.approx(1 / 3)
    assert measure_time_to_abandon(golden) == pytest.approx(50 / 3)
    assert measure_time_to_abandon(golden, with_short=False) == pytest.approx(24)


def test_intervals_add_up(golden: QueueCounts) -> None:
    first = count_waits([3, 12, 20], [2], threshold_s=20, short_s=5)
    second = count_waits([21, 60], [8, 40], [30], threshold_s=20, short_s=5)
    first.add(second)
    assert first == golden
    with pytest.raises(ValueError, match="different thresholds"):
        first.add(QueueCounts(threshold_s=30))


def test_nothing_is_not_zero() -> None:
    nothing = QueueCounts()
    assert [measure(nothing) for measure in SERVICE_LEVELS.values()] == [None] * len(SERVICE_LEVELS)
    assert measure_speed_of_answer(nothing) is None
    assert measure_wait(nothing) is None
    assert measure_abandonment(nothing) is None
    assert measure_time_to_abandon(nothing, with_short=False) is None
    assert measure_occupancy(AgentTimes()) is None
    assert measure_handling_time(AgentTimes()) is None
    assert measure_drop_rate(OutboundCounts()) is None


def test_no_abandon_is_short_without_a_threshold() -> None:
    counts = count_waits([1], [0.0, 0.5], threshold_s=20, short_s=0)
    assert counts.abandoned_short == 0
    assert measure_service_level(counts) == pytest.approx(1 / 3)


def test_agents() -> None:
    morning = AgentTimes(
        talk_s=1500, hold_s=100, after_call_s=300, ring_s=100, idle_s=500, handled=10, held=2, offers=8
    )
    morning.add(
        AgentTimes(not_ready_s=1100, offers=4, missed=2, transferred_blind=1, transferred_to_queue=1, talk_s=0.0)
    )
    assert morning.logged_on_s == 3600
    assert measure_handling_time(morning) == 190
    assert measure_handling_time(morning, with_ring=True) == 200
    assert measure_occupancy(morning) == pytest.approx(2000 / 2500)
    assert measure_utilisation(morning) == pytest.approx(1900 / 3600)
    assert measure_calls_per_hour(morning) == 10
    assert measure_calls_per_hour(morning, productive=True) == pytest.approx(10 / (2500 / 3600))
    assert measure_transfer_rate(morning) == 0.2
    assert measure_hold_rate(morning) == 0.2
    assert measure_missed_offers(morning) == pytest.approx(1 / 6)


def test_outbound() -> None:
    counts = OutboundCounts(attempts=100, right_party=20, answered_by_person=40, dropped=1)
    assert measure_contact_rate(counts) == 0.2
    assert measure_drop_rate(counts) == 0.025
