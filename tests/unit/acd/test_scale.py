"""Queues with agents of very many kinds choose the same agents as those with few."""

from __future__ import annotations

import random

import pytest

from pbx.acd.messages import Offer
from pbx.acd.model import SkillNeed
from tests.unit.acd.centre import Centre, make_agent, make_queue

SKILLS = ("a", "b", "c", "d")


def make_centre(strategy: str, seed: int) -> Centre:
    """60 agents, hardly two alike."""
    chance = random.Random(seed)
    agents = tuple(
        make_agent(
            f"agent-{n}",
            {"support": chance.randint(1, 3)},
            skills={skill: chance.randint(1, 9) for skill in chance.sample(SKILLS, 3)},
        )
        for n in range(60)
    )
    queue = make_queue(strategy=strategy, skills=tuple(SkillNeed(skill, 0) for skill in SKILLS), ring_all_limit=4)
    return Centre(queue, agents=agents, explain_members=0)


@pytest.mark.parametrize("strategy", ["longest_idle", "round_robin", "least_calls", "skill_level", "ring_all"])
def test_the_choice_is_the_first_in_order(strategy: str) -> None:
    centre = make_centre(strategy, 3)
    queue = centre.acd.floor.queues["support"]
    assert queue.crowds is not None and len(queue.groups) > 32
    chance = random.Random(4)
    for n in range(80):
        needs = {skill: chance.randint(1, 9) for skill in chance.sample(SKILLS, chance.randint(0, 2))}
        order = sorted(
            (
                seat.level,
                -queue.strategy.fit(agent.config.skills, tuple(needs.items())),
                queue.strategy.key(seat),
                agent.number,
            )
            for agent in centre.acd.floor.agents.values()
            if agent.pooled and all(agent.config.skills.get(skill, 0) >= level for skill, level in needs.items())
            for seat in agent.seats.values()
        )
        expected = [f"agent-{number - 1}" for *_, number in order][: 4 if strategy == "ring_all" else 1]
        centre.now += 1
        centre.call(f"c{n}", skills=needs)
        assert [agent for agent, _ in centre.offered] == expected
        if expected:
            centre.answer(expected[0])
            if n % 3 == 0:
                centre.do("finished", expected[0], f"c{n}")
        else:
            centre.do("withdraw", f"c{n}", "abandoned")


def test_random_draws_among_the_first() -> None:
    centre = make_centre("random", 5)
    first = min(agent.seats["support"].level for agent in centre.acd.floor.agents.values())
    chosen = set()
    for n in range(20):
        centre.call(f"c{n}")
        chosen.add(centre.offered[0][0])
        centre.do("withdraw", f"c{n}", "abandoned")
    assert len(chosen) > 5
    assert all(centre.acd.floor.agents[agent].seats["support"].level == first for agent in chosen)


def test_the_explanation_counts_what_it_can() -> None:
    centre = make_centre("longest_idle", 6)
    centre.do("configure", centre.config.__class__(queues=centre.config.queues, agents=centre.config.agents))
    centre.call("c1", skills={"a": 9})
    why = centre.one(Offer).why
    levels = [agent.config.skills.get("a", 0) for agent in centre.acd.floor.agents.values()]
    assert (why.ready, why.fitting) == (60, levels.count(9))
