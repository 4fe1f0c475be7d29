"""Set variables."""

from __future__ import annotations

from pbx.ivr.options import Values, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class SetOptions(VerbOptions):
    shorthand = "values"
    takes_mapping = True

    values: Values = described(
        ...,
        "Variable to value: a text, a number, or {{ an expression }} that keeps its type.",
        "变量及其值：文字、数字或 {{ 表达式 }}。",
    )


class SetVerb(Verb[SetOptions]):
    name = "set"
    options = SetOptions
    summary = {"en": "Set variables of the flow.", "zh": "设置流程变量。"}
    example = """
start:
  - set: {count: 3, total: "{{ 3 * 4 }}"}
  - say: "{{ count + total }}"
  - hangup
"""

    def enter(self, run: Run, options: SetOptions) -> Outcome:
        for name, template in options.values.items():
            run.store(name, run.value(template), secret=run.is_secret(template))
        return "next"

    def writes(self, options: SetOptions) -> frozenset[str]:
        return frozenset(options.values)
