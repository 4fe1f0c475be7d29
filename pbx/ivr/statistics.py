"""What callers did in flows: paths, branches taken, drop-outs, containment. A fold over the events of the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Mark(NamedTuple):
    """One fact about one call in a flow, in the order of the log."""

    call: str
    kind: Literal["entered", "node", "tagged", "queued", "left"]
    flow: str = ""
    value: str = ""
    """Node, tag, queue, or the reason for leaving."""


@dataclass
class FlowNumbers:
    """Numbers of one flow over a period."""

    calls: int = 0
    contained: int = 0
    """Calls that ended in the flow without waiting for an agent, and not by the caller giving up."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How calls left the flow."""
    visits: Counter[str] = field(default_factory=Counter)
    """Times each node was entered."""
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Times each pair of nodes followed each other."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Nodes in which callers hung up."""
    paths: Counter[tuple[str, ...]] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)

    @property
    def containment(self) -> float | None:
        """Share of calls contained; None without calls."""
        return self.contained / self.calls if self.calls else None

    @property
    def drop_out_rate(self) -> float | None:
        """Share of calls whose caller hung up within the flow."""
        return self.reasons["hung_up"] / self.calls if self.calls else None


@dataclass
class _Call:
    main: str
    path: list[str] = field(default_factory=list)
    last: dict[str, str] = field(default_factory=dict)
    """Last node per flow."""
    queued: bool = False


MAX_PATH = 40
"""Nodes of a path that are told apart."""


class FlowStatistics:
    """Feed it every mark; read ``flows`` at any time. Calls under way count when they leave their flow."""

    def __init__(self) -> None:
        self.flows: dict[str, FlowNumbers] = {}
        self._calls: dict[str, _Call] = {}

    def numbers(self, flow: str) -> FlowNumbers:
        return self.flows.setdefault(flow, FlowNumbers())

    def add(self, mark: Mark) -> None:
        if mark.kind == "entered":
            self._calls[mark.call] = _Call(mark.flow)
            self.numbers(mark.flow).calls += 1
            return
        call = self._calls.get(mark.call)
        if call is None:
            return
        if mark.kind == "node":
            self._enter(call, mark)
        elif mark.kind == "queued":
            call.queued = True
        elif mark.kind == "tagged":
            self.numbers(mark.flow).tags[mark.value] += 1
        else:
            self._leave(mark, call)

    def _enter(self, call: _Call, mark: Mark) -> None:
        numbers = self.numbers(mark.flow)
        numbers.visits[mark.value] += 1
        before = call.last.get(mark.flow)
        if before is not None:
            numbers.taken[before, mark.value] += 1
        call.last[mark.flow] = mark.value
        if len(call.path) < MAX_PATH:
            call.path.append(mark.value if mark.flow == call.main else f"{mark.flow}/{mark.value}")

    def _leave(self, mark: Mark, call: _Call) -> None:
        del self._calls[mark.call]
        numbers = self.numbers(call.main)
        numbers.reasons[mark.value] += 1
        numbers.paths[tuple(call.path)] += 1
        if mark.value == "hung_up" and call.path:
            numbers.dropped[call.path[-1]] += 1
        if mark.value in ("hangup", "completed") and not call.queued:
            numbers.contained += 1
