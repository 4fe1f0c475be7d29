"""A new configuration while everything is live."""

from __future__ import annotations

from typing import Any

from pbx.acd.messages import AgentDeadlineMissed, AgentLoggedOff, Overflowed, Queued
from pbx.acd.model import AcdConfig, ReasonConfig, SkillNeed
from tests.unit.acd.centre import Centre, make_agent, make_queue


def configure(centre: Centre, *queues: Any, agents: tuple[Any, ...] = (), **options: Any) -> None:
    centre.do("configure", AcdConfig(queues=queues, agents=agents, **options))


def test_new_skills_and_agents_are_used_at_once() -> None:
    centre = Centre(make_queue(skills=(SkillNeed("billing", 5),)), agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.call("c2")
    assert centre.offered == []
    configure(
        centre,
        make_queue(skills=(SkillNeed("billing", 5),)),
        agents=(make_agent("ann", skills={"billing": 5}), make_agent("bob"), make_agent("cy", skills={"billing": 9})),
    )
    assert centre.offered == [("ann", "c1")]
    centre.do("log_on", "cy", "", ready=True)
    assert centre.offered == [("cy", "c2")]


def test_who_talks_goes_on_talking() -> None:
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.answer("ann")
    centre.call("c2")
    configure(centre, make_queue(after_call_work_s=9.0), agents=(make_agent("bob"),))
    assert centre.out[-1].pending == "logged_off"  # type: ignore[union-attr]
    assert centre.acd.agents == ("bob",)
    centre.do("finished", "ann", "c1")
    centre.wait(9.0)
    assert centre.one(AgentLoggedOff).agent == "ann"
    centre.do("log_on", "ann", "extension:1")
    assert centre.rejected == "unknown_agent"
    centre.answer("bob")
    assert centre.state("bob") == "talking"


def test_a_removed_agent_cannot_wish_himself_back() -> None:
    """Ready while he holds the last call: he is logged off after it, and the ACD goes on."""
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.call("c1")
    centre.answer("ann")
    centre.call("c2")
    configure(centre, make_queue(), agents=(make_agent("bob"),))
    centre.do("set_state", "ann", "ready", "")
    centre.do("finished", "ann", "c1")
    assert centre.one(AgentLoggedOff).agent == "ann"
    assert centre.state("ann") == "logged_off"
    centre.answer("bob")
    assert centre.state("bob") == "talking"


def test_a_removed_queue_overflows() -> None:
    old = make_queue("old", overflow={"closed": "queue:support"})
    agents = (make_agent("ann", {"old": 1}),)
    centre = Centre(make_queue(join_when="always"), old, agents=agents)
    centre.call("c1", "old")
    centre.call("c2", "old")
    configure(centre, make_queue(join_when="always"), agents=agents)
    assert (centre.one(Overflowed).item, centre.one(Queued).queue) == ("c2", "support")
    assert centre.acd.queues == ("support",)
    centre.call("c3", "old")
    centre.decline("ann")
    assert centre.one(Overflowed).item == "c1", "who was being offered follows when the offer fails"
    configure(centre, make_queue(join_when="always"), agents=agents)
    assert "old" not in centre.acd.floor.queues
    configure(centre, make_queue(), make_queue("old"), agents=agents)
    assert set(centre.acd.queues) == {"support", "old"}


def test_order_and_limits_follow() -> None:
    centre = Centre(make_queue(), agents=(make_agent("ann"),), ready=False)
    centre.do("log_on", "ann", "", ready=False)
    centre.call("c1")
    centre.now += 10
    centre.call("c2", priority=1)
    configure(centre, make_queue(priority_step_s=5.0, max_wait_s=30.0), agents=(make_agent("ann"),))
    view = centre.acd.view_item("c1", centre.now)
    assert view is not None and view.position == 1
    centre.wait(20.0)
    assert centre.one(Overflowed).item == "c1"


def test_counts_stay() -> None:
    centre = Centre(make_queue(strategy="least_queue_calls"), agents=(make_agent("ann"), make_agent("bob")))
    for n in range(2):
        centre.call(f"c{n}")
        centre.answer("ann" if n == 0 else "bob")
        centre.now += 1
        centre.do("finished", "ann" if n == 0 else "bob", f"c{n}")
    configure(centre, make_queue(strategy="least_queue_calls"), agents=(make_agent("bob"), make_agent("ann")))
    assert [centre.acd.floor.queues["support"].seats[agent].queue_calls for agent in ("ann", "bob")] == [1, 1]


def test_limits_of_reasons_follow() -> None:
    centre = Centre(agents=(make_agent("ann"),), reasons=(ReasonConfig(name="lunch", limit_s=60.0),))
    centre.do("set_state", "ann", "not_ready", "lunch")
    configure(centre, make_queue(), agents=(make_agent("ann"),))
    centre.wait(100.0)
    assert centre.find(AgentDeadlineMissed) == [], "no such reason any more, and no limit"
    configure(centre, make_queue(), agents=(make_agent("ann"),), reasons=(ReasonConfig(name="lunch", limit_s=130.0),))
    centre.wait(30.0)
    assert centre.one(AgentDeadlineMissed).lasted_s == 130.0


def test_a_channel_that_is_gone() -> None:
    both = make_agent("ann", {"support": 1}, capacity={"voice": 1, "chat": 2})
    centre = Centre(agents=(both,))
    configure(centre, make_queue(), agents=(make_agent("ann", {"support": 1}),))
    centre.call("c1")
    assert centre.offered == [("ann", "c1")]


def test_who_loses_his_chats_while_one_is_offered_takes_a_call_when_it_is_over() -> None:
    queues = {"support": 1, "chat": 1}
    both = make_agent("ann", queues, capacity={"voice": 1, "chat": 2})
    centre = Centre(make_queue(), make_queue("chat", channel="chat"), agents=(both,))
    centre.call("m1", "chat", channel="chat")
    configure(centre, make_queue(), make_queue("chat", channel="chat"), agents=(make_agent("ann", queues),))
    centre.answer("ann")
    centre.call("c1")
    assert not centre.offered
    centre.do("finished", "ann", "m1")
    assert centre.offered == [("ann", "c1")]
