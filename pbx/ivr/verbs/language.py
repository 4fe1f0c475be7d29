"""Change the language of prompts."""

from __future__ import annotations

from pbx.ivr.expressions import ExpressionError, Template
from pbx.ivr.messages import SetLanguage
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class LanguageOptions(VerbOptions):
    shorthand = "to"

    to: Template = described(..., "Language tag such as en or zh.", "语言代码，如 zh、en。")


class LanguageVerb(Verb[LanguageOptions]):
    name = "language"
    options = LanguageOptions
    summary = {
        "en": "Choose the language of what follows, agents' skills included.",
        "zh": "设定此后使用的语言，并影响座席技能。",
    }
    example = """
start:
  - language: zh
  - say: {text: {zh: 你好, en: Hello}}
  - hangup
"""

    def enter(self, run: Run, options: LanguageOptions) -> Outcome:
        tag = run.text(options.to)
        if tag.split("-")[0] not in run.flow.languages:
            raise ExpressionError(f"the flow does not speak {tag!r}")
        if tag != run.state.language:
            run.state.language = tag
            run.put(SetLanguage(tag))
        return "next"
