"""Offers that are not accepted, and offers to many."""

from __future__ import annotations

import pytest

from pbx.acd.messages import Assigned, Offer, OfferWithdrawn
from tests.unit.acd.centre import Centre, make_agent, make_queue


def test_missed_offers_pause_and_then_stop_the_agent() -> None:
    centre = Centre(agents=(make_agent("ann"),), miss_limit=2, miss_pause_s=5.0)
    centre.call("c1")
    centre.wait(20.0)
    assert centre.one(OfferWithdrawn).result == "no_answer"
    assert centre.changes[-1] == ("ann", "not_ready", "no_answer")
    centre.wait(5.0)
    assert centre.offered == [("ann", "c1")], "the item kept its place"
    centre.wait(20.0)
    assert centre.acd.view_agent("ann").until is None
    centre.wait(10_000.0)
    assert centre.state("ann") == "not_ready"
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "c1")]
    assert centre.acd.view_agent("ann").missed == 0


def test_an_answer_forgives_missed_offers() -> None:
    centre = Centre(agents=(make_agent("ann"),), miss_limit=2)
    centre.call("c1")
    centre.wait(20.0)
    centre.wait(5.0)
    centre.answer("ann")
    assert centre.acd.view_agent("ann").missed == 0


def test_rest_after_missed_offers() -> None:
    centre = Centre(make_queue(miss_limit=1, miss_rest_s=60.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.wait(20.0)
    assert centre.acd.view_agent("ann").until == 1080.0
    centre.wait(60.0)
    assert centre.offered == [("ann", "c1")]


@pytest.mark.parametrize(
    ("reason", "result", "pause", "seconds"),
    [
        ("refused", "declined", "declined", 10.0),
        ("busy", "declined", "declined", 10.0),
        ("failed", "unreachable", "device_failed", 30.0),
        ("unreachable", "unreachable", "device_failed", 30.0),
        ("no_answer", "no_answer", "no_answer", 5.0),
        ("something new", "declined", "declined", 10.0),
    ],
)
def test_declining(reason: str, result: str, pause: str, seconds: float) -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.decline("ann", reason)
    assert centre.one(OfferWithdrawn).result == result
    assert centre.offered == [("bob", "c1")]
    assert centre.acd.view_agent("ann").reason == pause
    assert centre.acd.view_agent("ann").until == 1000.0 + seconds
    centre.wait(seconds)
    assert centre.state("ann") == "ready"


def test_a_pause_ends_when_the_agent_says_so() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.decline("ann")
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "c1")]


def test_too_late() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    offer = centre.one(Offer).offer
    centre.wait(20.0)
    centre.do("accept", offer)
    late = centre.one(OfferWithdrawn)
    assert (late.offer, late.reason, late.agent) == (offer, "too_late", "")


def test_the_first_to_answer_wins() -> None:
    agents = tuple(make_agent(name) for name in ("ann", "bob", "cy"))
    centre = Centre(make_queue(strategy="ring_all"), agents=agents)
    centre.call("c1")
    assert [agent for agent, _ in centre.offered] == ["ann", "bob", "cy"]
    assert len({offer.offer for offer in centre.find(Offer)}) == 3
    centre.decline("cy")
    centre.answer("bob")
    assert centre.one(Assigned).agent == "bob"
    assert [(ended.agent, ended.reason) for ended in centre.find(OfferWithdrawn)] == [("ann", "taken")]
    assert [centre.state(agent.id) for agent in agents] == ["ready", "talking", "not_ready"]


def test_all_ring_again_and_nobody_is_blamed() -> None:
    centre = Centre(make_queue(strategy="ring_all"), agents=(make_agent("ann"), make_agent("bob")), miss_limit=1)
    centre.call("c1")
    centre.wait(20.0)
    assert len(centre.find(OfferWithdrawn)) == 2
    assert sorted(centre.offered) == [("ann", "c1"), ("bob", "c1")]
    assert centre.acd.view_agent("ann").missed == 0


def test_only_so_many_ring() -> None:
    agents = tuple(make_agent(f"a{n}") for n in range(5))
    centre = Centre(make_queue(strategy="ring_all", ring_all_limit=2), agents=agents)
    centre.call("c1")
    assert len(centre.offered) == 2
    centre.call("c2")
    assert len(centre.offered) == 2


def test_a_free_agent_joins_those_who_ring() -> None:
    queue = make_queue(strategy="ring_all", ring_timeout_s=10.0)
    centre = Centre(queue, agents=(make_agent("ann"), make_agent("bob")), decline_pause_s=1.0)
    centre.do("set_state", "bob", "not_ready", "")
    centre.call("c1")
    centre.wait(3.0)
    centre.do("set_state", "bob", "ready", "")
    offer = centre.one(Offer)
    assert (offer.agent, offer.ring_until) == ("bob", 1010.0)
    centre.decline("bob")
    centre.wait(2.0)
    assert centre.offered == [], "who declined is left alone"
    centre.do("set_state", "ann", "not_ready", "")
    assert centre.offered == [("bob", "c1")], "in a new round all are asked again"


def test_a_free_agent_does_not_join_at_the_last_moment() -> None:
    centre = Centre(make_queue(strategy="ring_all", ring_timeout_s=10.0), agents=(make_agent("ann"), make_agent("bob")))
    centre.do("set_state", "bob", "not_ready", "")
    centre.call("c1")
    centre.wait(9.0)
    centre.do("set_state", "bob", "ready", "")
    assert centre.offered == []


def test_a_freed_agent_rings_with_all_for_the_next_item() -> None:
    centre = Centre(make_queue(strategy="ring_all"), agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.call("c2")
    centre.answer("ann")
    assert centre.offered == [("bob", "c2")]
