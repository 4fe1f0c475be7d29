"""Death and return: the snapshot holds everything, and what died meanwhile is found out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pbx.acd.acd import Acd
from pbx.acd.invariants import check_invariants
from pbx.acd.messages import Assigned, Offer, OfferWithdrawn, QueueLeft, Refused
from pbx.acd.model import AcdConfig, CallbackRules
from pbx.core.ids import SeededIds
from tests.unit.acd.centre import Centre, make_agent, make_queue

QUEUES = (
    make_queue(
        after_call_work_s=30.0,
        keep_place_s=60.0,
        callback=CallbackRules(retry_s=100.0),
        max_wait_s=300.0,
        stay_when="active",
    ),
    make_queue("sales", strategy="ring_all"),
)
AGENTS = (
    *(make_agent(name) for name in ("talks", "wraps", "rests", "away", "caller")),
    *(make_agent(name, {"sales": 1}) for name in ("ring1", "ring2")),
)


@pytest.fixture
def centre() -> Centre:
    """One agent in every state, one item in every place."""
    centre = Centre(*QUEUES, agents=AGENTS)
    centre.do("set_hours", "sales", True)
    centre.do("set_state", "away", "not_ready", "lunch")
    centre.do("busy", "caller", "leg")
    for n, agent in enumerate(("talks", "wraps", "rests")):
        centre.call(f"c{n}")
        assert centre.offered == [(agent, f"c{n}")]
    centre.answer("talks")
    centre.do("set_disposition", "talks", "c0", "sold", "note")
    centre.answer("wraps")
    centre.do("finished", "wraps", "c1")
    centre.decline("rests", "failed")
    centre.call("s1", "sales", caller="+861")
    centre.call("c3", preferred_agents=("talks",), preferred_s=60.0)
    centre.call("c4", priority=3, skills={"none": 1})
    centre.call("c5", callback="+865")
    centre.call("c6", caller="+866")
    centre.do("withdraw", "c6", "abandoned")
    centre.now += 5
    return centre


def revive(centre: Centre, now: float, downtime: float = 0.0, config: AcdConfig | None = None) -> Centre:
    """The same centre in a new process."""
    data = json.loads(json.dumps(centre.acd.snapshot(centre.now)))
    again = Centre(*QUEUES, agents=AGENTS, ready=False)
    if config is not None:
        again.acd = Acd(config, SeededIds(8))
    again.now = now
    again.out = again.acd.restore(data, now, downtime)
    check_invariants(again.acd, now, matched=False)
    return again


def everything(centre: Centre) -> Any:
    """The snapshot without what a restart may change."""
    data = centre.acd.snapshot(centre.now)
    for item in data["items"]:
        if item["state"] == "reserved":
            item["state"] = "waiting"
    return data


def test_nothing_is_lost(centre: Centre) -> None:
    again = revive(centre, 7.0)
    assert again.out == []
    assert everything(again) == everything(centre)
    for agent in ("talks", "wraps", "rests", "away", "caller", "ring1", "ring2"):
        before, after = centre.acd.view_agent(agent), again.acd.view_agent(agent)
        assert (after.state, after.reason, after.item) == (before.state, before.reason, before.item)
        assert after.since - 7.0 == before.since - centre.now
    assert again.acd.view_queue("support", 7.0).waiting == centre.acd.view_queue("support", centre.now).waiting


def test_everything_goes_on(centre: Centre) -> None:
    again = revive(centre, 7.0)
    again.do("reconcile", {"c0", "c2", "c3", "c4", "leg", "s1"}, set(again.acd.floor.offers))
    assert again.find(QueueLeft) == []
    view = again.acd.view_item("c3", again.now)
    assert view is not None and view.state == "reserved"
    again.answer("ring2")
    assert again.one(Assigned).waited_s == 5.0
    again.do("finished", "caller", "leg")
    assert again.offered == [("caller", "c2")]
    again.answer("caller")
    again.wait(25.0)
    assert ("wraps", "c5") in again.offered
    again.call("c7", caller="+866")
    queued = again.acd.view_item("c7", again.now)
    assert queued is not None and queued.waited_s == 0.0
    assert again.acd.floor.items["c7"].entered_at == 2.0, "his place was kept over the restart"


def test_downtime_counts_as_waiting(centre: Centre) -> None:
    again = revive(centre, 50.0, downtime=20.0)
    view = again.acd.view_item("c4", 50.0)
    assert view is not None and view.waited_s == 25.0


def test_the_dead_are_found(centre: Centre) -> None:
    again = revive(centre, 7.0)
    rings = sorted(again.acd.floor.offers)
    again.do("reconcile", {"c3", "s1"}, {rings[0], "stranger"})
    assert {left.item: left.reason for left in again.find(QueueLeft)} == {"c2": "lost", "c4": "lost"}
    assert again.state("talks") == "after_call_work"
    ended = {offer.offer: offer.reason for offer in again.find(OfferWithdrawn)}
    assert ended == {rings[1]: "lost", "stranger": "too_late"}
    assert again.acd.view_item("c5", again.now) is not None, "a held callback needs no live call"


def test_a_failed_callback_is_still_deferred(centre: Centre) -> None:
    centre.do("withdraw", "c2", "abandoned")
    centre.do("finished", "caller", "leg")
    centre.answer("caller")
    centre.do("callback_failed", "c5")
    again = revive(centre, 7.0)
    again.do("reconcile", {"c0", "c3", "c4", "s1"}, set(again.acd.floor.offers))
    view = again.acd.view_item("c5", again.now)
    assert view is not None and view.state == "deferred"
    again.wait(100.0)
    view = again.acd.view_item("c5", again.now)
    assert view is not None and view.state in ("waiting", "offered")


def test_a_callback_being_served_survives(centre: Centre) -> None:
    centre.do("withdraw", "c2", "abandoned")
    centre.do("finished", "caller", "leg")
    centre.answer("caller")
    again = revive(centre, 7.0)
    again.do("reconcile", {"c5"}, set())
    assert again.state("caller") == "talking", "his call is still there"
    again.do("reconcile", set(), set())
    view = again.acd.view_item("c5", again.now)
    assert view is not None and view.state == "deferred", "his call is gone: the customer is called again"
    assert again.state("caller") != "talking"


def test_a_smaller_configuration(centre: Centre) -> None:
    config = AcdConfig(queues=(QUEUES[1],), agents=AGENTS[5:6])
    again = revive(centre, 7.0, config=config)
    assert {refused.item for refused in again.out if isinstance(refused, Refused)} == {"c0", "c2", "c3", "c4", "c5"}
    assert list(again.acd.floor.items) == ["s1"]
    again.do("reconcile", {"s1"}, set(again.acd.floor.offers))
    again.answer("ring1")
    assert again.one(Assigned).item == "s1"


def test_nobody_left_to_ring(centre: Centre) -> None:
    again = revive(centre, 7.0, config=AcdConfig(queues=(QUEUES[1],), agents=(make_agent("new", {"sales": 1}),)))
    view = again.acd.view_item("s1", 7.0)
    assert view is not None and view.state == "waiting"
    again.do("log_on", "new", "", ready=True)
    assert again.one(Offer).item == "s1"


def test_only_into_a_fresh_one_and_only_its_own(centre: Centre) -> None:
    data = centre.acd.snapshot(centre.now)
    with pytest.raises(ValueError, match="fresh"):
        centre.acd.restore(data, 1.0)
    with pytest.raises(ValueError, match="version"):
        Acd(centre.config, SeededIds(1)).restore({"version": 99}, 1.0)


def test_damaged_data_leaves_it_fresh(centre: Centre) -> None:
    data = centre.acd.snapshot(centre.now)
    del data["rounds"][0]["offers"]
    again = Centre(*QUEUES, agents=AGENTS, ready=False)
    with pytest.raises(KeyError):
        again.acd.restore(data, 1.0)
    assert again.acd.floor.items == {}
    again.do("log_on", "talks", "", ready=True)
    again.call("c1")
    assert again.offered == [("talks", "c1")]
