"""Take a message for a mailbox."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import (
    ALL_DIGITS,
    DepositMessage,
    Digit,
    Expired,
    Input,
    Lookup,
    LookupResult,
    PlayFinished,
    RecordFinished,
)
from pbx.ivr.options import Prompt, PromptItem, TargetField, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb
from pbx.ivr.verbs.record import RecordingOptions, judge_record, record_branches, start_record, stop_record

REVIEW_SECONDS = 6.0
"""Who presses nothing after the review's prompt is done."""


class VoicemailOptions(RecordingOptions):
    shorthand = "mailbox"

    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    greeting: Prompt | None = described(
        None, "Played first; default: the greeting recorded by phone.", "录音前的问候语；默认用话机录制的。"
    )
    review: Prompt | None = described(
        None,
        "Played after a stop key: 1 keeps the message, 2 plays it, 3 records it again; hanging up keeps it.",
        "按结束键后播放：1 保存，2 收听，3 重录；挂机即保存。",
    )
    saved: Prompt | None = described(None, "Played when the message is kept.", "留言保存后的提示。")
    full: TargetField | None = described(
        None, "Where to go when the mailbox is full; default: as failed.", "信箱已满时的去向；默认同 failed。"
    )
    urgent: bool = described(False, "Mark it as urgent.", "标记为紧急。")


def _recording(path: str) -> PromptItem:
    return PromptItem.model_construct(_fields_set={"recording"}, recording=Template.literal(path))


class VoicemailVerb(Verb[VoicemailOptions]):
    """Stages, in ``local``: ``lookup``, ``greeting``, ``recording``, ``review`` and ``saved``."""

    name = "voicemail"
    options = VoicemailOptions
    summary = {
        "en": "Take a message; one that ends by hanging up is kept too.",
        "zh": "接收留言；来电者挂机时留言同样保存。",
    }
    example = """
start:
  - answer
  - voicemail: {mailbox: "1001", greeting: welcome, saved: welcome, nothing: bye, full: bye}
  - goto: bye
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: VoicemailOptions) -> Outcome:
        run.local.update(stage="lookup", mailbox=run.text(options.mailbox))
        run.put(Lookup(run.request("lookup"), "mailbox", run.local["mailbox"]))
        run.wait(3.0)
        return None

    def resume(self, run: Run, options: VoicemailOptions, event: Input) -> Outcome:
        stage = run.local["stage"]
        if stage == "lookup":
            return self._found(run, options, event)
        if stage == "greeting":
            return self._record(run, options) if isinstance(event, PlayFinished | Expired | Digit) else None
        if stage == "recording":
            return self._recorded(run, options, event)
        if stage == "review":
            return self._review(run, options, event)
        return "next" if isinstance(event, PlayFinished | Expired) else None

    def _found(self, run: Run, options: VoicemailOptions, event: Input) -> Outcome:
        if not isinstance(event, LookupResult):
            return "failed" if isinstance(event, Expired) else None
        if not event.matches:
            return "failed"
        box = event.matches[0]
        if box.get("full"):
            return "full" if options.full is not None else "failed"
        own = (_recording(box["greeting"]),) if box.get("greeting") else ()
        run.local["stage"] = "greeting"
        if run.play(options.greeting or own, options.stop):
            return None
        return self._record(run, options)

    def _record(self, run: Run, options: VoicemailOptions) -> Outcome:
        run.local["stage"] = "recording"
        start_record(run, options, "voicemail")
        return None

    def _recorded(self, run: Run, options: VoicemailOptions, event: Input) -> Outcome:
        stop_record(run, options, event)
        judged = judge_record(options, event)
        if judged != "next" or not isinstance(event, RecordFinished):
            return judged
        run.local.update(path=event.path, seconds=event.seconds)
        if run.state.gone or options.review is None or event.reason not in ("digit", "stopped"):
            return self._keep(run, options)
        return self._offer(run, options, ())

    def _offer(self, run: Run, options: VoicemailOptions, before: tuple[PromptItem, ...]) -> Outcome:
        run.local["stage"] = "review"
        run.local["playing"] = run.play((*before, *(options.review or ())), ALL_DIGITS)
        return None

    def _review(self, run: Run, options: VoicemailOptions, event: Input) -> Outcome:
        if isinstance(event, PlayFinished) and event.request == run.local["playing"]:
            run.local["playing"] = ""
            run.wait(REVIEW_SECONDS)
        elif isinstance(event, Digit) and event.digit == "2":
            return self._offer(run, options, (_recording(run.local["path"]),))
        elif isinstance(event, Digit) and event.digit == "3":
            return self._record(run, options)
        elif isinstance(event, Expired) or (isinstance(event, Digit) and event.digit in "1#"):
            return self._keep(run, options)
        return None

    def _keep(self, run: Run, options: VoicemailOptions) -> Outcome:
        self._deposit(run, options)
        if run.state.gone or options.saved is None or not run.play(options.saved):
            return "next"
        run.local["stage"] = "saved"
        return None

    def _deposit(self, run: Run, options: VoicemailOptions) -> None:
        local = run.local
        caller = run.call.caller
        run.put(DepositMessage(local["mailbox"], local["path"], local["seconds"], caller, options.urgent))

    def hold_on(self, run: Run, options: VoicemailOptions) -> bool:
        return bool(run.local["stage"] == "recording")

    def hung_up(self, run: Run, options: VoicemailOptions) -> None:
        if run.local["stage"] == "review":
            self._deposit(run, options)

    def branches(self, options: VoicemailOptions) -> Iterator[Branch]:
        yield from record_branches(options)
        if options.full is not None:
            yield "full", ("full",), options.full

    def references(self, options: VoicemailOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.mailbox.is_plain:
            yield "mailbox", options.mailbox.source, ("mailbox",)
