"""Call somebody for the caller."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.core.destination import parse_destination
from pbx.ivr.expressions import ExpressionError, Template
from pbx.ivr.messages import Dial, DialResult, Input
from pbx.ivr.options import Digits, Prompt, Seconds, TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb

RESULTS = ("completed", "busy", "no_answer", "rejected", "unavailable", "failed")


class DialOptions(VerbOptions):
    shorthand = "to"

    to: Template = described(
        ...,
        "Destination: extension:1001, group:sales, agent:li or number:+8613800138000.",
        "目的地，如 extension:1001、number:+86…。",
    )
    timeout: Seconds = described(30.0, "Ring so long.", "振铃时长。", gt=0, le=300)
    caller_id: Template | None = described(None, "Number shown instead of the caller's.", "显示的主叫号码。")
    caller_name: Template | None = described(None, "Name shown.", "显示的主叫姓名。")
    music: str = described("", "Music class instead of ringback.", "等待时播放的音乐类别。")
    confirm: Prompt | None = described(
        None,
        "Asked of the one called, who is connected only after pressing confirm_digit.",
        "向被叫播放，被叫按确认键后才接通。",
    )
    confirm_digit: Digits = described("1", "Digit that accepts.", "确认键。")
    completed: TargetField | None = described(None, "Where to go when the other hung up.", "对方挂断后的去向。")
    busy: TargetField | None = described(None, "Where to go when busy.", "占线时的去向。")
    no_answer: TargetField | None = described(None, "Where to go when not answered.", "无人接听时的去向。")
    rejected: TargetField | None = described(None, "Where to go when refused.", "被拒绝时的去向。")
    unavailable: TargetField | None = described(None, "Where to go when not reachable.", "无法接通时的去向。")
    failed: TargetField | None = described(None, "Where to go when it went wrong otherwise.", "其他失败时的去向。")


class DialVerb(Verb[DialOptions]):
    name = "dial"
    options = DialOptions
    summary = {
        "en": "Call somebody and connect him to the caller. `dial_status` holds how it went; "
        "a result without a way of its own goes straight on.",
        "zh": "呼叫某人并与来电者接通；变量 dial_status 保存结果，未指定去向的结果继续往下。",
    }
    example = """
start:
  - answer
  - dial: {to: "extension:1001", timeout: 20s, busy: [{say: Busy.}, hangup]}
  - hangup
"""
    waits = True

    def enter(self, run: Run, options: DialOptions) -> Outcome:
        destination = run.text(options.to)
        try:
            parse_destination(destination)
        except ValueError as error:
            raise ExpressionError(str(error)) from None
        run.put(
            Dial(
                request=run.request("dial"),
                destination=destination,
                timeout=options.timeout,
                caller_id="" if options.caller_id is None else run.text(options.caller_id),
                caller_name="" if options.caller_name is None else run.text(options.caller_name),
                confirm_digit=options.confirm_digit if options.confirm else "",
                confirm_items=run.render(options.confirm) if options.confirm else (),
                music=options.music,
            )
        )
        return None

    def resume(self, run: Run, options: DialOptions, event: Input) -> Outcome:
        if not isinstance(event, DialResult) or event.status == "answered":
            return None
        run.store("dial_status", event.status)
        return event.status

    def branches(self, options: DialOptions) -> Iterator[Branch]:
        for result in RESULTS:
            target = getattr(options, result)
            if target is not None:
                yield result, (result,), target

    def writes(self, options: DialOptions) -> frozenset[str]:
        return frozenset({"dial_status"})

    def references(self, options: DialOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.to.is_plain:
            yield "destination", options.to.source, ("to",)
