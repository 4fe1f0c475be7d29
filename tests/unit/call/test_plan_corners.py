"""Numbers without a group, closed calendars, and rules that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.call.routing import External, NumberPlan, Unknown, route_inbound
from pbx.config.loader import load
from pbx.config.model import Configuration

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return load(ROOT / "config")


def test_another_trunks_routes_are_not_this_ones(configuration: Configuration) -> None:
    route = configuration.routes.inbound[0].model_copy(update={"trunk": "carrier-a"})
    routes = configuration.routes.model_copy(update={"inbound": (route,)})
    changed = configuration.model_copy(update={"routes": routes})
    called = next(number for number in ("+861055550100", "+861055550101", "+861055550102") if route.did.matches(number))
    assert route_inbound(changed, "carrier-z", called, "", lambda _: "open").route is None


def test_a_group_or_queue_without_a_number_cannot_be_dialled(configuration: Configuration) -> None:
    numbered = next(queue for queue in configuration.queues.values() if queue.number)
    group = next(group for group in configuration.ring_groups.values() if group.number)
    changed = configuration.model_copy(
        update={
            "queues": {numbered.name: numbered.model_copy(update={"number": None})},
            "ring_groups": {group.name: group.model_copy(update={"number": None})},
        }
    )
    for number in (numbered.number, group.number):
        assert number is not None
        before = NumberPlan(configuration).resolve(number, (), lambda _: "open")
        after = NumberPlan(changed).resolve(number, (), lambda _: "open")
        assert str(before).startswith(("queue:", "group:")) and isinstance(after, Unknown)


def test_a_route_is_shut_while_its_calendar_is(configuration: Configuration) -> None:
    route = configuration.routes.outbound[0].model_copy(update={"calendar": "office"})
    routes = configuration.routes.model_copy(update={"outbound": (route,)})
    plan = NumberPlan(configuration.model_copy(update={"routes": routes}))
    number = next(
        number
        for number in ("913912345678", "955550000", "90013035550100", "9055550000", "9055512345678")
        if any(pattern.matches(number) for pattern in route.match)
    )
    shut = plan.resolve_external(number, None, lambda _: "closed")
    assert isinstance(shut, Unknown) and shut.status == 403
    assert isinstance(plan.resolve_external(number, None, lambda _: "open"), External)
