"""Play a tone."""

from __future__ import annotations

from pbx.ivr.messages import Expired, Input, PlayFinished
from pbx.ivr.options import PromptItem, Seconds, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class ToneOptions(VerbOptions):
    shorthand = "name"

    name: str = described(..., "beep, busy, ringback, congestion, dial or waiting.", "信号音名称。", min_length=1)
    country: str = described("cn", "Country whose tones are meant.", "采用哪个国家的信号音。")
    duration: Seconds = described(0.0, "Length; 0 plays the cadence once.", "时长；0 表示一个周期。")


class ToneVerb(Verb[ToneOptions]):
    name = "tone"
    options = ToneOptions
    summary = {"en": "Play a call-progress tone.", "zh": "播放信号音。"}
    example = """
start:
  - answer
  - tone: {name: busy, duration: 3s}
  - hangup
"""
    waits = True

    def enter(self, run: Run, options: ToneOptions) -> Outcome:
        item = PromptItem(tone=options.name, country=options.country, duration=options.duration)
        run.play((item,))
        return None

    def resume(self, run: Run, options: ToneOptions, event: Input) -> Outcome:
        return "next" if isinstance(event, PlayFinished | Expired) else None
