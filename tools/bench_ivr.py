"""What a flow costs: CPU of the interpreter per call (answer, three prompts, two digits, hang-up), without the switch.

    python -m tools.bench_ivr [--calls 5000] [--json FILE] [--profile]

Three flows are measured: the plain one above with fixed texts; one that fills in money, dates and numbers in Chinese;
and the shipped main menu up to the queue. Wanted: less than 2 ms of call control per call.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pbx.core.ids import SeededIds
from pbx.ivr import load_folder
from pbx.ivr import messages as m
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter
from pbx.ivr.loader import link, load_flow

WANTED_MS = 2.0
ROOT = Path(__file__).parents[1]
WALL = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PLAIN = """
prompts: {welcome: Welcome, menu: Press one or two, pin: Your number please}
nodes:
  start:
    - answer
    - play: welcome
    - menu: {prompt: menu, choices: {1: pin}, no_input: {then: bye}, no_match: {then: bye}}
  pin:
    - collect: {prompt: pin, into: pin, length: 1, no_input: {then: bye}, no_match: {then: bye}}
    - branch: {if: pin == '5', then: bye}
    - goto: bye
  bye:
    - hangup
"""
SPOKEN = """
language: zh
variables: {balance: 235.5, passed: '2026-11-20T08:12:00', count: 3}
prompts:
  balance: "余额{{ balance | money }}，共{{ count | number }}次。"
  last: "最近一次{{ passed | datetime }}。"
  menu: "卡号{{ call.caller | digits }}，请按1。"
nodes:
  start:
    - answer
    - play: balance
    - play: last
    - menu: {prompt: menu, choices: {1: pin}, no_input: {then: bye}, no_match: {then: bye}}
  pin:
    - collect: {prompt: menu, into: pin, length: 1, no_input: {then: bye}, no_match: {then: bye}}
    - goto: bye
  bye:
    - hangup
"""


def make(text: str) -> Flow:
    flow, problems = load_flow(Path("/nowhere/bench"), text)
    if flow is None:
        raise SystemExit("\n".join(str(problem) for problem in problems))
    link([flow])
    return flow


def run_call(flow: Flow, digits: str, ids: SeededIds) -> int:
    """One call; returns how many prompts it played."""
    machine = Interpreter(flow, m.CallFacts(call="c", caller="13800138000"), ids)
    now, prompts, pressed = 0.0, 0, iter(digits)
    todo = machine.start(now, WALL)
    while not machine.ended:
        now += 1.0
        event: m.Input = m.HungUp()
        for output in todo:
            if isinstance(output, m.Play):
                prompts += 1
                event = m.PlayFinished(output.request)
            elif isinstance(output, m.CheckCalendar):
                event = m.CalendarChecked(output.request, "open")
        deadline = machine.next_deadline()
        if isinstance(event, m.HungUp) and deadline is not None:
            if deadline.at <= now:  # a pause
                todo = machine.expire(now)
                continue
            digit = next(pressed, "")
            event = m.Digit(digit) if digit else event
        todo = machine.handle(event, now)
    return prompts


def measure(name: str, flow: Flow, digits: str, calls: int) -> dict[str, float | str | int]:
    ids = SeededIds(1)
    prompts = run_call(flow, digits, ids)
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for _ in range(calls):
            run_call(flow, digits, ids)
        best = min(best, (time.process_time() - begun) / calls)
    return {"flow": name, "prompts": prompts, "ms_per_call": round(best * 1000, 4), "calls_per_s": round(1 / best)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    library, _ = load_folder(ROOT / "ivr_flows")
    cases: list[tuple[str, Callable[[], Flow], str]] = [
        ("plain", lambda: make(PLAIN), "15"),
        ("spoken values", lambda: make(SPOKEN), "15"),
        ("main", lambda: library["main"], "21"),
    ]
    if arguments.profile:
        with cProfile.Profile() as profile:
            for name, build, digits in cases:
                measure(name, build(), digits, arguments.calls // 10)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(30)
        return
    results = [measure(name, build(), digits, arguments.calls) for name, build, digits in cases]
    print(f"{'flow':16} {'prompts':>8} {'ms/call':>9} {'calls/s':>9}")
    for result in results:
        print(f"{result['flow']:16} {result['prompts']:>8} {result['ms_per_call']:>9} {result['calls_per_s']:>9}")
    worst = max(float(result["ms_per_call"]) for result in results)
    print(f"wanted: below {WANTED_MS} ms of call control per call; {'met' if worst < WANTED_MS else 'MISSED'}")
    if arguments.json:
        report = {"python": platform.python_version(), "machine": platform.machine(), "results": results}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    raise SystemExit(0 if worst < WANTED_MS else 1)


if __name__ == "__main__":
    main()
