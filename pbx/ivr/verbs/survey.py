"""Ask a few questions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pbx.ivr.gathering import Gathered, Gathering, begin, feed, judge_keys
from pbx.ivr.messages import Input, SurveyAnswered
from pbx.ivr.options import NAME, OptionModel, Prompt, PromptItem, Seconds, Variable, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class Question(OptionModel):
    """One question of a survey."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = described(..., "Name in reports.", "报表中的名称。")
    prompt: Prompt = described(..., "The question.", "问题。")
    keys: str = described("12345", "Digits that answer it.", "可用的按键。", pattern="^[0-9]{1,10}$")


class SurveyOptions(VerbOptions):
    survey: str = described("satisfaction", "Name of the survey in reports.", "调查名称。", min_length=1, max_length=64)
    questions: tuple[Question, ...] = described(
        ..., "The questions in order.", "依次提出的问题。", min_length=1, max_length=20
    )
    attempts: int = described(2, "Ask each so many times.", "每题最多询问次数。", ge=1, le=5)
    timeout: Seconds = described(5.0, "Wait so long for an answer.", "等待时长。", gt=0, le=60)
    wrong: Prompt | None = described(None, "Played when a digit is no answer.", "按键无效时的提示。")
    into: Variable | str = described("", "Variable that takes the answers by name.", "保存答案的变量。")


class SurveyVerb(Verb[SurveyOptions]):
    name = "survey"
    options = SurveyOptions
    summary = {
        "en": "Ask questions answered by one digit; one that is not answered is passed over.",
        "zh": "提出以单个按键回答的问题；未回答则跳过。",
    }
    example = """
start:
  - answer
  - survey:
      questions:
        - {name: friendly, prompt: welcome, keys: "12345"}
        - {name: solved, prompt: welcome, keys: "12"}
      into: answers
  - hangup
"""
    takes_digits = True
    waits = True

    def _asked(self, run: Run, options: SurveyOptions) -> Gathering:
        question = options.questions[run.local["question"]]
        return Gathering(question.prompt, judge_keys(frozenset(question.keys)), options.timeout, options.timeout)

    def enter(self, run: Run, options: SurveyOptions) -> Outcome:
        run.local.update(question=0, attempt=1, answers={})
        return self._judge(run, options, begin(run, self._asked(run, options)))

    def resume(self, run: Run, options: SurveyOptions, event: Input) -> Outcome:
        return self._judge(run, options, feed(run, self._asked(run, options), event))

    def _judge(self, run: Run, options: SurveyOptions, got: Gathered | None) -> Outcome:
        while got is not None:
            before: tuple[PromptItem, ...] = ()
            if got.kind == "digits" and got.complete:
                question = options.questions[run.local["question"]]
                run.local["answers"][question.name] = got.value
                run.put(SurveyAnswered(options.survey, question.name, got.value))
                run.local.update(question=run.local["question"] + 1, attempt=1)
            elif run.local["attempt"] >= options.attempts:
                run.local.update(question=run.local["question"] + 1, attempt=1)
            else:
                run.local["attempt"] += 1
                before = options.wrong if got.kind == "digits" and options.wrong else ()
            if run.local["question"] >= len(options.questions):
                if options.into:
                    run.store(options.into, dict(run.local["answers"]))
                return "next"
            got = begin(run, self._asked(run, options), before)
        return None

    def writes(self, options: SurveyOptions) -> frozenset[str]:
        return frozenset({options.into} - {""})
