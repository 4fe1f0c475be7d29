"""Who gets what: skills, rings, levels, languages, helpers, strategies, several queues, preferences, and why."""

from __future__ import annotations

import pytest

from pbx.acd.explain import Decision, decision_from_data, render
from pbx.acd.messages import Offer, Queued, WorkItem
from pbx.acd.model import Boost, Helpers, Ring, SkillNeed, TierOpening
from tests.unit.acd.centre import Centre, make_agent, make_queue

# --- skills -----------------------------------------------------------------------------------------------------


def test_rings_widen() -> None:
    need = SkillNeed("billing", 8, (Ring(10.0, 5), Ring(30.0, 0)))
    agents = (
        make_agent("beginner"),
        make_agent("good", skills={"billing": 6}),
        make_agent("expert", skills={"billing": 9}),
    )
    centre = Centre(make_queue(skills=(need,)), agents=agents)
    for n in range(3):
        centre.call(f"c{n}")
    assert centre.offered == []
    centre.wait(9.9)
    assert centre.offered == []
    assert centre.wait(0.1) and centre.offered == [("good", "c1")]
    centre.answer("good")
    centre.answer("expert")
    centre.wait(20.0)
    assert centre.offered == [("beginner", "c2")]
    assert centre.one(Offer).why.needs == ()


def test_an_item_put_back_has_widened_meanwhile() -> None:
    need = SkillNeed("billing", 8, (Ring(10.0, 0),))
    agents = (make_agent("beginner"), make_agent("expert", skills={"billing": 9}))
    centre = Centre(make_queue(skills=(need,)), agents=agents)
    centre.call("c1")
    assert centre.offered == [("expert", "c1")]
    centre.wait(20.0)
    assert centre.offered == [("beginner", "c1")]


def test_skills_of_the_item() -> None:
    agents = (make_agent("ann"), make_agent("bob", skills={"billing": 3, "legal": 7}))
    centre = Centre(make_queue(skills=(SkillNeed("billing", 2),)), agents=agents)
    centre.call("c1", skills={"legal": 5})
    assert centre.offered == [("bob", "c1")]
    assert centre.one(Offer).why.needs == ("skill billing >= 2", "skill legal >= 5")
    centre.call("c2", skills={"legal": 5, "billing": 1})
    centre.call("c3", skills={"unheard": 1})
    assert centre.offered == []
    centre.answer("bob")
    centre.do("finished", "bob", "c1")
    assert centre.offered == [("bob", "c2")]


def test_many_kinds_of_items_are_forgotten_again() -> None:
    centre = Centre(agents=(make_agent("ann", skills={"s1": 1}),))
    for n in range(400):
        centre.acd.enqueue(WorkItem(id=f"c{n}", skills={f"s{n}": 1}), "support", centre.now)
        centre.acd.withdraw(f"c{n}", "abandoned", centre.now)
    queue = centre.acd.floor.queues["support"]
    assert len(queue.plans) <= 128 and len(queue.needs) <= 128
    centre.call("last", skills={"s1": 1})
    assert centre.offered == [("ann", "last")]


def test_languages() -> None:
    agents = (
        make_agent("zh", languages=("zh-HK",)),
        make_agent("en", languages=("en",)),
        make_agent("all"),
    )
    centre = Centre(make_queue(match_language=True, language_after_s=30.0), agents=agents)
    centre.call("c1", language="zh")
    assert centre.offered == [("zh", "c1")], "zh-HK serves zh"
    centre.call("c2", language="zh")
    assert centre.offered == [("all", "c2")]
    centre.answer("zh")
    centre.answer("all")
    centre.call("c3", language="zh")
    assert centre.offered == []
    centre.wait(30.0)
    assert centre.offered == [("en", "c3")]


def test_languages_do_not_matter_where_they_are_not_matched() -> None:
    centre = Centre(agents=(make_agent("en", languages=("en",)),))
    centre.call("c1", language="zh")
    assert centre.offered == [("en", "c1")]


def test_levels_and_their_opening() -> None:
    agents = (make_agent("third", {"support": 3}), make_agent("second", {"support": 2}), make_agent("first"))
    centre = Centre(make_queue(tiers=(TierOpening(2, 10.0), TierOpening(3, 20.0))), agents=agents)
    for n in range(3):
        centre.call(f"c{n}")
    centre.answer("first")
    centre.wait(10.0)
    assert centre.offered == [("second", "c1")]
    centre.answer("second")
    centre.wait(10.0)
    assert centre.offered == [("third", "c2")]


