"""Wait in silence."""

from __future__ import annotations

from pbx.ivr.messages import Expired, Input
from pbx.ivr.options import Seconds, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class PauseOptions(VerbOptions):
    shorthand = "seconds"

    seconds: Seconds = described(..., "How long, at most ten minutes.", "时长，最多十分钟。", ge=0, le=600)


class PauseVerb(Verb[PauseOptions]):
    name = "pause"
    options = PauseOptions
    summary = {"en": "Wait in silence; digits are kept for the next menu.", "zh": "静候一段时间；按键留给下一个菜单。"}
    example = """
start:
  - answer
  - pause: 500ms
  - hangup
"""
    waits = True

    def enter(self, run: Run, options: PauseOptions) -> Outcome:
        run.wait(options.seconds)
        return None

    def resume(self, run: Run, options: PauseOptions, event: Input) -> Outcome:
        return "next" if isinstance(event, Expired) else None
