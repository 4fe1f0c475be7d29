"""Callbacks: a virtual caller holds the real place."""

from __future__ import annotations

import pytest

from pbx.acd.messages import CallbackDeferred, CallbackKept, Offer, Overflowed, Queued, QueueLeft
from pbx.acd.model import CallbackRules
from tests.unit.acd.centre import Centre, make_agent, make_queue

RULES = CallbackRules(attempts=2, retry_s=60.0, expires_s=1000.0)


@pytest.fixture
def centre() -> Centre:
    queue = make_queue(
        callback=RULES, max_wait_s=50.0, announce_interval_s=20.0, overflow={"*": "voicemail:1"}, stay_when="logged_on"
    )
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.do("busy", "ann", "leg")
    centre.call("c1")
    centre.call("c2")
    centre.do("request_callback", "c1", "+861")
    return centre


def test_the_place_is_kept(centre: Centre) -> None:
    kept = centre.one(CallbackKept)
    assert (kept.number, kept.position) == ("+861", 1)
    assert centre.acd.view_queue("support", centre.now).callbacks == 1
    centre.wait(100.0)
    assert centre.one(Overflowed).item == "c2", "a callback waits without announcements and without the longest wait"
    centre.do("finished", "ann", "leg")
    assert centre.one(Offer).callback == "+861"


def test_a_callback_is_served_like_a_call(centre: Centre) -> None:
    centre.do("finished", "ann", "leg")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    assert centre.offered == [("ann", "c2")]


def test_an_unreached_customer_is_tried_again_at_the_old_place(centre: Centre) -> None:
    centre.do("finished", "ann", "leg")
    centre.answer("ann")
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.callback == "+861"
    centre.do("callback_failed", "ann", "c1")
    deferred = centre.one(CallbackDeferred)
    assert (deferred.attempt, deferred.retry_at) == (1, 1060.0)
    assert centre.offered == [("ann", "c2")]
    centre.answer("ann")
    centre.now = 1059.0
    centre.call("c3")
    assert centre.one(Queued).position == 1
    centre.wait(1.0)
    view = centre.acd.view_item("c3", centre.now)
    assert view is not None and view.position == 2
    centre.do("finished", "ann", "c2")
    assert centre.offered == [("ann", "c1")]
    centre.answer("ann")
    centre.do("callback_failed", "ann", "c1")
    left = centre.one(QueueLeft)
    assert (left.reason, left.item) == ("callback_failed", "c1")
    assert centre.offered == [("ann", "c3")]


def test_a_callback_expires(centre: Centre) -> None:
    centre.wait(1000.0)
    assert [left.reason for left in centre.find(QueueLeft)] == ["overflow", "callback_expired"]


def test_a_callback_stays_without_agents(centre: Centre) -> None:
    centre.do("log_off", "ann", forced=True)
    centre.wait(20.0)
    assert [overflowed.item for overflowed in centre.find(Overflowed)] == ["c2"]
    assert centre.acd.view_item("c1", centre.now) is not None


def test_a_callback_keeps_its_number_when_moved(centre: Centre) -> None:
    sales = make_queue("sales", callback=RULES)
    config = centre.config.__class__(queues=(*centre.config.queues, sales), agents=(make_agent("ann", {"sales": 1}),))
    centre.do("configure", config)
    centre.do("move", "c1", "sales")
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and (view.queue, view.callback) == ("sales", "+861")


def test_what_is_no_callback(centre: Centre) -> None:
    centre.do("request_callback", "c1", "+861")
    assert centre.rejected == "already_callback"
    centre.do("callback_failed", "ann", "c2")
    assert centre.rejected == "no_callback"
    centre.do("finished", "ann", "leg")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.do("request_callback", "c2", "+862")
    assert centre.rejected == "item_offered"
    other = Centre(agents=(make_agent("ann"),))
    other.do("busy", "ann", "leg")
    other.call("c1")
    other.do("request_callback", "c1", "+861")
    assert other.rejected == "no_callback"
