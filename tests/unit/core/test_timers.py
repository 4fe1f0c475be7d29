"""Timers: order, replacement, cancelling, and a heap that follows the number of live timers."""

from pbx.core.timers import Timers


def test_taken_in_order_of_time_then_of_setting() -> None:
    timers: Timers[str] = Timers()
    for key, at in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("moved", 0.5), ("gone", 0.2)):
        timers.set(key, at)
    timers.set("moved", 2.0)
    timers.cancel("gone")
    timers.cancel("never set")
    assert timers.peek() == (1.0, "first") and timers.at("moved") == 2.0 and timers.at("gone") is None
    assert timers.pop(0.9) is None
    assert [timers.pop(9.0) for _ in range(5)] == ["first", "second", "moved", "late", None]
    assert timers.next() is None and timers.peek() is None and len(timers) == 0


def test_setting_one_timer_often_leaves_one() -> None:
    timers: Timers[str] = Timers()
    timers.set("other", 500.0)
    for at in range(1000):
        timers.set("k", float(at))
    assert len(timers) == 2 and timers.next() == 500.0
    assert [timers.pop(2000.0), timers.pop(2000.0), timers.pop(2000.0)] == ["other", "k", None]
