"""Go one of several ways."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pbx.ivr.expressions import to_text
from pbx.ivr.options import Condition, TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class SwitchOptions(VerbOptions):
    on: Condition = described(..., "An expression; its value picks the case.", "表达式，其值决定去向。")
    cases: dict[str, TargetField] = described(..., "Value to where it goes.", "取值与去向。", min_length=1)
    otherwise: TargetField | None = Field(
        None,
        alias="else",
        description="Where to go with any other value.",
        json_schema_extra={"zh": "其余取值的去向。"},
    )


class SwitchVerb(Verb[SwitchOptions]):
    name = "switch"
    options = SwitchOptions
    summary = {"en": "Go one of several ways by the value of an expression.", "zh": "按表达式的值多路分支。"}
    example = """
start:
  - set: {level: gold}
  - switch:
      on: level
      cases:
        gold: [{queue: vip}, hangup]
      else: [{queue: support}, hangup]
"""

    def enter(self, run: Run, options: SwitchOptions) -> Outcome:
        value = to_text(run.evaluate(options.on))
        return f"case {value}" if value in options.cases else "else"

    def branches(self, options: SwitchOptions) -> Iterator[Branch]:
        for value, target in options.cases.items():
            yield f"case {value}", ("cases", value), target
        if options.otherwise is not None:
            yield "else", ("else",), options.otherwise

    def goes_on(self, options: SwitchOptions) -> bool:
        return options.otherwise is None
