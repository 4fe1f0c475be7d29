"""The way of an item from entry to wrap-up, and every other way out of a queue."""

from __future__ import annotations

import pytest

from pbx.acd.messages import (
    AnnouncePosition,
    Assigned,
    Offer,
    OfferWithdrawn,
    Overflowed,
    Queued,
    QueueLeft,
    QueueStateChanged,
    Refused,
    WorkItem,
    WrapUpCompleted,
)
from pbx.acd.model import AcdConfig, CallerRule
from tests.unit.acd.centre import Centre, make_agent, make_queue


def test_the_whole_way() -> None:
    centre = Centre(make_queue(after_call_work_s=30.0), agents=(make_agent("ann"),))
    centre.call("c1")
    queued, offer = centre.one(Queued), centre.one(Offer)
    assert (queued.item, queued.queue, queued.position, queued.entered_at) == ("c1", "support", 1, 1000.0)
    assert (offer.agent, offer.device, offer.ring_until) == ("ann", "extension:ann", 1020.0)
    centre.now = 1004.0
    centre.answer("ann")
    assigned = centre.one(Assigned)
    assert (assigned.entry, assigned.waited_s, assigned.ringing_s) == (queued.entry, 4.0, 4.0)
    assert centre.state("ann") == "talking"
    centre.now = 1060.0
    centre.do("finished", "ann", "c1")
    assert centre.changes == [("ann", "after_call_work", "")]
    assert centre.acd.view_agent("ann").until == 1090.0
    centre.now = 1070.0
    centre.do("wrap_up", "ann", disposition="sold", note="two of them")
    done = centre.one(WrapUpCompleted)
    assert (done.disposition, done.note, done.lasted_s, done.automatic) == ("sold", "two of them", 10.0, False)
    assert centre.state("ann") == "ready"


