"""Limits on outside calls."""

from __future__ import annotations

import pytest

from pbx.sip.events import Output
from pbx.sip.tollfraud import DayUse, TollAlarm, TollExceeded, TollGuard, TollLimits, find_country

ME = ("extension:1001", "trunk:carrier")
DAY = "2026-11-22"
CHINA = "+8613800138000"


def make(**limits: object) -> TollGuard:
    free: dict[str, object] = {"calls_per_minute": 0, "concurrent": 0, "minutes_per_day": 0}
    return TollGuard(TollLimits(**{**free, **limits}), "CN", per_party={"trunk:carrier": None})  # type: ignore[arg-type]


def may(guard: TollGuard, now: float = 0.0, number: str = CHINA, **options: bool) -> str:
    return guard.check(ME, number, now, DAY, **options)[0]


def alarms(outputs: list[Output]) -> list[tuple[str, bool]]:
    return [(output.limit, output.blocked) for output in outputs if isinstance(output, TollAlarm)]


def test_calls_per_minute() -> None:
    guard = make(calls_per_minute=3)
    for n in range(3):
        assert may(guard, float(n)) == ""
        guard.started(f"c{n}", ME, float(n), DAY)
        guard.ended(f"c{n}", float(n), DAY)
    reason, outputs = guard.check(ME, CHINA, 59.0, DAY)
    assert reason == "more than 3 calls a minute (extension:1001)"
    assert alarms(outputs) == [("calls_per_minute", True)]
    assert may(guard, 60.5) == ""


def test_concurrent_calls_and_the_warning_before() -> None:
    guard = make(concurrent=5)
    warned = [alarms(guard.started(f"c{n}", ME, 0.0, DAY)) for n in range(5)]
    assert warned == [[], [], [], [("concurrent", False)], []]
    assert may(guard) == "more than 5 calls at once (extension:1001)"
    guard.ended("c0", 1.0, DAY)
    assert may(guard, 1.0) == ""


def test_minutes_of_a_day_end_calls_in_progress() -> None:
    guard = make(minutes_per_day=10)
    guard.started("a", ME, 0.0, DAY)
    guard.answered("a", 0.0)
    guard.started("b", ME, 60.0, DAY)
    guard.answered("b", 60.0)
    guard.started("ringing", ME, 61.0, DAY)
    deadline = guard.next_deadline()
    assert deadline is not None
    assert deadline.at == pytest.approx(60 + (600 - 60) / 2)
    assert guard.expire(deadline.at - 1, DAY) == []
    outputs = guard.expire(deadline.at, DAY)
    assert [o.call for o in outputs if isinstance(o, TollExceeded)] == ["a", "b"]
    assert alarms(outputs) == [("minutes_per_day", True)]
    for call in ("a", "b", "ringing"):
        guard.ended(call, deadline.at, DAY)
    assert "10 minutes a day" in may(guard, deadline.at)
    assert guard.check(ME, CHINA, deadline.at, "2026-11-23")[0] == ""
    assert guard.next_deadline() is None


def test_midnight_gives_a_call_in_progress_its_time_back() -> None:
    guard = make(minutes_per_day=10)
    guard.restore([DayUse("extension:1001", DAY, 500.0, 0.0)])
    guard.started("a", ME, 0.0, DAY)
    guard.answered("a", 0.0)
    assert guard.next_deadline().at == pytest.approx(100.0)  # type: ignore[union-attr]
    assert guard.expire(100.0, "2026-11-23") == []
    assert guard.next_deadline().at == pytest.approx(600.0)  # type: ignore[union-attr]


def test_spend() -> None:
    guard = make(spend_per_day=10.0)
    guard.started("a", ME, 0.0, DAY, cost_per_minute=2.0)
    guard.answered("a", 30.0)
    assert guard.next_deadline().at == pytest.approx(330.0)  # type: ignore[union-attr]
    assert alarms(guard.ended("a", 30.0 + 240.0, DAY)) == [("spend_per_day", False)]
    assert guard.uses(DAY)[0] == DayUse("extension:1001", DAY, 240.0, 8.0)
    again = make(spend_per_day=8.0)
    again.restore(guard.uses(DAY))
    assert may(again) == "more than 8 spent a day (extension:1001)"


@pytest.mark.parametrize(
    ("number", "allowed"),
    [("+8613800138000", True), ("13800138000", True), ("010-62345678", True), ("0085223456789", True),
     ("+4420793460000", False), ("+88213000000", False), ("004420793460000", False), ("+882130000000", False)],
)  # fmt: skip
def test_countries(number: str, allowed: bool) -> None:
    guard = make(countries=("CN", "HK"))
    assert (may(guard, number=number) == "") is allowed


def test_country_names() -> None:
    assert find_country("+8613800138000", "CN") == "CN"
    assert find_country("02079460000", "GB") == "GB"
    assert find_country("+80012345678", "CN") == "001"
    assert find_country("nonsense", "CN") == ""


def test_hours() -> None:
    guard = make()
    assert may(guard, open=True) == ""
    assert may(guard, open=False) == "no outside calls at this hour (extension:1001)"


def test_emergency_passes_everything_and_counts_nowhere() -> None:
    guard = make(calls_per_minute=1, concurrent=1, minutes_per_day=1, countries=("CN",))
    guard.started("a", ME, 0.0, DAY)
    assert may(guard, number="+1911", open=False) != ""
    assert may(guard, number="120", open=False, emergency=True) == ""
    guard.answered("unknown", 0.0)
    assert guard.ended("unknown", 1.0, DAY) == []


def test_trunks_have_limits_of_their_own() -> None:
    limits = TollLimits(calls_per_minute=0, concurrent=0, minutes_per_day=0)
    guard = TollGuard(limits, "CN", per_party={"trunk:carrier": TollLimits(concurrent=1)})
    guard.started("a", ("extension:1002", "trunk:carrier"), 0.0, DAY)
    assert may(guard) == "more than 1 calls at once (trunk:carrier)"
    assert guard.check(("extension:1001", "trunk:other"), CHINA, 0.0, DAY)[0] == ""


def test_new_limits_keep_what_was_used() -> None:
    guard = make(concurrent=1)
    guard.started("a", ME, 0.0, DAY)
    guard.configure(TollLimits(concurrent=2), "CN")
    assert may(guard) == ""
    guard.configure(TollLimits(concurrent=1), "CN")
    assert "at once" in may(guard)


def test_nothing_is_kept_for_ever() -> None:
    guard = make(minutes_per_day=5)
    for n in range(200):
        guard.started(f"c{n}", (f"extension:{n}",), 0.0, DAY)
        guard.ended(f"c{n}", 1.0, DAY)
    for n in range(200):
        guard.started(f"d{n}", ("extension:x",), 0.0, "next")
        guard.ended(f"d{n}", 1.0, "next")
    assert len(guard._parties) < 10
