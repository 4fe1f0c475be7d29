"""Where calls from a trunk go, by the state of the route's calendar."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.call.routing import CalendarState, NumberPlan, Unknown, route_inbound
from pbx.config.loader import load
from pbx.config.model import Configuration

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return load(ROOT / "config")


@pytest.mark.parametrize(
    ("state", "destination"),
    [("open", "queue:sales"), ("closed", "voicemail:1003"), ("holiday", "voicemail:1003")],
)
def test_the_calendar_decides(configuration: Configuration, state: CalendarState, destination: str) -> None:
    found = route_inbound(configuration, "carrier-a", "+861055550102", "+8613911112222", lambda calendar: state)
    assert str(found.destination) == destination
    assert found.rule.endswith(f"office {state}") and found.route is not None


def test_the_caller_makes_a_route_more_specific(configuration: Configuration) -> None:
    def find(caller: str) -> str:
        return str(route_inbound(configuration, "carrier-a", "+861055550100", caller, lambda _: "open").destination)

    assert find("+8613800001111") == "queue:vip"
    assert find("+8613900001111") == "flow:main"


def test_a_number_that_is_nobodys(configuration: Configuration) -> None:
    found = route_inbound(configuration, "carrier-a", "+8622", "", lambda _: "open")
    assert found.rule == "no route" and found.route is None and found.destination == configuration.routes.no_match


def test_a_route_that_is_not_allowed_differs_from_one_that_is_not_there(configuration: Configuration) -> None:
    plan = NumberPlan(configuration)
    forbidden = plan.resolve("913912345678", (), lambda _: "open")
    missing = plan.resolve("7999", (), lambda _: "open")
    assert isinstance(forbidden, Unknown) and forbidden.status == 403
    assert isinstance(missing, Unknown) and missing.status == 404
