"""What a routing decision costs, small and at scale, and how fast the simulator is.

    python -m tools.bench_acd [--agents 10000] [--queues 500] [--calls 20000] [--simulate 200000] [--json FILE]

Large floor: every agent sits in several queues and has skills, half of the calls ask for one, and the load is near what
the agents can take, so that queues are long and agents few at some times and the other way round at others. A decision
is one input that may lead to an offer: a call that enters, an agent who comes free, a deadline. Its time is all that
the ACD does for that input, outputs and kept explanation included.

Times are of the process's CPU clock; exits with 1 if the target of 200 µs a decision or of 60 s for a million
simulated calls is missed.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import platform
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pbx.acd.acd import Acd
from pbx.acd.erlang import wait_erlang_a
from pbx.acd.invariants import check_invariants
from pbx.acd.messages import AnyOutput, Assigned, Offer, WorkItem
from pbx.acd.model import AcdConfig, AgentConfig, QueueConfig, Ring, SkillNeed
from pbx.acd.simulation.engine import Simulation
from pbx.acd.simulation.scenario import make_simple_scenario
from pbx.core.ids import SeededIds

DECISION_TARGET_US = 200.0
MILLION_TARGET_S = 60.0
HANDLING_S = 180.0
SKILLS = tuple(f"skill-{n}" for n in range(8))
STRATEGIES = ("longest_idle", "round_robin", "least_calls", "skill_level")


def make_floor(agents: int, queues: int, chance: random.Random, explain: int) -> AcdConfig:
    """Queues of every strategy, agents in up to five of them with up to three skills."""
    return AcdConfig(
        queues=tuple(
            QueueConfig(
                name=f"queue-{n}",
                strategy=STRATEGIES[n % len(STRATEGIES)],
                skills=(SkillNeed(SKILLS[n % 8], 3, (Ring(20.0, 0),)),) if n % 2 else (),
                max_wait_s=600.0,
                after_call_work_s=10.0,
                announce_interval_s=60.0,
            )
            for n in range(queues)
        ),
        agents=tuple(
            AgentConfig(
                id=f"agent-{n}",
                queues={f"queue-{chance.randrange(queues)}": chance.randint(1, 3) for _ in range(chance.randint(1, 5))},
                skills={skill: chance.randint(1, 10) for skill in chance.sample(SKILLS, 3)},
                device=f"desk-{n}",
            )
            for n in range(agents)
        ),
        explain_members=explain,
    )


class Floor:
    """Calls and agents of a large centre; times every input."""

    def __init__(self, config: AcdConfig, chance: random.Random, load: float) -> None:
        self.chance = chance
        self.queues = [queue.name for queue in config.queues]
        self.gap = HANDLING_S / len(config.agents) / load
        self.acd = Acd(config, SeededIds(1))
        self.now = 0.0
        self.times: list[float] = []
        self.offers = 0
        self.busy: list[tuple[float, str, str]] = []
        for agent in config.agents:
            self.acd.log_on(agent.id, agent.device, 0.0, ready=True)

    def run(self, calls: int, count: bool) -> None:
        clock = time.process_time
        times = self.times
        for _ in range(calls):
            self.now += self.chance.expovariate(1 / self.gap)
            while self.busy and self.busy[0][0] <= self.now:
                at, agent, item = heapq.heappop(self.busy)
                start = clock()
                out = self.acd.finished(agent, item, at)
                self._take(out, at)
                times.append(clock() - start)
            due = self.acd.next_deadline()
            if due is not None and due.at <= self.now:
                start = clock()
                self._take(self.acd.expire(self.now), self.now)
                times.append(clock() - start)
            self.number = getattr(self, "number", 0) + 1
            skills = {self.chance.choice(SKILLS): self.chance.randint(1, 6)} if self.number % 2 else {}
            work = WorkItem(id=f"c{self.number}", skills=skills, priority=self.number % 3)
            queue = self.chance.choice(self.queues)
            start = clock()
            out = self.acd.enqueue(work, queue, self.now)
            self._take(out, self.now)
            times.append(clock() - start)
        if not count:
            times.clear()
            self.offers = 0

    def _take(self, outputs: list[AnyOutput], now: float) -> None:
        for output in outputs:
            if type(output) is Offer:
                self.offers += 1
                self._take(self.acd.accept(output.offer, now), now)
            elif type(output) is Assigned:
                until = now + self.chance.expovariate(1 / HANDLING_S)
                heapq.heappush(self.busy, (until, output.agent, output.item))


def measure_floor(agents: int, queues: int, calls: int, explain: int, load: float) -> dict[str, Any]:
    chance = random.Random(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    floor = Floor(make_floor(agents, queues, chance, explain), chance, load)
    opening = time.process_time() - started
    floor.run(2 * max(agents, 1000), count=False)
    gc.collect()
    gc.freeze()
    floor.run(calls, count=True)
    gc.unfreeze()
    check_invariants(floor.acd, floor.now)
    times = sorted(floor.times)
    return {
        "agents": agents,
        "queues": queues,
        "load": load,
        "explained": bool(explain),
        "inputs": len(times),
        "offers": floor.offers,
        "mean_us": round(1e6 * sum(times) / len(times), 1),
        "p50_us": round(1e6 * times[len(times) // 2], 1),
        "p99_us": round(1e6 * times[int(len(times) * 0.99)], 1),
        "per_second": round(len(times) / sum(times)),
        "waiting": len(floor.acd.floor.items),
        "opening_s": round(opening, 3),
        "memory_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
    }


def measure_simulator(calls: int) -> dict[str, Any]:
    agents, patience = 100, 300.0
    per_hour = 1800.0
    scenario = make_simple_scenario(
        agents=agents,
        per_hour=per_hour,
        handling_s=HANDLING_S,
        patience_s=patience,
        duration_s=(calls / per_hour + 1.0) * 3600.0,
    )
    started = time.process_time()
    result = Simulation(scenario, random.Random(1).random, SeededIds(1)).run()
    seconds = time.process_time() - started
    theory = wait_erlang_a(per_hour / 3600.0 * HANDLING_S, agents, HANDLING_S, patience, 20.0)
    counts = result.queues["queue"]
    return {
        "calls": result.calls,
        "seconds": round(seconds, 2),
        "us_per_call": round(1e6 * seconds / result.calls, 1),
        "million_s": round(1e6 * seconds / result.calls, 1),
        "virtual_hours_per_second": round(scenario.duration_s / 3600.0 / seconds, 1),
        "abandoned": round(counts.abandoned / counts.offered, 5),
        "abandoned_erlang_a": round(theory.abandoned, 5),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--queues", type=int, default=500)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--simulate", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="Write the figures here, too.")
    options = parser.parse_args()
    floors = [
        measure_floor(20, 3, options.calls, 50, 0.9),
        measure_floor(options.agents, options.queues, options.calls, 0, 0.9),
        measure_floor(options.agents, options.queues, options.calls, 50, 0.9),
        measure_floor(options.agents, options.queues, options.calls, 50, 1.1),
        measure_floor(options.agents, 1, options.calls, 0, 0.9),
    ]
    simulator = measure_simulator(options.simulate)
    print(
        f"{'agents':>7} {'queues':>6} {'load':>5} {'why':>4} {'mean µs':>8} {'p50':>7} {'p99':>8}"
        f" {'inputs/s':>9} {'waiting':>8}"
    )
    for row in floors:
        why = "yes" if row["explained"] else "no"
        print(
            f"{row['agents']:>7} {row['queues']:>6} {row['load']:>5} {why:>4} {row['mean_us']:>8} {row['p50_us']:>7}"
            f" {row['p99_us']:>8} {row['per_second']:>9} {row['waiting']:>8}"
        )
    print(
        f"simulator: {simulator['calls']:,} calls in {simulator['seconds']} s, {simulator['us_per_call']} µs a call,"
        f" a million in {simulator['million_s']} s; abandoned {simulator['abandoned']:.4%},"
        f" Erlang A {simulator['abandoned_erlang_a']:.4%}"
    )
    slowest = max(row["mean_us"] for row in floors)
    failed = slowest > DECISION_TARGET_US or simulator["million_s"] > MILLION_TARGET_S
    verdict = "MISSED" if failed else "met"
    print(f"targets: {DECISION_TARGET_US:g} µs a decision, {MILLION_TARGET_S:g} s a million calls: {verdict}")
    if options.json:
        figures = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "floors": floors,
            "simulator": simulator,
        }
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
