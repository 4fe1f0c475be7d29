"""Tell the caller that the call is recorded."""

from __future__ import annotations

from typing import Literal

from pbx.ivr.messages import Expired, Input, NoticeGiven, PlayFinished, StartRecording, StopRecording
from pbx.ivr.options import Prompt, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class RecordNoticeOptions(VerbOptions):
    shorthand = "prompt"

    prompt: Prompt = described(..., "The announcement.", "告知语。")
    recording: Literal["policy", "start", "stop"] = described(
        "policy",
        "Leave recording to the policy, or start or stop it after the notice.",
        "录音按策略执行，或在告知后启动、停止。",
    )


class RecordNoticeVerb(Verb[RecordNoticeOptions]):
    name = "record_notice"
    options = RecordNoticeOptions
    summary = {
        "en": "Announce that the call is recorded; it cannot be cut short, and the log keeps that it was heard.",
        "zh": "播放录音告知；不可打断，并在日志中留痕。",
    }
    example = """
start:
  - answer
  - record_notice: welcome
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: RecordNoticeOptions) -> Outcome:
        return None if run.play(options.prompt) else "next"

    def resume(self, run: Run, options: RecordNoticeOptions, event: Input) -> Outcome:
        if not isinstance(event, PlayFinished | Expired):
            return None
        if not isinstance(event, PlayFinished) or event.reason == "completed":
            run.put(NoticeGiven())
        if options.recording != "policy":
            run.put(StartRecording() if options.recording == "start" else StopRecording())
        return "next"
