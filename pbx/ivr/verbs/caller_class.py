"""Go by who calls."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Expired, Input, Lookup, LookupResult
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class CallerClassOptions(VerbOptions):
    number: Template = described(Template("{{ call.caller }}"), "Number to look up.", "要查询的号码。")
    classes: dict[str, TargetField] = described(
        ..., "Class (vip, blocked …) to where it leads.", "来电者类别与去向。", min_length=1
    )
    otherwise: TargetField | None = Field(
        None, alias="else", description="Where everybody else goes.", json_schema_extra={"zh": "其他来电者的去向。"}
    )


class CallerClassVerb(Verb[CallerClassOptions]):
    name = "caller_class"
    options = CallerClassOptions
    summary = {
        "en": "Go by the caller's class in the configured lists; `caller_class` holds it.",
        "zh": "按名单中的来电者类别分支；变量 caller_class 保存类别。",
    }
    example = """
start:
  - caller_class:
      classes:
        blocked: [{hangup: rejected}]
        vip: [answer, {queue: vip}, hangup]
  - answer
  - queue: support
  - hangup
"""

    def enter(self, run: Run, options: CallerClassOptions) -> Outcome:
        run.put(Lookup(run.request("lookup"), "caller", run.text(options.number)))
        run.wait(3.0)
        return None

    def resume(self, run: Run, options: CallerClassOptions, event: Input) -> Outcome:
        if not isinstance(event, LookupResult | Expired):
            return None
        matches = event.matches if isinstance(event, LookupResult) else ()
        found = matches[0].get("class", "") if matches else ""
        run.store("caller_class", found)
        return f"class {found}" if found in options.classes else "else"

    def branches(self, options: CallerClassOptions) -> Iterator[Branch]:
        for name, target in options.classes.items():
            yield f"class {name}", ("classes", name), target
        if options.otherwise is not None:
            yield "else", ("else",), options.otherwise

    def goes_on(self, options: CallerClassOptions) -> bool:
        return options.otherwise is None

    def writes(self, options: CallerClassOptions) -> frozenset[str]:
        return frozenset({"caller_class"})
