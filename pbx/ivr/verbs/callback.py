"""Offer to call back."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Callback, CallbackRegistered, Expired, Input
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class CallbackOptions(VerbOptions):
    queue: Template = described(
        Template(""),
        "Queue in which the place is kept; default: the one the caller left.",
        "保留位置的队列；默认为来电者离开的队列。",
    )
    number: Template = described(Template("{{ call.caller }}"), "Number to call.", "回拨号码。")
    refused: TargetField | None = described(None, "Where to go when it is not taken.", "不接受回拨时的去向。")


class CallbackVerb(Verb[CallbackOptions]):
    name = "callback"
    options = CallbackOptions
    summary = {"en": "Register a callback that keeps the caller's place in a queue.", "zh": "登记回拨并保留排队位置。"}
    example = """
start:
  - answer
  - callback: {queue: support, refused: [{say: Sorry.}, hangup]}
  - say: We will call you back.
  - hangup
"""

    def enter(self, run: Run, options: CallbackOptions) -> Outcome:
        number = run.text(options.number)
        request = run.request("callback")
        run.put(Callback(request, run.text(options.queue), number, dict(run.state.data)))
        run.wait(5.0)
        return None

    def resume(self, run: Run, options: CallbackOptions, event: Input) -> Outcome:
        if isinstance(event, Expired):
            return "refused"
        if not isinstance(event, CallbackRegistered):
            return None
        return "next" if event.accepted else "refused"

    def branches(self, options: CallbackOptions) -> Iterator[Branch]:
        if options.refused is not None:
            yield "refused", ("refused",), options.refused

    def references(self, options: CallbackOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.queue.is_plain and options.queue.source:
            yield "queue", options.queue.source, ("queue",)
