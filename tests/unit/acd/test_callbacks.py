"""Callbacks: a virtual caller holds the real place."""

from __future__ import annotations

import pytest

from pbx.acd.messages import Assigned, CallbackDeferred, Offer, OfferWithdrawn, Overflowed, Queued, QueueLeft, Refused
from pbx.acd.model import AcdConfig, CallbackRules
from tests.unit.acd.centre import Centre, make_agent, make_queue

RULES = CallbackRules(attempts=2, retry_s=60.0, expires_s=1000.0)


@pytest.fixture
def centre() -> Centre:
    queue = make_queue(
        callback=RULES, max_wait_s=50.0, announce_interval_s=20.0, overflow={"*": "voicemail:1"}, stay_when="logged_on"
    )
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.do("busy", "ann", "leg")
    centre.call("c2")
    centre.call("c1", callback="+861", entered_at=990.0)
    return centre


def test_the_place_is_kept(centre: Centre) -> None:
    assert centre.one(Queued).position == 1, "as long as the caller waited before he hung up"
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
    centre.do("callback_failed", "c1")
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
    centre.do("callback_failed", "c1")
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
    centre.do("callback_failed", "c1")
    assert centre.one(CallbackDeferred).attempt == 1, "called between two offers"
    centre.do("callback_failed", "c1")
    assert centre.rejected == "no_callback", "nobody calls him now"
    centre.do("callback_reached", "c2")
    assert centre.rejected == "no_callback"
    other = Centre(agents=(make_agent("ann"),))
    other.call("c1", callback="+861")
    assert other.one(Refused).reason == "no_callback"


def test_a_customer_who_was_reached_is_not_called_again(centre: Centre) -> None:
    centre.do("finished", "ann", "leg")
    centre.answer("ann")
    centre.do("callback_reached", "c1")
    centre.do("callback_failed", "c1")
    assert centre.rejected == "no_callback"
    centre.do("finished", "ann", "c1")
    assert centre.offered == [("ann", "c2")]


