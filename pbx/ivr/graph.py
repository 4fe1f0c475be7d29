"""The graph of a flow's steps: who follows whom, what can be reached, where no way leads out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pbx.ivr.flow import Flow, Step

END = "<end>"
"""Stands for the end of the flow behind its last step."""
Graph = dict[str, frozenset[str]]


def ways(step: Step) -> Iterator[tuple[str, str]]:
    """Branch and next step for every way out of a step; ``END`` where the flow ends behind it."""
    for branch, target in step.branches.items():
        yield branch, target or step.next or END
    if not step.verb.ends and step.verb.goes_on(step.options):
        yield "next", step.next or END


def full_graph(flow: Flow) -> Graph:
    """Every way there is; a step that ends the flow leads to ``END``."""
    return {
        name: frozenset({END}) if step.verb.ends else frozenset(target for _, target in ways(step))
        for name, step in flow.steps.items()
    }


def silent_graph(flow: Flow) -> Graph:
    """Only the ways taken when the caller does nothing."""
    graph: Graph = {}
    for name, step in flow.steps.items():
        silent = step.verb.silent_branches(step.options)
        if step.verb.ends:
            graph[name] = frozenset({END})
        elif silent is None:
            graph[name] = frozenset(target for _, target in ways(step))
        else:
            chosen = {target for branch, target in ways(step) if branch in silent}
            graph[name] = frozenset(chosen or {step.next or END})
    return graph


def reach(graph: Mapping[str, Iterable[str]], starts: Iterable[str]) -> set[str]:
    """All that can be reached from ``starts``, these included."""
    seen: set[str] = set()
    todo = list(starts)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [other for other in graph.get(name, ()) if other not in seen]
    return seen


def cannot_end(graph: Graph) -> set[str]:
    """The steps from which no way leads to the end."""
    backwards: dict[str, set[str]] = {}
    for name, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, set()).add(name)
    return set(graph) - reach(backwards, [END])


def spinning(flow: Flow) -> set[str]:
    """Steps in a circle where nothing ever waits, so that the machine would spin.

    ``loop`` counts, so it breaks a circle; a verb that waits does too.
    """
    graph = {
        name: frozenset() if step.verb.waits or step.verb.name == "loop" else targets
        for (name, targets), step in zip(full_graph(flow).items(), flow.steps.values(), strict=True)
    }
    return {name for name in graph if name in reach(graph, graph[name])}
