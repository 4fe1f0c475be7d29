"""Limits on outside calls, as the switch meets them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pbx.app.exchange import Exchange
from pbx.app.settings import Settings
from pbx.app.telephony.toll import TollDesk
from pbx.call.model import Call
from pbx.call.routing import External
from pbx.config.model import Configuration
from pbx.events import catalogue as facts
from pbx.sip.commands import Hangup

NOON = 1_795_320_000.0
"""2026-11-22 12:00 in Shanghai."""


class Floor:
    """What `TollDesk` needs of the exchange."""

    def __init__(self, **limits: object) -> None:
        configuration = Configuration.model_validate(
            {
                "toll_fraud": limits,
                "trunks": {"carrier": {"name": "carrier", "host": "203.0.113.5"}},
                "calendars": {"office": {"name": "office", "timezone": "Asia/Shanghai", "hours": {}}},
            }
        )
        self.settings = Settings(configuration, reveal=lambda source: "")
        self.now = 100.0
        self.alerts: list[tuple[str, str, str]] = []
        self.commands: list[object] = []
        self.desk = TollDesk(cast(Exchange, self))

    @property
    def wall(self) -> float:
        return NOON + self.now

    def log(self, event: facts.AnyEvent) -> None:
        assert isinstance(event, facts.SecurityAlert)
        self.alerts.append((event.what, event.address, event.detail))

    def sip(self, command: object) -> None:
        self.commands.append(command)

    def may(
        self, call: str, device: str = "extension:1001", number: str = "+8613800138000", cost: float = 0.0
    ) -> str | None:
        route = cast(Any, SimpleNamespace(cost_per_minute=cost))
        return self.desk.check(device, External(number, route), cast(Call, SimpleNamespace(id=call)))

    def begin(self, call: str, **options: Any) -> None:
        assert self.may(call, **options) is None
        leg = f"leg-{call}"
        self.desk.note(facts.Originated(call=call, leg=leg, device="trunk:carrier", called="1"))
        self.desk.note(facts.Established(call=call, leg=leg, device="trunk:carrier"))

    def end(self, call: str) -> None:
        leg = f"leg-{call}"
        self.desk.note(facts.ConnectionCleared(call=call, leg=leg, device="trunk:carrier", by="remote", cause=16))
        self.desk.note(facts.CallCleared(call=call, outcome="answered", reason=""))


def test_concurrent_calls_are_those_that_live() -> None:
    floor = Floor(concurrent=2)
    floor.begin("a")
    floor.begin("b")
    assert floor.may("c") == "more than 2 calls at once (extension:1001)"
    assert floor.may("c", device="extension:1002") is None
    assert floor.alerts[-1][:2] == ("toll_limit", "extension:1001")
    floor.end("a")
    assert floor.may("c") is None


def test_an_unanswered_call_frees_its_place() -> None:
    floor = Floor(concurrent=1)
    assert floor.may("a") is None
    floor.desk.note(facts.Originated(call="a", leg="l", device="trunk:carrier", called="1"))
    assert floor.may("b") is not None
    floor.desk.note(facts.Failed(call="a", leg="l", device="trunk:carrier", status=486, cause=17, reason="busy"))
    assert floor.may("b") is None


def test_legs_to_phones_and_calls_that_were_not_asked_for_do_not_count() -> None:
    floor = Floor(concurrent=1)
    floor.desk.note(facts.Originated(call="emergency", leg="x", device="trunk:carrier", called="110"))
    assert floor.may("a") is None
    floor.desk.note(facts.Originated(call="a", leg="l", device="extension:1002", called="1002"))
    assert floor.may("b") is None


def test_the_day_ends_calls_and_starts_again_at_midnight_of_the_place() -> None:
    floor = Floor(minutes_per_day=30)
    floor.begin("a")
    deadline = floor.desk.next_deadline()
    assert deadline is not None
    assert deadline.at == pytest.approx(1900.0)
    floor.now = 1900.0
    floor.desk.expire(floor.now)
    assert floor.commands == [Hangup(leg="leg-a", cause=31, reason="daily limit reached")]
    floor.end("a")
    assert "30 minutes a day" in (floor.may("b") or "")
    floor.now = 12 * 3600 - 1.0
    assert floor.may("b") is not None
    floor.now = 12 * 3600 + 1.0
    assert floor.may("b") is None


def test_spend_countries_and_hours() -> None:
    floor = Floor(spend_per_day=1.0)
    floor.begin("a", cost=2.0)
    floor.now += 30.0
    floor.end("a")
    assert "spent" in (floor.may("b") or "")
    floor = Floor(countries=["CN"])
    assert floor.may("a", number="+442079460000") == "calls to GB are not allowed (extension:1001)"
    assert floor.may("a", device="trunk:carrier", number="+442079460000") is not None
    assert "hour" in (Floor(calendar="office").may("a") or "")


def test_a_trunk_that_is_sent_out_again_has_only_countries() -> None:
    floor = Floor(concurrent=1, calls_per_minute=1)
    for n in range(10):
        floor.begin(f"c{n}", device="trunk:carrier")
    assert floor.alerts == []


def test_a_reload_changes_limits_at_once() -> None:
    floor = Floor(concurrent=1)
    floor.begin("a")
    changed = Floor(concurrent=2).settings.configuration
    floor.desk.configure(changed)
    assert floor.may("b") is None
