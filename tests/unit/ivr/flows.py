"""Small flows for the tests, and a hand that drives them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, TypeVar

from pbx.core.ids import SeededIds
from pbx.ivr import messages as m
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter
from pbx.ivr.loader import link, load_flow

WALL = datetime(2026, 11, 23, 14, 5, tzinfo=timezone(timedelta(hours=8)))
O = TypeVar("O", bound=m.Output)  # noqa: E741


def make_flow(nodes: str, top: str = "", name: str = "tried", folder: Path | None = None) -> Flow:
    """A flow from its nodes; `welcome`, `sorry` and `bye` are prompts it has."""
    text = f"languages: [en, zh]\n{dedent(top)}\nprompts: {{welcome: Welcome, sorry: Sorry, bye: Goodbye}}\nnodes:\n"
    flow, problems = load_flow((folder or Path("/nowhere")) / name, text + indent(dedent(nodes), "  "))
    assert flow is not None, [str(problem) for problem in problems]
    link([flow])
    return flow


class Driver:
    """An interpreter with a clock and all it ever put out."""

    def __init__(self, flow: Flow | str, **call: Any) -> None:
        self.flow = make_flow(flow) if isinstance(flow, str) else flow
        facts = m.CallFacts(**{"call": "c1", "caller": "13800138000", "spoken": ("*",), **call})
        self.machine = Interpreter(self.flow, facts, SeededIds(7))
        self.now = 100.0
        self.all: list[m.Output] = []
        self.last: list[m.Output] = []

    def start(self) -> Driver:
        return self._took(self.machine.start(self.now, WALL))

    def give(self, event: m.Input, after: float = 0.0) -> Driver:
        self.now += after
        return self._took(self.machine.handle(event, self.now))

    def press(self, digits: str) -> Driver:
        for digit in digits:
            self.give(m.Digit(digit), 0.1)
        return self

    def played(self, reason: Any = "completed") -> Driver:
        """The prompt that was started last is over."""
        return self.give(m.PlayFinished(self.find(m.Play).request, reason), 1.0)

    def wait(self, seconds: float) -> Driver:
        self.now += seconds
        return self._took(self.machine.expire(self.now))

    def find(self, kind: type[O]) -> O:
        """The latest output of a kind."""
        return next(output for output in reversed(self.all) if isinstance(output, kind))

    def every(self, kind: type[O]) -> list[O]:
        return [output for output in self.all if isinstance(output, kind)]

    @property
    def words(self) -> list[str]:
        """All that was spoken, prompt by prompt."""
        return [" ".join(getattr(item, "text", "") for item in play.items) for play in self.every(m.Play)]

    @property
    def path(self) -> list[str]:
        return [output.node for output in self.every(m.NodeEntered)]

    def _took(self, outputs: list[m.Output]) -> Driver:
        self.last = outputs
        self.all += outputs
        return self
