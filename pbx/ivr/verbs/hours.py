"""Go by opening hours."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.messages import CalendarChecked, CheckCalendar, Expired, Input
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class HoursOptions(VerbOptions):
    calendar: str = described(..., "Calendar of the configuration.", "配置中的日历名称。")
    open: TargetField | None = described(None, "Where to go when open.", "营业时间内的去向。")
    closed: TargetField | None = described(None, "Where to go when closed.", "非营业时间的去向。")
    holiday: TargetField | None = described(
        None, "Where to go on holidays; otherwise as closed.", "节假日的去向，缺省同非营业时间。"
    )


class HoursVerb(Verb[HoursOptions]):
    name = "hours"
    options = HoursOptions
    summary = {
        "en": "Go by a calendar: open, closed or holiday. `holiday` holds the holiday's name afterwards.",
        "zh": "按日历分支：营业、非营业或节假日；变量 holiday 保存节假日名称。",
    }
    example = """
start:
  - hours:
      calendar: office
      closed: [{say: We are closed.}, hangup]
  - queue: support
  - hangup
"""

    def enter(self, run: Run, options: HoursOptions) -> Outcome:
        run.put(CheckCalendar(run.request("calendar"), options.calendar))
        run.wait(5.0)
        return None

    def resume(self, run: Run, options: HoursOptions, event: Input) -> Outcome:
        if isinstance(event, Expired):
            run.store("holiday", "")
            return "open"
        if not isinstance(event, CalendarChecked):
            return None
        run.store("holiday", event.holiday)
        if event.state == "holiday" and options.holiday is None:
            return "closed"
        return event.state

    def branches(self, options: HoursOptions) -> Iterator[Branch]:
        for name in ("open", "closed", "holiday"):
            target = getattr(options, name)
            if target is not None:
                yield name, (name,), target

    def goes_on(self, options: HoursOptions) -> bool:
        return options.open is None or options.closed is None

    def writes(self, options: HoursOptions) -> frozenset[str]:
        return frozenset({"holiday"})

    def references(self, options: HoursOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        yield "calendar", options.calendar, ("calendar",)
