"""End a sub-flow."""

from __future__ import annotations

from pbx.ivr.options import Values, VerbOptions, described
from pbx.ivr.run import Outcome, ReturnFlow, Run
from pbx.ivr.verbs.base import Verb


class ReturnOptions(VerbOptions):
    shorthand = "values"
    takes_mapping = True

    values: Values = described({}, "Result by name, added to the flow's declared results.", "返回的结果。")


class ReturnVerb(Verb[ReturnOptions]):
    name = "return"
    options = ReturnOptions
    summary = {
        "en": "Go back to the flow that called this one; the outermost flow hangs up.",
        "zh": "返回调用方流程；最外层则挂机。",
    }
    example = """
start:
  - set: {count: 2}
  - return: {count: "{{ count }}"}
"""
    ends = True

    def enter(self, run: Run, options: ReturnOptions) -> Outcome:
        return ReturnFlow({name: run.value(template) for name, template in options.values.items()})
