"""The 23 indicators: complete, in order, in both languages, and computed."""

from __future__ import annotations

import pytest

from pbx.events.indicators import INDICATORS, CentreFigures, OutsideFigures, measure_all
from pbx.events.kpi import AgentTimes, count_waits

FIGURES = CentreFigures(
    queue=count_waits([0, 12, 20, 21, 60], [2, 8, 40], [30], threshold_s=20, short_s=20),
    agents=AgentTimes(
        talk_s=1500,
        hold_s=100,
        after_call_s=300,
        ring_s=100,
        idle_s=400,
        not_ready_s=1200,
        handled=10,
        held=2,
        transferred_attended=1,
    ),
    outside=OutsideFigures(
        scheduled_s=4000,
        cost=20,
        monitoring_score=88,
        people_at_work=9,
        people_planned=10,
        staff_left=1,
        staff_full_time=4,
    ),
    blocked=1,
    rings=12,
    rung_calls=6,
    solved_first_time=3,
    solved_base=4,
)

EXPECTED = {
    "adherence": 0.9,
    "after_call_work": 30,
    "time_to_abandon": 50 / 3,
    "cost_per_call": 4,
    "handling_time": 190,
    "hold_time": 50,
    "rings": 2,
    "queue_time": 193 / 9,
    "speed_of_answer": 22.6,
    "talk_time": 150,
    "calls_per_hour": 10,
    "monitoring_score": 88,
    "occupancy": 0.8,
    "abandonment": 1 / 8,
    "attendance": 0.9,
    "blocked": 0.1,
    "first_call_resolution": 0.75,
    "queued_share": 8 / 9,
    "transfer_rate": 0.1,
    "answered_share": 5 / 9,
    "service_level": 3 / 8,
    "total_calls": 9,
    "staff_turnover": 0.25,
}


def test_all_23_by_hand() -> None:
    assert measure_all(FIGURES) == pytest.approx(EXPECTED)


def test_the_table_is_whole() -> None:
    assert [indicator.number for indicator in INDICATORS] == list(range(1, 24))
    assert len({indicator.key for indicator in INDICATORS}) == 23
    for indicator in INDICATORS:
        assert indicator.en.isascii() and indicator.definition_en.isascii()
        assert not indicator.zh.isascii() and not indicator.definition_zh.isascii()


def test_without_figures_only_the_total_is_known() -> None:
    known = {key: value for key, value in measure_all(CentreFigures()).items() if value is not None}
    assert known == {"total_calls": 0}