def test_after_call_work_ends_by_itself() -> None:
    centre = Centre(make_queue(after_call_work_s=30.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.do("finished", "ann", "c1")
    centre.call("c2")
    assert centre.offered == []
    centre.wait(30.0)
    assert centre.one(WrapUpCompleted).automatic
    assert centre.offered == [("ann", "c2")]


def test_first_come_first_served() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    for n in range(4):
        centre.now += 1
        centre.call(f"c{n}")
    assert centre.one(Queued).position == 3
    served = []
    for _ in range(4):
        centre.answer("ann")
        served.append(centre.one(Assigned).item)
        centre.do("finished", "ann", served[-1])
    assert served == ["c0", "c1", "c2", "c3"]


def test_priority_is_worth_waiting_time() -> None:
    centre = Centre(make_queue(priority_step_s=60.0), agents=(make_agent("ann", {}), make_agent("bob")), ready=False)
    centre.do("log_on", "ann", "", ready=True)
    centre.do("log_on", "bob", "", ready=False)
    centre.call("old")
    centre.now += 100
    centre.call("plain")
    centre.call("small", priority=1)
    assert centre.one(Queued).position == 2, "one point is 60 s, the first has waited 100 s"
    centre.call("large", priority=2)
    assert centre.one(Queued).position == 1
    centre.call("vip", vip=True)
    assert (centre.one(Queued).position, centre.one(Queued).priority) == (1, 5)
    centre.call("patient", priority=-2)
    assert centre.one(Queued).position == 6


def test_priority_is_worth_no_more_than_fairness() -> None:
    centre = Centre(agents=(make_agent("ann"),), ready=False, fairness_s=300.0)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("first")
    centre.now += 301
    centre.call("important", priority=1000)
    assert centre.one(Queued).position == 2


def test_caller_rules() -> None:
    rules = (
        CallerRule(caller="+861", vip=True),
        CallerRule(caller="+862", blocked=True),
        CallerRule(tier="gold", priority=3),
    )
    centre = Centre(make_queue(overflow={"blocked": "hangup:rejected"}), agents=(make_agent("ann"),), callers=rules)
    centre.call("c1", caller="+861")
    assert centre.one(Queued).priority == 5
    centre.call("c2", caller="+862")
    assert (centre.one(Refused).reason, centre.one(Refused).destination) == ("blocked", "hangup:rejected")
    centre.call("c3", caller="+863", tier="gold")
    assert centre.one(Queued).priority == 3


@pytest.mark.parametrize(
    ("queue", "options", "reason"),
    [
        ("nowhere", {}, "unknown_queue"),
        ("support", {"channel": "chat"}, "wrong_channel"),
        ("empty", {}, "no_agents"),
        ("support", {"id": "c0"}, "duplicate"),
    ],
)
def test_refusals(queue: str, options: dict[str, str], reason: str) -> None:
    centre = Centre(make_queue(), make_queue("empty"), agents=(make_agent("ann"),))
    centre.call("c0")
    centre.call(options.pop("id", "c1"), queue, **options)
    assert centre.one(Refused).reason == reason


def test_duplicate_of_one_being_served() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.call("c1")
    assert centre.one(Refused).reason == "duplicate"


def test_full_queue_overflows_into_the_next() -> None:
    support = make_queue(max_length=1, overflow={"full": "queue:sales"})
    sales = make_queue("sales", max_length=1, overflow={"*": "voicemail:1"})
    centre = Centre(support, sales, agents=(make_agent("ann", {"support": 1, "sales": 1}),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.call("c2")
    assert (centre.one(Refused).destination, centre.one(Queued).queue) == ("queue:sales", "sales")
    centre.call("c3")
    assert [(refused.queue, refused.destination) for refused in centre.find(Refused)] == [
        ("support", "queue:sales"),
        ("sales", "voicemail:1"),
    ]
    assert centre.find(Queued) == []


def test_circles_of_overflow_end() -> None:
    one = make_queue("one", overflow={"*": "queue:two"})
    two = make_queue("two", overflow={"*": "queue:one"})
    centre = Centre(one, two, max_moves=3)
    centre.call("c1", "one")
    assert [refused.reason for refused in centre.find(Refused)] == ["no_agents"] * 3 + ["too_many_moves"]


def test_longest_wait_overflows_with_its_time() -> None:
    support = make_queue(max_wait_s=60.0, overflow={"max_wait": "queue:sales"})
    centre = Centre(support, make_queue("sales"), agents=(make_agent("ann", {"support": 1, "sales": 1}),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.wait(60.0)
    overflowed, left, queued = centre.one(Overflowed), centre.one(QueueLeft), centre.one(Queued)
    assert (overflowed.reason, overflowed.destination) == ("max_wait", "queue:sales")
    assert (left.reason, left.waited_s) == ("overflow", 60.0)
    assert (queued.queue, queued.entered_at) == ("sales", 1000.0)
    assert queued.entry != left.entry


def test_nobody_is_put_out_while_a_phone_rings() -> None:
    centre = Centre(make_queue(max_wait_s=10.0, overflow={"*": "voicemail:1"}), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.wait(15.0)
    assert centre.out == []
    centre.wait(5.0)
    assert centre.one(OfferWithdrawn).result == "no_answer"
    assert centre.one(Overflowed).destination == "voicemail:1"


def test_closing_time() -> None:
    centre = Centre(
        make_queue(overflow={"closed": "flow:evening", "holiday": "flow:holiday"}),
        make_queue("strict", on_close="overflow"),
        agents=(make_agent("ann", {"support": 1, "strict": 1}),),
        ready=False,
    )
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.call("s1", "strict")
    centre.do("set_queue_open", "support", False)
    assert centre.one(QueueStateChanged).open is False
    assert centre.find(QueueLeft) == [], "those who wait are still served"
    centre.do("set_queue_open", "support", False)
    assert centre.out == []
    centre.call("c2")
    assert centre.one(Refused).destination == "flow:evening"
    centre.do("set_queue_open", "support", False, reason="holiday")
    centre.call("c2")
    assert (centre.one(Refused).reason, centre.one(Refused).destination) == ("holiday", "flow:holiday")
    centre.do("set_queue_open", "strict", False)
    assert (centre.one(Overflowed).reason, centre.one(Overflowed).destination) == ("closed", "")
    centre.do("set_queue_open", "support", True)
    centre.call("c2")
    assert centre.one(Queued).position == 2


def test_a_supervisors_hand_lasts_until_the_hours_change() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.do("set_hours", "support", True)
    assert centre.out == [], "it was open"
    centre.do("set_queue_open", "support", False)
    centre.do("set_hours", "support", True)
    assert centre.out == [], "still the same hours"
    centre.call("c1")
    assert centre.one(Refused).reason == "closed"
    centre.do("set_hours", "support", False, reason="holiday")
    assert (centre.one(QueueStateChanged).open, centre.one(QueueStateChanged).reason) == (False, "holiday")
    centre.do("set_hours", "support", True)
    assert centre.one(QueueStateChanged).open
    centre.do("set_hours", "nowhere", True)
    assert centre.rejected == "unknown_queue"


def test_a_holiday_without_its_own_destination_is_closed() -> None:
    centre = Centre(make_queue(overflow={"closed": "flow:evening"}), agents=(make_agent("ann"),))
    centre.do("set_queue_open", "support", False, reason="holiday")
    centre.call("c1")
    assert centre.one(Refused).destination == "flow:evening"


@pytest.mark.parametrize(
    ("join", "let_in"), [("always", True), ("logged_on", True), ("active", False), ("ready", False)]
)
def test_joining_needs_somebody(join: str, let_in: bool) -> None:
    centre = Centre(make_queue(join_when=join), agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    assert bool(centre.find(Queued)) is let_in


def test_joining_needs_somebody_free() -> None:
    centre = Centre(make_queue(join_when="ready"), agents=(make_agent("ann"),))
    centre.call("c1")
    assert centre.offered == [("ann", "c1")]
    centre.call("c2")
    assert centre.one(Refused).reason == "no_agents"


def test_staying_needs_somebody_after_a_grace() -> None:
    queue = make_queue(stay_when="active", stay_grace_s=10.0, overflow={"no_agents": "voicemail:1"})
    centre = Centre(queue, agents=(make_agent("ann"), make_agent("bob")))
    for n in range(3):
        centre.call(f"c{n}")
    centre.answer("bob")
    centre.decline("ann")
    centre.do("set_state", "ann", "not_ready", "")
    centre.do("log_off", "bob", forced=True)
    centre.wait(5.0)
    assert centre.out == []
    centre.do("set_state", "ann", "ready", "")
    assert len(centre.offered) == 1
    centre.decline("ann")
    centre.do("set_state", "ann", "not_ready", "")
    centre.wait(9.0)
    assert centre.find(Overflowed) == [], "the grace began anew"
    centre.wait(1.0)
    assert {overflowed.item for overflowed in centre.find(Overflowed)} == {"c0", "c2"}


def test_nobody_was_ever_there() -> None:
    queue = make_queue(join_when="always", stay_when="logged_on", stay_grace_s=10.0, overflow={"*": "voicemail:1"})
    centre = Centre(queue, agents=(make_agent("ann"),), ready=False)
    centre.call("c1")
    centre.wait(5.0)
    centre.call("c2")
    centre.wait(5.0)
    assert [overflowed.item for overflowed in centre.find(Overflowed)] == ["c1", "c2"]
    centre.call("c3")
    assert (centre.one(Refused).reason, centre.one(Refused).destination) == ("no_agents", "voicemail:1")
    centre.do("log_on", "ann", "")
    centre.call("c4")
    assert centre.one(Queued).position == 1


def test_announcements() -> None:
    queue = make_queue(announce_first_s=5.0, announce_interval_s=20.0, expected_handling_s=120.0)
    centre = Centre(queue, agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.call("c2")
    centre.call("c3")
    centre.wait(5.0)
    assert [(said.item, said.position, said.estimated_wait_s) for said in centre.find(AnnouncePosition)] == [
        ("c2", 1, 120.0),
        ("c3", 2, 240.0),
    ]
    centre.wait(19.0)
    assert centre.out == []
    centre.wait(1.0)
    assert len(centre.find(AnnouncePosition)) == 2
    centre.do("finished", "ann", "c1")
    centre.wait(19.9)
    assert centre.find(AnnouncePosition) == []


def test_one_announcement_only() -> None:
    centre = Centre(make_queue(announce_first_s=5.0), agents=(make_agent("ann"),))
    centre.call("c1")
    centre.answer("ann")
    centre.call("c2")
    centre.wait(500.0)
    assert centre.one(AnnouncePosition).item == "c2"


def test_leaving() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    centre.now += 3
    centre.do("withdraw", "c1", "abandoned")
    assert (centre.one(OfferWithdrawn).result, centre.one(OfferWithdrawn).reason) == ("withdrawn", "item_left")
    assert (centre.one(QueueLeft).reason, centre.one(QueueLeft).waited_s) == ("abandoned", 3.0)
    assert centre.state("ann") == "ready"
    centre.do("withdraw", "c1", "abandoned")
    assert centre.rejected == "unknown_item"


def test_the_place_is_kept_for_one_who_calls_again() -> None:
    centre = Centre(make_queue(keep_place_s=60.0), agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1", caller="+861")
    centre.now += 10
    centre.call("c2", caller="+862")
    centre.now += 10
    centre.do("withdraw", "c1", "abandoned")
    centre.now += 50
    centre.call("c3", caller="+861")
    queued = centre.one(Queued)
    assert (queued.position, queued.entered_at, queued.place_kept) == (1, 1000.0, True)
    centre.do("withdraw", "c3", "abandoned")
    centre.do("withdraw", "c2", "exit_key")
    centre.now += 61
    centre.call("c4", caller="+861")
    assert not centre.one(Queued).place_kept
    centre.call("c5", caller="+862")
    assert not centre.one(Queued).place_kept, "who left by key did not lose his line"


def test_kept_places_are_bounded() -> None:
    centre = Centre(make_queue(keep_place_s=1e9), agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    for n in range(2005):
        centre.acd.enqueue(WorkItem(id=f"c{n}", caller=f"+86{n}"), "support", centre.now)
        centre.acd.withdraw(f"c{n}", "abandoned", centre.now)
    assert len(centre.acd.floor.queues["support"].left_places) == 2000


def test_moving_keeps_the_waited_time() -> None:
    sales = make_queue("sales", max_length=1)
    centre = Centre(make_queue(), sales, agents=(make_agent("ann", {"support": 1, "sales": 1}),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.now += 30
    centre.do("move", "c1", "sales")
    assert (centre.one(QueueLeft).reason, centre.one(Queued).entered_at) == ("moved", 1000.0)
    centre.call("c2")
    centre.do("move", "c2", "sales")
    assert centre.rejected == "full"
    assert centre.acd.view_item("c2", centre.now) is not None
    centre.do("move", "c2", "support")
    assert centre.rejected == "already_there"
    centre.do("move", "c9", "support")
    assert centre.rejected == "unknown_item"


def test_pulling() -> None:
    centre = Centre(make_queue(), make_queue("sales"), agents=(make_agent("ann", {"sales": 1}), make_agent("bob")))
    for n in range(3):
        centre.call(f"c{n}")
    centre.do("pull", "c2", "ann")
    assert centre.offered == [("ann", "c2")], "whatever queue and place"
    assert centre.one(Offer).why.trigger == "pull"
    centre.do("pull", "c1", "bob")
    assert centre.rejected == "agent_ringing"
    centre.do("pull", "c0", "ann")
    assert centre.rejected == "item_offered"
    centre.do("pull", "c7", "ann")
    assert centre.rejected == "unknown_item"
    centre.do("pull", "c1", "nobody")
    assert centre.rejected == "unknown_agent"


def test_unknown_names_are_rejected() -> None:
    centre = Centre(agents=(make_agent("ann"),))
    for method, args, reason in (
        ("set_queue_open", ("nowhere", True), "unknown_queue"),
        ("decline", ("gone", "refused"), "unknown_offer"),
        ("finished", ("nobody", "c1"), "unknown_agent"),
        ("finished", ("ann", "c1"), "not_served_by_agent"),
        ("callback_reached", ("c1",), "no_callback"),
        ("callback_failed", ("c1",), "no_callback"),
        ("log_on", ("nobody", ""), "unknown_agent"),
        ("log_off", ("nobody",), "unknown_agent"),
    ):
        centre.do(method, *args)
        assert centre.rejected == reason
    with pytest.raises(KeyError):
        centre.acd.view_queue("nowhere", centre.now)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AcdConfig(queues=(make_queue(strategy="guess"),)), "unknown strategy"),
        (AcdConfig(queues=(make_queue(), make_queue())), "configured twice"),
        (AcdConfig(agents=(make_agent("ann"), make_agent("ann"))), "configured twice"),
        (AcdConfig(queues=(make_queue(ring_timeout_s=0.0),)), "ring time-out"),
        (AcdConfig(agents=(make_agent("ann", {"support": 0}),)), "levels"),
    ],
)
def test_contradictions_are_refused_and_change_nothing(config: AcdConfig, message: str) -> None:
    centre = Centre(agents=(make_agent("ann"),))
    centre.call("c1")
    with pytest.raises(ValueError, match=message):
        centre.acd.configure(config, centre.now)
    assert centre.acd.queues == ("support",)
    centre.answer("ann")
    assert centre.one(Assigned).agent == "ann"
