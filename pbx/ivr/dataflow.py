"""Which variables are surely set at each step: a variable read before it is set would fail the call at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pbx.core.problems import Problem
from pbx.ivr.expressions import Expression, Template
from pbx.ivr.flow import Flow, Step
from pbx.ivr.graph import ways
from pbx.ivr.options import PromptItem
from pbx.ivr.walk import find_all

ALWAYS_SET = frozenset({"call", "now", "data", "language"})
FAILING = frozenset({"no_input", "no_match"})
"""Branches on which a verb that asks has set nothing."""


def check_variables(flow: Flow, graph: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Reads of variables that are not set on every way to them, told once per step and name."""
    before = _surely_set(flow)
    anywhere = _initial(flow).union(*(step.verb.writes(step.options) for step in flow.steps.values()))
    for name, step in flow.steps.items():
        if name not in before:
            continue
        local = step.verb.gives(step.options)
        for variable in sorted(_reads(flow, step) - before[name] - local):
            if variable in anywhere:
                yield step.mark.problem(
                    f"the variable {variable!r} is not set on every way to here",
                    "a value on all ways",
                    f"give it an initial value: variables: {{{variable}: …}}",
                )
            else:
                yield step.mark.problem(f"the variable {variable!r} is never set", "a variable of this flow")


def check_secrets(flow: Flow) -> Iterator[Problem]:
    """Card data in texts that are shown or spoken: they would come out as ``***``."""
    secret = frozenset().union(*(step.verb.secret_writes(step.options) for step in flow.steps.values()))
    if not secret:
        return
    for step in flow.steps.values():
        if step.verb.name in ("http", "sql", "set", "mailbox", "pin"):
            continue
        told = {name for _, template in find_all(step.options, Template) for name in template.names & secret}
        if told:
            yield step.mark.problem(
                f"this {step.verb.name} tells of the card data {', '.join(sorted(map(repr, told)))}",
                "other variables",
                "callers and agents would get ***",
            )._replace(severity="warning")


def _initial(flow: Flow) -> frozenset[str]:
    return ALWAYS_SET | frozenset(flow.variables) | frozenset(flow.arguments)


def _surely_set(flow: Flow) -> dict[str, frozenset[str]]:
    """For every step that can be reached: what is set on all ways to it (a greatest fixed point)."""
    before: dict[str, frozenset[str]] = {flow.start: _initial(flow)}
    for name in (flow.entry, flow.on_error):
        if name:
            before[name] = _initial(flow)
    todo = list(before)
    while todo:
        name = todo.pop()
        step = flow.steps[name]
        writes = step.verb.writes(step.options)
        for branch, target in ways(step):
            if target not in flow.steps:
                continue
            after = before[name] if branch in FAILING else before[name] | writes
            known = before.get(target)
            merged = after if known is None else known & after
            if merged != known:
                before[target] = merged
                todo.append(target)
    return before


def _reads(flow: Flow, step: Step) -> frozenset[str]:
    names = set(step.verb.reads(step.options))
    for _, expression in find_all(step.options, Expression):
        names |= expression.names
    for _, template in find_all(step.options, Template):
        names |= template.names
    seen: set[str] = set()
    todo = [item.prompt for _, item in find_all(step.options, PromptItem) if item.prompt]
    while todo:
        prompt = todo.pop()
        if prompt in seen:
            continue
        seen.add(prompt)
        versions = flow.prompts.get(prompt, {})
        for _, template in find_all(versions, Template):
            names |= template.names
        todo += [item.prompt for _, item in find_all(versions, PromptItem) if item.prompt]
    return frozenset(names)
