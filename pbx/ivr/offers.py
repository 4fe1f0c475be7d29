"""What a flow offers its callers and the configuration does not give: callbacks, understanding speech."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.core.problems import Problem
from pbx.core.references import References
from pbx.ivr.flow import Flow, Step
from pbx.ivr.graph import Graph, reach


def check_offers(flow: Flow, graph: Graph, known: References) -> Iterator[Problem]:
    """Warnings only: the flow runs, its callers are refused or have their digits."""
    for problem in (*_check_callbacks(flow, graph, known), *_check_speech(flow, known)):
        yield problem._replace(severity="warning")


def _check_callbacks(flow: Flow, graph: Graph, known: References) -> Iterator[Problem]:
    by_key = {queue for queue, destination in known.queue_keys if destination == f"flow:{flow.name}"}
    waiting = [step for step in flow.steps.values() if step.verb.name == "queue"]
    for name, step in flow.steps.items():
        if step.verb.name != "callback":
            continue
        queues = {_queue_of(step)} if step.options.queue.source else by_key | _left_for(name, waiting, graph)
        for queue in sorted((queues & known.queues) - known.callback_queues):
            yield step.mark.problem(
                f"callers are offered a callback, and the queue {queue!r} takes none",
                "callback: {} at the queue",
                "every caller will be refused",
            )


def _queue_of(step: Step) -> str:
    """The queue of a step; empty where only the call tells it."""
    template = step.options.queue
    return str(template.source) if template.is_plain else ""


def _left_for(callback: str, waiting: list[Step], graph: Graph) -> set[str]:
    """The queues that callers left last on some way to ``callback``."""
    queues = {step.id for step in waiting}
    # A way ends at the next queue: who comes from there left that one.
    onward = {name: frozenset[str]() if name in queues else targets for name, targets in graph.items()}
    return {_queue_of(step) for step in waiting if callback in reach(onward, graph[step.id])}


def _check_speech(flow: Flow, known: References) -> Iterator[Problem]:
    """Told once a flow, at the first step that listens."""
    mute = [tag for tag in flow.languages if not {tag, tag.split("-")[0]} & known.recognisers]
    listening = next((step for step in flow.steps.values() if getattr(step.options, "speech", None)), None)
    if listening is not None and mute:
        yield listening.mark.problem(
            f"callers may answer by speaking, and no recogniser understands {', '.join(mute)}",
            "speech: recognisers: in the configuration",
            "until then digits alone are taken",
        )
