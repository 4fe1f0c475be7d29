"""Record what the caller says."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.messages import Digit, Expired, Input, PlayFinished, Record, RecordFinished, StopRecord
from pbx.ivr.options import Digits, Prompt, Seconds, TargetField, Variable, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class RecordingOptions(VerbOptions):
    """Shared by record and voicemail."""

    longest: Seconds = described(120.0, "Stop after so long.", "最长时长。", alias="max", gt=0, le=3600)
    shortest: Seconds = described(1.0, "Shorter ones are thrown away.", "短于此时长则丢弃。", alias="min", ge=0, le=60)
    silence: Seconds = described(
        5.0, "Stop after so much silence; 0: never.", "静音多久后结束，0 为不检测。", ge=0, le=60
    )
    stop: Digits = described("#", "Digits that end it.", "结束键。")
    beep: bool = described(True, "Beep first.", "先播放提示音。")
    nothing: TargetField | None = described(None, "Where to go when nothing was said.", "没有录到内容时的去向。")
    failed: TargetField | None = described(None, "Where to go when it could not be recorded.", "无法录音时的去向。")


class RecordOptions(RecordingOptions):
    into: Variable = described(..., "Variable that takes the recording: path and seconds.", "保存录音信息的变量。")
    prompt: Prompt | None = described(None, "Played first.", "录音前的提示。")
    purpose: str = described("message", "Folder under the recordings.", "录音目录。", pattern="^[a-z_]{1,32}$")


def start_record(run: Run, options: RecordingOptions, purpose: str) -> None:
    """Put out the request; ``resume`` gets its answer."""
    run.local["recording"] = True
    request = run.request("record")
    run.put(Record(request, purpose, options.longest, options.stop, options.silence, options.beep))
    run.wait(options.longest + 10.0)


def stop_record(run: Run, options: RecordingOptions, event: Input) -> None:
    """A stop digit ends the recording; its answer still comes."""
    if isinstance(event, Digit) and event.digit in options.stop:
        for request in [request for request, kind in run.state.open.items() if kind == "record"]:
            run.put(StopRecord(request))


def judge_record(options: RecordingOptions, event: Input) -> str | None:
    """``next``, ``nothing`` or ``failed`` once the recording is over."""
    if isinstance(event, Expired):
        return "failed"
    if not isinstance(event, RecordFinished):
        return None
    if event.reason == "failed":
        return "failed"
    return "next" if event.path and event.seconds >= options.shortest else "nothing"


def record_branches(options: RecordingOptions) -> Iterator[Branch]:
    for name in ("nothing", "failed"):
        target = getattr(options, name)
        if target is not None:
            yield name, (name,), target


class RecordVerb(Verb[RecordOptions]):
    name = "record"
    options = RecordOptions
    summary = {"en": "Record what the caller says.", "zh": "录制来电者的话音。"}
    example = """
start:
  - answer
  - record: {prompt: welcome, into: complaint, max: 60s}
  - play: welcome
  - data: {complaint: "{{ complaint.path }}"}
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: RecordOptions) -> Outcome:
        run.store(options.into, {"path": "", "seconds": 0})
        if options.prompt and run.play(options.prompt, options.stop):
            return None
        start_record(run, options, options.purpose)
        return None

    def resume(self, run: Run, options: RecordOptions, event: Input) -> Outcome:
        if not run.local.get("recording"):
            if isinstance(event, PlayFinished | Expired | Digit):
                start_record(run, options, options.purpose)
            return None
        stop_record(run, options, event)
        judged = judge_record(options, event)
        if judged == "next" and isinstance(event, RecordFinished):
            run.store(options.into, {"path": event.path, "seconds": event.seconds})
        return judged

    def hold_on(self, run: Run, options: RecordOptions) -> bool:
        return bool(run.local.get("recording"))

    def branches(self, options: RecordOptions) -> Iterator[Branch]:
        yield from record_branches(options)

    def writes(self, options: RecordOptions) -> frozenset[str]:
        return frozenset({options.into})
