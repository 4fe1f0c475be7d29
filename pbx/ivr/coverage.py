"""How much of the flows their test cases went through: nodes and branches, with the places left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pbx.ivr.flow import Flow
from pbx.ivr.graph import ways


@dataclass(frozen=True, slots=True)
class Coverage:
    flow: str
    nodes: int
    nodes_passed: int
    branches: int
    branches_passed: int
    missed: tuple[str, ...]
    """``line 12: menu, no_input`` for every branch that no case took."""

    @property
    def percent(self) -> float:
        """Of the branches."""
        return 100.0 if not self.branches else 100.0 * self.branches_passed / self.branches


def measure(flows: Mapping[str, Flow], taken: Iterable[tuple[str, str, str]]) -> list[Coverage]:
    """Coverage of each flow by (flow, step, branch) as the interpreter traces them."""
    passed = set(taken)
    steps = {(flow, step) for flow, step, _ in passed}
    return [_measure_one(flow, passed, steps) for _, flow in sorted(flows.items())]


def _measure_one(flow: Flow, passed: set[tuple[str, str, str]], steps: set[tuple[str, str]]) -> Coverage:
    nodes = {step.node for step in flow.steps.values()}
    seen = {step.node for step in flow.steps.values() if (flow.name, step.id) in steps}
    total, hit, missed = 0, 0, []
    for step in flow.steps.values():
        named = dict(ways(step))
        branches = list(named) or ["next"]
        went = {branch for name, own, branch in passed if (name, own) == (flow.name, step.id)}
        went = {branch if branch in named or not named else "next" for branch in went}
        for branch in branches:
            total += 1
            if branch in went:
                hit += 1
            else:
                missed.append(f"line {step.mark.line}: {step.verb.name}{'' if branch == 'next' else ', ' + branch}")
    return Coverage(flow.name, len(nodes), len(seen), total, hit, tuple(missed))
