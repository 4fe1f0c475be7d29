"""Show values on the agent's screen."""

from __future__ import annotations

from pbx.ivr.expressions import Template
from pbx.ivr.messages import SetData
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class DataOptions(VerbOptions):
    shorthand = "values"
    takes_mapping = True

    values: dict[str, Template] = described(..., "Name to value.", "名称与取值。", min_length=1, max_length=50)


class DataVerb(Verb[DataOptions]):
    name = "data"
    options = DataOptions
    summary = {
        "en": "Attach data to the call for agents' screens; card data is masked.",
        "zh": "附加通话数据供座席屏幕显示；卡数据被屏蔽。",
    }
    example = """
start:
  - set: {card: "001"}
  - data: {card: "{{ card }}", caller: "{{ call.caller }}"}
  - hangup
"""

    def enter(self, run: Run, options: DataOptions) -> Outcome:
        values = {name: run.shown(template) for name, template in options.values.items()}
        run.state.data.update(values)
        run.put(SetData(values))
        return "next"
