"""Speak a text."""

from __future__ import annotations

from pbx.ivr.messages import ALL_DIGITS
from pbx.ivr.options import PromptItem, Texts, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb
from pbx.ivr.verbs.play import PlayOptions, PlayVerb


class SayOptions(VerbOptions):
    shorthand = "text"

    text: Texts = described(
        ...,
        "Text to speak, or one per language; {{ expressions }} are filled in.",
        "要朗读的文字，可按语言分别给出，支持 {{ 表达式 }}。",
    )
    barge_in: bool = described(
        True, "A digit ends it and counts for the next menu.", "按键可打断，且该按键留给下一个菜单。"
    )


class SayVerb(Verb[SayOptions]):
    name = "say"
    options = SayOptions
    summary = {"en": "Speak a text given in place.", "zh": "朗读直接写出的文字。"}
    example = """
start:
  - answer
  - set: {balance: 120.5}
  - say:
      text:
        en: "Your balance is {{ balance | money }}."
        zh: "您的余额是{{ balance | money }}。"
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: SayOptions) -> Outcome:
        if options.barge_in and run.skips_prompt():
            return "next"
        items = (PromptItem.model_construct(_fields_set={"say"}, say=options.text),)
        request = run.play(items, ALL_DIGITS if options.barge_in else "")
        return None if request else "next"

    resume = PlayVerb.resume  # type: ignore[assignment]  # the same two kinds of input, the same option


__all__ = ["PlayOptions", "SayOptions", "SayVerb"]
