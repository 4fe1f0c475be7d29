"""Handle card data."""

from __future__ import annotations

from pbx.ivr.messages import Secure
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class SecureOptions(VerbOptions):
    shorthand = "on"

    on: bool = described(..., "on before card data is entered, off afterwards.", "输入卡数据前打开，之后关闭。")


class SecureVerb(Verb[SecureOptions]):
    name = "secure"
    options = SecureOptions
    summary = {
        "en": "While on, digits are in no log, event or stored state, and the recording is masked.",
        "zh": "打开期间，按键不进入日志、事件和存储的状态，录音被屏蔽。",
    }
    example = """
start:
  - secure: on
  - collect:
      prompt: welcome
      into: card
      length: 16
      no_input: {then: bye}
      no_match: {then: bye}
  - secure: off
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: SecureOptions) -> Outcome:
        if run.state.secure != options.on:
            run.state.secure = options.on
            run.put(Secure(on=options.on))
        return "next"
