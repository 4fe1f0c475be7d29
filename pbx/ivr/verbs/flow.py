"""Run another flow and come back with its result."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.options import Values, Variable, VerbOptions, described
from pbx.ivr.run import EnterFlow, Outcome, Run
from pbx.ivr.verbs.base import Verb


class FlowOptions(VerbOptions):
    shorthand = "flow"

    flow: str = described(..., "Name of the flow.", "子流程名称。")
    arguments: Values = described({}, "Arguments it declares, by name.", "传入的参数。", alias="with")
    into: Variable | str = described("", "Variable that takes its result.", "保存结果的变量。")


class FlowVerb(Verb[FlowOptions]):
    name = "flow"
    options = FlowOptions
    summary = {"en": "Run another flow as a part of this one.", "zh": "调用子流程，结束后返回。"}
    example = """
start:
  - flow: {flow: sub, with: {card: "12"}, into: answer}
  - say: "{{ answer.ok }}"
  - hangup
"""

    def enter(self, run: Run, options: FlowOptions) -> Outcome:
        values = {name: run.value(template) for name, template in options.arguments.items()}
        return EnterFlow(options.flow, values)

    def writes(self, options: FlowOptions) -> frozenset[str]:
        return frozenset({options.into} - {""})

    def references(self, options: FlowOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        yield "flow", options.flow, ("flow",)
