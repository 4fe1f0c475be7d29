"""Set a mailbox's greeting."""

from __future__ import annotations

from pbx.ivr.expressions import Template
from pbx.ivr.messages import SetGreeting
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class GreetingOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    path: Template = described(
        ..., "Path of a recording; empty: the standard greeting again.", "录音路径；为空则恢复标准问候语。"
    )


class GreetingVerb(Verb[GreetingOptions]):
    name = "greeting"
    options = GreetingOptions
    summary = {"en": "Set a mailbox's greeting to a recording made by phone.", "zh": "将电话录音设为信箱问候语。"}
    example = """
start:
  - answer
  - record: {into: recording, purpose: greeting, max: 30s, nothing: bye, failed: bye}
  - greeting: {mailbox: "{{ call.caller }}", path: "{{ recording.path }}"}
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: GreetingOptions) -> Outcome:
        run.put(SetGreeting(run.text(options.mailbox), run.text(options.path)))
        return "next"
