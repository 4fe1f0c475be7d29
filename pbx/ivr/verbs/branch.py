"""Go one of two ways."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pbx.ivr.options import Condition, TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class BranchOptions(VerbOptions):
    when: Condition = described(..., "An expression.", "条件表达式。", alias="if")
    then: TargetField | None = described(None, "Where to go when it holds.", "条件成立时的去向。")
    otherwise: TargetField | None = Field(
        None, alias="else", description="Where to go when not.", json_schema_extra={"zh": "条件不成立时的去向。"}
    )


class BranchVerb(Verb[BranchOptions]):
    name = "branch"
    options = BranchOptions
    summary = {"en": "Go one of two ways by an expression.", "zh": "按表达式的真假分支。"}
    example = """
start:
  - set: {balance: 5}
  - branch:
      if: balance < 10
      then: [{say: Your balance is low.}]
  - hangup
"""

    def enter(self, run: Run, options: BranchOptions) -> Outcome:
        return "then" if run.evaluate(options.when) else "else"

    def branches(self, options: BranchOptions) -> Iterator[Branch]:
        if options.then is not None:
            yield "then", ("then",), options.then
        if options.otherwise is not None:
            yield "else", ("else",), options.otherwise

    def goes_on(self, options: BranchOptions) -> bool:
        return options.then is None or options.otherwise is None
