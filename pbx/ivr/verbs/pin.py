"""Change the PIN of a mailbox."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Expired, Input, PinSet, SetPin
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class PinOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    pin: Template = described(..., "The new PIN, collected with `secure: on`.", "新密码，用 `secure: on` 收集。")
    refused: TargetField = described(
        ..., "Where to go when it is shorter than four digits or too easy to guess.", "密码不足四位或过于简单时的去向。"
    )


class PinVerb(Verb[PinOptions]):
    name = "pin"
    options = PinOptions
    summary = {
        "en": "Change the PIN of a mailbox; only a salted hash of it is kept.",
        "zh": "修改信箱密码；只保存加盐摘要。",
    }
    example = """
start:
  - answer
  - collect: {prompt: welcome, into: code, min: 4, max: 18, secure: on, no_input: {then: bye}, no_match: {then: bye}}
  - pin: {mailbox: "{{ call.caller }}", pin: "{{ code }}", refused: bye}
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: PinOptions) -> Outcome:
        run.put(SetPin(run.request("pin"), run.text(options.mailbox), run.text(options.pin)))
        run.wait(5.0)
        return None

    def resume(self, run: Run, options: PinOptions, event: Input) -> Outcome:
        if isinstance(event, PinSet):
            return "next" if event.accepted else "refused"
        return "refused" if isinstance(event, Expired) else None

    def branches(self, options: PinOptions) -> Iterator[Branch]:
        yield "refused", ("refused",), options.refused
