"""Switch a calendar by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pbx.ivr.messages import SetOverride
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class OverrideOptions(VerbOptions):
    calendar: str = described(..., "Calendar of the configuration.", "配置中的日历名称。")
    state: Literal["open", "closed", "holiday", "auto"] = described(
        ..., "auto follows the calendar again.", "auto 表示恢复按日历执行。"
    )


class OverrideVerb(Verb[OverrideOptions]):
    name = "override"
    options = OverrideOptions
    summary = {
        "en": "Open or close a calendar by hand, as in an emergency.",
        "zh": "手动打开或关闭日历（如紧急情况）。",
    }
    example = """
start:
  - answer
  - override: {calendar: office, state: closed}
  - hangup
"""

    def enter(self, run: Run, options: OverrideOptions) -> Outcome:
        run.put(SetOverride(options.calendar, options.state))
        return "next"

    def references(self, options: OverrideOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        yield "calendar", options.calendar, ("calendar",)