def test_lower_levels_only_when_the_first_are_busy() -> None:
    centre = Centre(agents=(make_agent("second", {"support": 2}), make_agent("first")))
    centre.now += 5
    centre.call("c1")
    assert centre.offered == [("first", "c1")], "although second has been idle as long"
    assert centre.one(Offer).why.tie_break == "level"
    centre.call("c2")
    assert centre.offered == [("second", "c2")]


def test_helpers_from_another_queue() -> None:
    queue = make_queue(helpers=(Helpers("sales", 15.0), Helpers("nowhere", 0.0)), join_when="always")
    agents = (make_agent("seller", {"sales": 1}), make_agent("both", {"support": 1, "sales": 1}))
    centre = Centre(queue, make_queue("sales"), agents=agents)
    centre.call("c1")
    centre.call("c2")
    centre.answer("both")
    centre.wait(15.0)
    assert centre.offered == [("seller", "c2")]
    assert centre.acd.floor.queues["support"].logged_on == 1, "helpers are not this queue's staff"
    centre.do("log_off", "seller")
    assert centre.acd.floor.queues["support"].logged_on == 1


def test_boosts() -> None:
    centre = Centre(make_queue(boosts=(Boost(30.0, 1), Boost(60.0, 2))), agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.wait(29.0)
    centre.call("c2", priority=1)
    assert centre.one(Queued).position == 1
    centre.wait(1.0)
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and (view.position, view.priority) == (1, 1)
    centre.wait(30.0)
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.priority == 3


# --- strategies -------------------------------------------------------------------------------------------------


def serve(centre: Centre, calls: int, seconds: float = 10.0) -> list[str]:
    """Calls one after another; who got each."""
    served = []
    for n in range(calls):
        centre.now += 1
        centre.call(f"c{n}")
        agent = centre.offered[0][0]
        served.append(agent)
        centre.answer(agent)
        centre.now += seconds
        centre.do("finished", agent, f"c{n}")
    return served


def test_longest_idle() -> None:
    centre = Centre(agents=tuple(make_agent(name) for name in ("ann", "bob", "cy")))
    assert serve(centre, 6) == ["ann", "bob", "cy"] * 2
    centre.do("set_state", "ann", "not_ready", "")
    centre.do("set_state", "ann", "ready", "")
    assert serve(centre, 1) == ["bob"], "a pause starts the idle time anew"


def test_a_withdrawn_offer_does_not_start_the_idle_time_anew() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.now += 5
    centre.call("c1")
    centre.do("withdraw", "c1", "abandoned")
    centre.call("c2")
    assert centre.offered == [("ann", "c2")]


def test_round_robin() -> None:
    centre = Centre(make_queue(strategy="round_robin"), agents=tuple(make_agent(name) for name in ("ann", "bob", "cy")))
    centre.call("x")
    centre.do("withdraw", "x", "abandoned")
    assert serve(centre, 4) == ["bob", "cy", "ann", "bob"], "an offer counts, answered or not"


def test_least_calls() -> None:
    queues = (make_queue(strategy="least_calls"), make_queue("sales"))
    agents = (make_agent("ann", {"support": 1, "sales": 1}), make_agent("bob"))
    centre = Centre(*queues, agents=agents)
    for n in range(3):
        centre.call(f"s{n}", "sales")
        centre.answer("ann")
        centre.do("finished", "ann", f"s{n}")
    assert serve(centre, 4) == ["bob", "bob", "bob", "ann"]


def test_least_calls_of_the_queue() -> None:
    queues = (make_queue(strategy="least_queue_calls"), make_queue("sales"))
    agents = (make_agent("ann", {"support": 1, "sales": 1}), make_agent("bob"))
    centre = Centre(*queues, agents=agents)
    for n in range(3):
        centre.call(f"s{n}", "sales")
        centre.answer("ann")
        centre.now += 10
        centre.do("finished", "ann", f"s{n}")
    assert serve(centre, 3) == ["bob", "ann", "bob"]


@pytest.mark.parametrize(
    ("strategy", "order"), [("skill_level", ["expert", "good"]), ("least_skilled", ["good", "expert"])]
)
def test_skill_strategies(strategy: str, order: list[str]) -> None:
    agents = (make_agent("good", skills={"billing": 6}), make_agent("expert", skills={"billing": 9}))
    centre = Centre(make_queue(strategy=strategy, skills=(SkillNeed("billing", 5),)), agents=agents)
    for n, agent in enumerate(order):
        centre.call(f"c{n}")
        assert centre.offered == [(agent, f"c{n}")]
    assert centre.one(Offer).why.tie_break == "only one"


def test_random_is_spread() -> None:
    centre = Centre(make_queue(strategy="random"), agents=tuple(make_agent(name) for name in ("ann", "bob", "cy")))
    served = serve(centre, 60)
    assert all(10 <= served.count(agent) <= 32 for agent in ("ann", "bob", "cy"))


# --- several queues ----------------------------------------------------------------------------------------------


def fill(centre: Centre, *calls: tuple[str, str, float]) -> None:
    """(item, queue, seconds before the next)."""
    for item, queue, seconds in calls:
        centre.call(item, queue)
        centre.now += seconds


def test_the_more_urgent_by_service_level() -> None:
    slow, quick = make_queue("slow", service_level_s=60.0), make_queue("quick", service_level_s=10.0)
    centre = Centre(slow, quick, agents=(make_agent("ann", {"slow": 1, "quick": 1}),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    fill(centre, ("s1", "slow", 24.0), ("q1", "quick", 6.0))
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "q1")], "six tenths of its threshold, the other five"
    rivals = centre.one(Offer).why.rivals
    assert [(rival.item, rival.urgency) for rival in rivals] == [("s1", 0.5)]


def test_weight_and_level_between_queues() -> None:
    queues = (make_queue("a"), make_queue("b", weight=2.0))
    agents = (make_agent("ann", {"a": 1, "b": 1}), make_agent("bob", {"a": 1, "b": 4}))
    centre = Centre(*queues, agents=agents, ready=False)
    for agent in ("ann", "bob"):
        centre.do("log_on", agent, "", ready=False)
    fill(centre, ("a1", "a", 2.0), ("b1", "b", 8.0), ("a2", "a", 0.0), ("b2", "b", 4.0))
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "b1")], "8 s by weight 2 before 10 s by weight 1"
    centre.do("set_state", "bob", "ready", "")
    assert centre.offered == [("bob", "a1")]


