"""Take a message for a mailbox."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import DepositMessage, Digit, Expired, Input, PlayFinished, RecordFinished
from pbx.ivr.options import Prompt, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb
from pbx.ivr.verbs.record import RecordingOptions, judge_record, record_branches, start_record, stop_record


class VoicemailOptions(RecordingOptions):
    shorthand = "mailbox"

    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    greeting: Prompt | None = described(None, "Played first.", "录音前的问候语。")
    saved: Prompt | None = described(None, "Played when the message is kept.", "留言保存后的提示。")
    urgent: bool = described(False, "Mark it as urgent.", "标记为紧急。")


class VoicemailVerb(Verb[VoicemailOptions]):
    name = "voicemail"
    options = VoicemailOptions
    summary = {
        "en": "Take a message; one that ends by hanging up is kept too.",
        "zh": "接收留言；来电者挂机时留言同样保存。",
    }
    example = """
start:
  - answer
  - voicemail: {mailbox: "1001", greeting: welcome, saved: welcome, nothing: bye}
  - goto: bye
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: VoicemailOptions) -> Outcome:
        run.local["mailbox"] = run.text(options.mailbox)
        if options.greeting and run.play(options.greeting, options.stop):
            return None
        start_record(run, options, "voicemail")
        return None

    def resume(self, run: Run, options: VoicemailOptions, event: Input) -> Outcome:
        if run.local.get("saved"):
            return "next" if isinstance(event, PlayFinished | Expired) else None
        if not run.local.get("recording"):
            if isinstance(event, PlayFinished | Expired | Digit):
                start_record(run, options, "voicemail")
            return None
        stop_record(run, options, event)
        judged = judge_record(options, event)
        if judged != "next" or not isinstance(event, RecordFinished):
            return judged
        mailbox = str(run.local["mailbox"])
        run.put(DepositMessage(mailbox, event.path, event.seconds, run.call.caller, options.urgent))
        if run.state.gone or options.saved is None or not run.play(options.saved):
            return "next"
        run.local["saved"] = True
        return None

    def hold_on(self, run: Run, options: VoicemailOptions) -> bool:
        return bool(run.local.get("recording")) and not run.local.get("saved")

    def branches(self, options: VoicemailOptions) -> Iterator[Branch]:
        yield from record_branches(options)

    def references(self, options: VoicemailOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.mailbox.is_plain:
            yield "mailbox", options.mailbox.source, ("mailbox",)