def test_the_customer_is_called_while_the_offer_waits() -> None:
    """Customer first: the offer lasts longer, and ends without blame where he does not answer."""
    rules = CallbackRules(attempts=2, retry_s=60.0, reach_s=30.0)
    centre = Centre(make_queue(callback=rules, ring_timeout_s=20.0), agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    assert centre.one(Offer).ring_until == centre.now + 50.0
    centre.do("callback_failed", "c1")
    assert centre.one(OfferWithdrawn).reason == "customer_unreached"
    assert centre.one(CallbackDeferred).attempt == 1 and centre.state("ann") == "ready"
    centre.wait(60.0)
    assert centre.offered == [("ann", "c1")]
    centre.do("callback_reached", "c1")
    centre.decline("ann")
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.callback == "" and view.state == "waiting", "he waits on the line now"
    centre.wait(20.0)
    centre.answer("ann") if centre.find(Offer) else centre.wait(1.0)
    assert centre.acd.view_item("c1", centre.now) is not None


def test_a_customer_not_reached_while_offered_is_given_up_after_the_last_attempt() -> None:
    centre = Centre(make_queue(callback=CallbackRules(attempts=1)), agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    centre.do("callback_failed", "c1")
    assert centre.one(QueueLeft).reason == "callback_failed" and centre.state("ann") == "ready"


def test_nobody_is_called_outside_the_hours(centre: Centre) -> None:
    centre.do("set_calling", "support", False)
    centre.do("finished", "ann", "leg")
    assert centre.offered == [("ann", "c2")], "those on the line are served on"
    centre.answer("ann")
    centre.call("c3", callback="+863")
    view = centre.acd.view_item("c3", centre.now)
    assert view is not None and view.state == "deferred"
    centre.do("finished", "ann", "c2")
    assert not centre.offered
    centre.do("set_calling", "support", True)
    assert centre.offered == [("ann", "c1")]
    centre.do("set_calling", "support", False)
    centre.answer("ann")
    centre.do("callback_failed", "c1")
    centre.wait(70.0)
    assert not centre.find(Offer), "the time to try again came outside the hours"
    centre.do("set_calling", "support", True)
    assert centre.offered == [("ann", "c1")]
    centre.do("set_calling", "nowhere", True)
    assert centre.rejected == "unknown_queue"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("preferred_s", [0.0, 5.0])
def test_a_callback_that_prefers_an_agent_waits_for_its_hours(preferred_s: float) -> None:
    queue = make_queue(callback=RULES, strategy="longest_idle")
    centre = Centre(queue, agents=(make_agent("bob"), make_agent("ann")))
    for agent in ("bob", "ann"):
        centre.do("busy", agent, f"leg-{agent}")
    centre.do("set_calling", "support", False)
    centre.call("c1", callback="+861", preferred_agents=("ann",), preferred_s=preferred_s)
    assert not centre.find(Offer)
    centre.wait(30.0)
    centre.do("set_calling", "support", True)
    centre.do("finished", "bob", "leg-bob")
    assert centre.offered == [("bob", "c1")], "the time for which ann was preferred is over"


@pytest.mark.timeout(20)
def test_a_preference_that_runs_out_after_the_hours_holds_nothing_up() -> None:
    centre = Centre(make_queue(callback=RULES), agents=(make_agent("bob"), make_agent("ann")))
    for agent in ("bob", "ann"):
        centre.do("busy", agent, f"leg-{agent}")
    centre.call("c1", callback="+861", preferred_agents=("ann",), preferred_s=5.0)
    centre.do("set_calling", "support", False)
    centre.do("set_calling", "support", True)
    centre.do("finished", "bob", "leg-bob")
    assert not centre.offered, "ann is still preferred"
    centre.do("set_calling", "support", False)
    centre.wait(30.0)
    centre.do("set_calling", "support", True)
    assert centre.offered == [("bob", "c1")]


def test_a_customer_on_the_line_between_two_offers_does_not_expire() -> None:
    centre = Centre(make_queue(callback=RULES, ring_timeout_s=10.0), agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    centre.do("decline", centre.one(Offer).offer, "declined")
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.state == "waiting"
    centre.do("callback_reached", "c1")
    centre.wait(2000.0)
    assert not centre.find(QueueLeft)


def test_a_customer_on_the_line_is_sent_away_where_nobody_comes() -> None:
    queue = make_queue(callback=RULES, stay_when="logged_on", stay_grace_s=30.0, overflow={"*": "voicemail:1"})
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    centre.do("decline", centre.one(Offer).offer, "declined")
    centre.do("log_off", "ann")
    centre.wait(100.0)
    assert not centre.find(Overflowed), "a callback bears it"
    centre.do("callback_reached", "c1")
    centre.wait(30.0)
    assert centre.one(Overflowed).item == "c1"


def test_a_customer_is_reached_after_his_queue_is_gone() -> None:
    queue = make_queue(callback=RULES, stay_when="active", stay_grace_s=30.0)
    centre = Centre(queue, make_queue("other"), agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    centre.answer("ann")
    centre.do("set_state", "ann", "not_ready", "")
    for _ in range(2):
        centre.do("configure", AcdConfig(queues=(make_queue("other"),), agents=(make_agent("ann", {"other": 1}),)))
    centre.wait(100.0)
    centre.do("callback_reached", "c1")
    centre.wait(100.0)
    centre.do("finished", "ann", "c1")


def test_a_customer_on_the_line_enters_no_queue_that_takes_no_callers() -> None:
    queue = make_queue(callback=RULES, stay_when="logged_on", stay_grace_s=30.0, overflow={"*": "queue:support"})
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1", callback="+861")
    centre.do("decline", centre.one(Offer).offer, "declined")
    centre.do("log_off", "ann")
    centre.do("callback_reached", "c1")
    centre.wait(30.0)
    assert {refused.reason for refused in centre.find(Refused)} == {"no_agents", "too_many_moves"}
    assert centre.acd.view_item("c1", centre.now) is None


def test_a_callback_is_taken_whatever_the_state_of_the_queue() -> None:
    overflow = {"*": "voicemail:1"}
    queue = make_queue(callback=RULES, max_length=1, join_when="logged_on", on_close="overflow", overflow=overflow)
    centre = Centre(queue, agents=(make_agent("ann"),), ready=False)
    centre.do("set_queue_open", "support", False)
    for item in ("c1", "c2"):
        centre.call(item, callback="+861")
        assert centre.find(Queued) and not centre.find(Refused)
    centre.do("log_on", "ann", "", ready=True)
    assert centre.offered == [("ann", "c1")]
    centre.answer("ann")
    assert centre.find(Assigned)