def test_whoever_waited_too_long_comes_before_everything() -> None:
    queues = (make_queue("poor", weight=0.001), make_queue("rich", weight=1000.0, vip_priority=9))
    centre = Centre(*queues, agents=(make_agent("ann", {"poor": 9, "rich": 1}),), ready=False, fairness_s=100.0)
    centre.do("log_on", "ann", "", ready=False)
    fill(centre, ("p1", "poor", 60.0), ("r1", "rich", 39.0))
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "r1")]
    centre.do("set_state", "ann", "not_ready", "")
    centre.now += 1
    centre.do("set_state", "ann", "ready", "")
    assert centre.offered == [("ann", "p1")]
    assert not centre.one(Offer).why.rivals[0].overdue


# --- preferred agents --------------------------------------------------------------------------------------------


def test_the_preferred_agent_if_free() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1", preferred_agents=("bob",))
    assert centre.offered == [("bob", "c1")]
    why = centre.one(Offer).why
    assert why.preferred and why.tie_break == "preferred"
    centre.call("c2", preferred_agents=("bob",))
    assert centre.offered == [("ann", "c2")], "without a time nobody waits"


def test_waiting_for_the_preferred_agent() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob", {})))
    centre.do("busy", "bob", "leg")
    centre.call("c1", preferred_agents=("bob", "nobody", "bob"), preferred_s=30.0)
    assert centre.offered == []
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and (view.state, view.agents, view.position) == ("reserved", ("bob",), 1)
    centre.wait(10.0)
    centre.do("finished", "bob", "leg")
    assert centre.offered == [("bob", "c1")], "of no queue, but asked for by name"
    centre.decline("bob")
    assert centre.offered == [("ann", "c1")], "paused, so not waited for any longer"


def test_the_preference_runs_out() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.do("busy", "bob", "leg")
    centre.call("c1", preferred_agents=("bob",), preferred_s=30.0)
    centre.wait(30.0)
    assert centre.offered == [("ann", "c1")]


def test_the_preference_ends_when_the_agent_leaves() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.do("busy", "bob", "leg")
    centre.call("c1", preferred_agents=("bob",), preferred_s=30.0)
    centre.do("log_off", "bob", forced=True)
    assert centre.offered == [("ann", "c1")]


