"""The simulation beside Erlang's formulae, and what its callers and agents can do."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from pbx.acd.erlang import block_erlang_b
from pbx.acd.invariants import check_invariants
from pbx.acd.model import AcdConfig, CallbackRules, Ring, SkillNeed, TierOpening
from pbx.acd.simulation.distributions import Constant, Exponential, Poisson, RecordedCall, Replay, Uniform
from pbx.acd.simulation.engine import RunResult, Simulation
from pbx.acd.simulation.results import compare_with_theory, estimate_mean, find_theory, summarise_agents
from pbx.acd.simulation.scenario import Manners, Scenario, Shift, Stream, make_simple_scenario
from pbx.acd.strategies import STRATEGIES
from pbx.core.ids import SeededIds
from pbx.events.kpi import measure_occupancy
from tests.unit.acd.centre import make_agent, make_queue


def run(scenario: Scenario, seed: int = 1) -> RunResult:
    simulation = Simulation(scenario, random.Random(seed).random, SeededIds(seed))
    result = simulation.run()
    check_invariants(simulation.acd, scenario.duration_s)
    return result


def change(scenario: Scenario, **fields: Any) -> Scenario:
    return msgspec.structs.replace(scenario, **fields)


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("Erlang C", make_simple_scenario(agents=14, per_hour=200, handling_s=180, duration_s=5 * 3600)),
        ("Erlang C", make_simple_scenario(agents=3, per_hour=40, handling_s=180, duration_s=20 * 3600)),
        ("Erlang A", make_simple_scenario(agents=14, per_hour=200, handling_s=180, patience_s=300)),
        (
            "Erlang A",
            make_simple_scenario(agents=50, per_hour=2880, handling_s=60, patience_s=120, duration_s=2 * 3600),
        ),
        ("Erlang A", make_simple_scenario(agents=5, per_hour=200, handling_s=180, patience_s=60)),
    ],
)
def test_within_three_sigma_of_erlang_over_twenty_seeds(name: str, scenario: Scenario) -> None:
    theory = find_theory(scenario)
    assert theory is not None and theory[0] == name
    comparison = compare_with_theory(scenario, [run(scenario, seed) for seed in range(20)])
    assert {row.figure for row in comparison} == {
        "waited_share",
        "service_level",
        "abandoned_share",
        "wait_s",
        "occupancy",
    }
    for row in comparison:
        assert row.sigmas is not None and abs(row.sigmas) <= 3.0, row


@pytest.mark.parametrize("strategy", ["round_robin", "least_calls", "random", "ring_all"])
def test_strategies_share_the_work_without_changing_the_queue(strategy: str) -> None:
    """With agents all alike the strategy cannot matter to callers."""
    scenario = make_simple_scenario(agents=14, per_hour=200, handling_s=180, patience_s=300, strategy=strategy)
    for row in compare_with_theory(scenario, [run(scenario, seed) for seed in range(6)]):
        assert row.sigmas is not None and abs(row.sigmas) <= 5.0, row


def test_erlang_b_where_nobody_may_wait() -> None:
    base = make_simple_scenario(agents=10, per_hour=200, handling_s=180, duration_s=30 * 3600)
    queue = msgspec.structs.replace(base.config.queues[0], join_when="ready")
    scenario = change(base, config=msgspec.structs.replace(base.config, queues=(queue,)))
    blocked = []
    for seed in range(20):
        result = run(scenario, seed)
        lost = result.refused["no_agents"]
        blocked.append(lost / (lost + result.queues["queue"].offered))
        assert result.queues["queue"].queued == 0
    found = estimate_mean(blocked)
    assert found.mean is not None and found.standard_error is not None
    assert abs(found.mean - block_erlang_b(10, 10)) <= 3 * found.standard_error


def test_the_same_seed_is_the_same_run() -> None:
    scenario = make_simple_scenario(agents=5, per_hour=90, handling_s=180, patience_s=100)
    assert run(scenario, 4) == run(scenario, 4)
    assert run(scenario, 4) != run(scenario, 5)


def make_scenario(**options: Any) -> Scenario:
    queue = options.pop("queue", make_queue())
    agents = options.pop("agents", (make_agent("ann"), make_agent("bob")))
    stream = Stream(queue=queue.name, arrivals=Poisson(30.0), **options.pop("stream", {"handling": Exponential(60.0)}))
    return Scenario(config=AcdConfig(queues=(queue,), agents=agents), streams=(stream,), **options)


def test_agents_times_add_up() -> None:
    scenario = make_scenario(
        queue=make_queue(after_call_work_s=30.0, after_call_work_limit_s=200.0),
        stream={"handling": Exponential(60.0), "after_call": Uniform(0.0, 60.0)},
        manners=Manners(answer=Uniform(1.0, 5.0), miss_share=0.05, decline_share=0.05),
        shifts=(Shift(agents=("bob",), start_s=7200.0, end_s=14400.0, breaks=((9000.0, 9600.0),)),),
        duration_s=6 * 3600.0,
        warm_up_s=3600.0,
    )
    result = run(scenario)
    times = result.agents
    assert times.logged_on_s == pytest.approx(5 * 3600.0 + 7200.0, abs=300.0), "bob may finish his last call"
    assert times.handled <= times.offers - times.missed
    assert times.missed > 0
    assert times.after_call_s / times.handled == pytest.approx(30.0, abs=4.0)
    assert times.ring_s > 3.0 * times.handled
    assert times.not_ready_s >= 600.0
    assert 0 < (measure_occupancy(times) or 0) < 1
    assert result.queues["support"].queued == result.queues["support"].offered, "phones ring before they are answered"


def test_who_misses_too_often_is_told() -> None:
    scenario = make_scenario(queue=make_queue(miss_limit=1), manners=Manners(miss_share=0.5), duration_s=4 * 3600.0)
    result = run(scenario)
    assert result.agents.missed > 20
    assert result.queues["support"].answered > 50


def test_limits_refuse_and_overflow() -> None:
    queue = make_queue(max_wait_s=30.0, max_length=3, overflow={"*": "voicemail:1"})
    result = run(make_scenario(queue=queue, agents=(make_agent("ann"),), stream={"handling": Exponential(300.0)}))
    assert result.refused["full"] > 0
    assert result.overflowed["max_wait"] == result.queues["support"].flowed_out > 0
    assert result.max_waiting <= 4


def test_nobody_works_yet() -> None:
    shift = Shift(agents=("ann", "bob"), start_s=3600.0, end_s=7200.0)
    result = run(make_scenario(shifts=(shift,), duration_s=7200.0))
    assert result.refused["no_agents"] > 15
    assert result.queues["support"].answered > 15


def test_a_recorded_day_is_replayed() -> None:
    calls = (
        RecordedCall(at=100.0, handling_s=50.0),
        RecordedCall(at=110.0, handling_s=20.0, caller="+861", priority=4),
        RecordedCall(at=120.0, patience_s=5.0),
        RecordedCall(at=130.0),
    )
    config = AcdConfig(queues=(make_queue(),), agents=(make_agent("ann"),))
    stream = Stream(queue="support", arrivals=Replay(calls), handling=Constant(7.0), patience=Constant(1000.0))
    scenario = Scenario(config=config, streams=(stream,), duration_s=1000.0)
    result = run(scenario)
    counts = result.queues["support"]
    assert (result.calls, counts.answered, counts.abandoned) == (4, 3, 1)
    assert counts.answered_wait_s == 0.0 + 40.0 + 40.0
    assert result.agents.talk_s == 50.0 + 20.0 + 7.0
    assert result.still_waiting == 0
    assert find_theory(scenario) is None
    assert compare_with_theory(scenario, [result]) == ()


def test_no_formula_fits() -> None:
    simple = make_simple_scenario(agents=5, per_hour=60, handling_s=180)
    assert find_theory(change(simple, manners=Manners(answer=Constant(3.0)))) is None
    assert find_theory(change(simple, shifts=(Shift(agents=("agent-1",), start_s=0, end_s=1),))) is None
    limited = msgspec.structs.replace(simple.config.queues[0], max_length=5)
    assert find_theory(change(simple, config=msgspec.structs.replace(simple.config, queues=(limited,)))) is None


def test_an_unknown_queue_is_refused_not_crashed() -> None:
    config = AcdConfig(queues=(make_queue(callback=CallbackRules()),), agents=(make_agent("ann"),))
    scenario = Scenario(config=config, streams=(Stream(queue="gone", arrivals=Poisson(10.0)),))
    assert run(scenario).refused["unknown_queue"] > 0


def test_a_large_floor_comes_to_rest() -> None:
    """300 agents, 30 queues, every rule at work: in the end nobody waits and nobody is stuck in a state."""
    chance = random.Random(11)
    skills = ("a", "b", "c")
    queues = tuple(
        make_queue(
            f"q{n}",
            strategy=sorted(STRATEGIES)[n % len(STRATEGIES)],
            skills=(SkillNeed(skills[n % 3], 4, (Ring(15.0, 2), Ring(40.0, 0))),),
            tiers=(TierOpening(2, 10.0),),
            max_wait_s=120.0,
            max_length=20,
            after_call_work_s=15.0,
            stay_when="active",
            miss_limit=1,
            miss_rest_s=30.0,
            overflow={"*": f"queue:q{(n + 1) % 30}"} if n % 3 else {"*": "voicemail:1"},
        )
        for n in range(30)
    )
    agents = tuple(
        make_agent(
            f"a{n}",
            {f"q{chance.randrange(30)}": chance.randint(1, 2) for _ in range(3)},
            skills={skill: chance.randint(1, 9) for skill in skills},
        )
        for n in range(300)
    )
    calls = Replay(tuple(RecordedCall(at=chance.uniform(0.0, 1800.0)) for _ in range(200)))
    scenario = Scenario(
        config=AcdConfig(queues=queues, agents=agents),
        streams=tuple(
            Stream(
                queue=queue.name,
                arrivals=calls,
                handling=Exponential(120.0),
                patience=Exponential(100.0),
                skills={} if n % 2 else {skills[n % 3]: 6},
                vip_share=0.1,
            )
            for n, queue in enumerate(queues)
        ),
        shifts=(
            Shift(agents=tuple(f"a{n}" for n in range(100)), start_s=300.0, end_s=1200.0, breaks=((600.0, 700.0),)),
        ),
        manners=Manners(answer=Uniform(1.0, 22.0), miss_share=0.05, decline_share=0.05),
        duration_s=7200.0,
    )
    simulation = Simulation(scenario, random.Random(12).random, SeededIds(12))
    result = simulation.run()
    check_invariants(simulation.acd, 7200.0)
    assert result.still_waiting == 0
    states = [simulation.acd.view_agent(agent.id).state for agent in agents]
    assert set(states) <= {"ready", "logged_off"} and states.count("logged_off") == 100
    assert result.agents.missed > 100 and result.overflowed and result.refused
    answered = sum(counts.answered for counts in result.queues.values())
    assert answered > 2500


def test_estimated_waits_are_near_the_real_ones() -> None:
    """Unbiased within a quarter of the mean wait, in a queue that is busy but stable."""
    scenario = make_simple_scenario(agents=10, per_hour=190, handling_s=180, patience_s=600, duration_s=20 * 3600)
    figures = summarise_agents([run(scenario, seed) for seed in range(5)])
    bias, error, wait = (figures[name].mean for name in ("estimate_bias_s", "estimate_error_s", "estimate_wait_s"))
    assert bias is not None and error is not None and wait is not None
    assert abs(bias) < 0.25 * wait
    assert error < 0.6 * wait


def test_confidence_intervals() -> None:
    assert estimate_mean([]).mean is None
    assert estimate_mean([None, 3.0]) == estimate_mean([3.0])
    assert estimate_mean([3.0]).half_width is None
    found = estimate_mean([1.0, 2.0, 3.0, None])
    assert (found.mean, found.runs) == (2.0, 3)
    assert found.half_width == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    many = estimate_mean([float(n % 2) for n in range(1000)])
    assert many.half_width == pytest.approx(1.96 * 0.5 / 1000**0.5, rel=0.01)
