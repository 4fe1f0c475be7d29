"""Play prompts."""

from __future__ import annotations

from pbx.ivr.messages import ALL_DIGITS, Digit, Expired, Input, PlayFinished
from pbx.ivr.options import Prompt, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class PlayOptions(VerbOptions):
    shorthand = "prompt"

    prompt: Prompt = described(..., "What to play: names of prompts, or pieces.", "播放内容：提示音名称或片段。")
    barge_in: bool = described(
        True, "A digit ends it and counts for the next menu.", "按键可打断，且该按键留给下一个菜单。"
    )


class PlayVerb(Verb[PlayOptions]):
    name = "play"
    options = PlayOptions
    summary = {"en": "Play one or several prompts.", "zh": "播放一个或多个提示音。"}
    example = """
start:
  - answer
  - play: [welcome, {silence: 300ms}, {tone: beep}]
  - play: {prompt: welcome, barge_in: false}
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: PlayOptions) -> Outcome:
        if options.barge_in and run.skips_prompt():
            return "next"
        request = run.play(options.prompt, ALL_DIGITS if options.barge_in else "")
        run.local["playing"] = request
        return None if request else "next"

    def resume(self, run: Run, options: PlayOptions, event: Input) -> Outcome:
        if isinstance(event, Digit):
            if not options.barge_in:
                return None
            run.state.ahead += event.digit
            return "next"
        return "next" if isinstance(event, PlayFinished | Expired) else None