def test_named_items_come_before_the_urgent_but_not_before_the_overdue() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")), fairness_s=100.0, ready=False)
    centre.do("log_on", "ann", "", ready=True)
    centre.do("log_on", "bob", "", ready=True)
    centre.do("busy", "ann", "leg-1")
    centre.do("busy", "bob", "leg-2")
    centre.call("old")
    centre.wait(90.0)
    centre.call("named", preferred_agents=("bob",), preferred_s=60.0)
    centre.do("finished", "bob", "leg-2")
    assert centre.offered == [("bob", "named")]
    centre.decline("bob")
    centre.wait(10.0)
    assert ("bob", "old") in centre.offered


def test_waiting_for_one_of_two() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.do("busy", "ann", "leg-1")
    centre.do("busy", "bob", "leg-2")
    centre.call("c1", preferred_agents=("ann", "bob"), preferred_s=60.0)
    centre.do("finished", "ann", "leg-1")
    centre.decline("ann")
    assert centre.offered == []
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.state == "reserved", "bob may still come"
    centre.do("finished", "bob", "leg-2")
    assert centre.offered == [("bob", "c1")]


# --- why ---------------------------------------------------------------------------------------------------------


def explain() -> Decision:
    agents = (
        make_agent("talker"),
        make_agent("ann", skills={"billing": 9}),
        make_agent("bob", skills={"billing": 5}),
        make_agent("newcomer"),
        make_agent("second", {"support": 2}, skills={"billing": 9}),
        make_agent("hungry", skills={"billing": 9}),
        make_agent("foreigner", skills={"billing": 9}, languages=("en",)),
    )
    queue = make_queue(
        strategy="skill_level", skills=(SkillNeed("billing", 3),), tiers=(TierOpening(2, 60.0),), match_language=True
    )
    centre = Centre(queue, agents=agents)
    centre.do("busy", "talker", "leg")
    centre.do("set_state", "hungry", "not_ready", "lunch")
    centre.call("c1", language="zh")
    return centre.one(Offer).why


def test_the_decision_tells_everything() -> None:
    why = explain()
    assert (why.agent, why.trigger, why.ready, why.fitting, why.tie_break) == ("ann", "item", 5, 2, "skill")
    assert [(candidate.agent, candidate.score) for candidate in why.candidates] == [("ann", 9.0), ("bob", 5.0)]
    assert {excluded.agent: excluded.why for excluded in why.excluded} == {
        "talker": "skill billing 0 < 3",
        "newcomer": "skill billing 0 < 3",
        "second": "level 2 > 1",
        "hungry": "not_ready: lunch",
        "foreigner": "language zh",
    }
    assert why.needs == ("skill billing >= 3", "language zh", "level <= 1")


def test_the_decision_survives_the_log() -> None:
    why = explain()
    data = why.to_data()
    assert data["tie_break"] == "skill"
    assert decision_from_data(data) == why


def test_the_decision_in_words() -> None:
    english = render(explain())
    assert "ann was offered c1 of support after 0.0 s" in english
    assert "Ready in the queue: 5, of these fitting: 2." in english
    assert "  hungry: not_ready: lunch" in english
    assert "队列中就绪 5 人" in render(explain(), "zh-CN")


def test_rivals_in_words() -> None:
    centre = Centre(agents=(make_agent("ann"),), fairness_s=50.0)
    centre.do("busy", "ann", "leg")
    centre.call("c1")
    centre.call("c2", skills={"none": 0})
    centre.now += 60
    centre.do("finished", "ann", "leg")
    text = render(centre.one(Offer).why)
    assert "The agent became free and looked for an item." in text
    centre = Centre(
        make_queue(), make_queue("sales"), agents=(make_agent("ann", {"support": 1, "sales": 1}),), fairness_s=50.0
    )
    centre.do("busy", "ann", "leg")
    fill(centre, ("c1", "support", 10.0), ("s1", "sales", 50.0))
    centre.do("finished", "ann", "leg")
    assert "s1 of sales: urgency 2.50, overdue" in render(centre.one(Offer).why)


def test_explanations_can_be_brief() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")), explain_members=0)
    centre.call("c1", preferred_agents=("bob",))
    why = centre.one(Offer).why
    assert (why.agent, why.candidates, why.excluded, why.ready) == ("bob", (), (), 0)
    assert "The item named this agent." in render(why)
