"""Collect digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import model_validator

from pbx.ivr.gathering import Gathered, Gathering, begin, judge_keys, judge_length
from pbx.ivr.messages import MASK, DigitsCollected, Input
from pbx.ivr.options import Digits, OptionModel, Pattern, Prompt, Variable, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.asking import SpokenOptions, ask, ask_again, failure_branches, hear
from pbx.ivr.verbs.base import Branch, Verb


class Confirm(OptionModel):
    """Have the caller confirm what was understood."""

    prompt: Prompt = described(
        ..., "Says what was understood; {{ entered }} holds it.", "复述所输入内容，{{ entered }} 为输入值。"
    )
    yes: Digits = described("1", "Digit that confirms.", "确认键。")
    no: Digits = described("2", "Digit that starts again.", "重新输入键。")


class CollectOptions(SpokenOptions):
    into: Variable = described(..., "Variable that takes the digits, as text.", "保存按键的变量（文本）。")
    length: int | None = described(None, "Exactly so many digits.", "固定位数。", ge=1, le=32)
    least: int = described(1, "At least so many.", "最少位数。", ge=1, le=32, alias="min")
    most: int = described(32, "At most so many.", "最多位数。", ge=1, le=32, alias="max")
    terminators: Digits = described("#", "Digits that end the entry.", "结束键。")
    pattern: Pattern = described("", "Regular expression the whole entry must match.", "输入须整体匹配的正则表达式。")
    luhn: bool = described(
        False, "The last digit must be a right Luhn check digit (bank cards).", "末位须通过 Luhn 校验（银行卡）。"
    )
    confirm: Confirm | None = described(None, "Ask whether it was understood.", "请来电者确认。")
    speech: bool = described(
        False, "Digits may be spoken too; not while card data is entered.", "也可说出数字；输入卡数据时无效。"
    )
    secure: bool = described(
        False, "Card data: not shown in any log, event or screen.", "卡数据：不出现在日志、事件和屏幕中。"
    )

    @model_validator(mode="after")
    def _check_lengths(self) -> CollectOptions:
        if self.length is None and self.least > self.most:
            raise ValueError("min is greater than max")
        return self


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1 annex B."""
    if not digits.isascii() or not digits.isdigit():
        return False
    total = 0
    for index, char in enumerate(reversed(digits)):
        value = int(char) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


class CollectVerb(Verb[CollectOptions]):
    name = "collect"
    options = CollectOptions
    summary = {
        "en": "Collect digits: with length, terminators, a pattern, a check digit and a confirmation.",
        "zh": "收集按键：可限定位数、结束键、格式、校验位，并可请来电者确认。",
    }
    example = """
start:
  - answer
  - collect:
      prompt: welcome
      into: card
      length: 8
      pattern: "[0-9]+"
      confirm: {prompt: [{say: "{{ entered | digits }}"}, welcome]}
      no_input: {then: bye}
      no_match: {then: bye}
  - say: "{{ card | digits }}"
  - hangup
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def _asked(self, run: Run, options: CollectOptions) -> Gathering:
        least, most = (options.length, options.length) if options.length else (options.least, options.most)
        return Gathering(
            prompt=options.prompt,
            judge=judge_length(least, most),
            timeout=options.timeout,
            between=options.between,
            terminators=options.terminators,
            barge_in=options.barge_in,
            speech_digits=options.speech and not self._is_secure(run, options),
            speech_pause=options.speech_pause,
            max_speech=options.max_speech,
        )

    def _confirmation(self, options: CollectOptions) -> Gathering:
        assert options.confirm is not None
        return Gathering(
            prompt=options.confirm.prompt,
            judge=judge_keys(frozenset({options.confirm.yes, options.confirm.no})),
            timeout=options.timeout,
            between=options.between,
        )

    def enter(self, run: Run, options: CollectOptions) -> Outcome:
        what = self._asked(run, options)
        return self._judge(run, options, ask(run, options, what))

    def resume(self, run: Run, options: CollectOptions, event: Input) -> Outcome:
        if "entered" in run.local:
            return self._judge_confirmation(run, options, hear(run, self._confirmation(options), event))
        return self._judge(run, options, hear(run, self._asked(run, options), event))

    def _judge(self, run: Run, options: CollectOptions, got: Gathered | str | None) -> Outcome:
        while isinstance(got, Gathered):
            if got.kind == "silence":
                got = ask_again(run, options, self._asked(run, options), "no_input")
                continue
            secure = self._is_secure(run, options)
            run.put(DigitsCollected(run.step.node, MASK if secure else got.value, secure))
            if got.complete and self._is_right(options, got.value):
                if options.confirm is None:
                    return self._take(run, options, got.value)
                return self._confirm(run, options, got.value)
            got = ask_again(run, options, self._asked(run, options), "no_match")
        return got

    def _is_secure(self, run: Run, options: CollectOptions) -> bool:
        return options.secure or run.state.secure

    def _is_right(self, options: CollectOptions, digits: str) -> bool:
        if options.luhn and not is_luhn(digits):
            return False
        return not options.pattern or re.fullmatch(options.pattern, digits) is not None

    def _take(self, run: Run, options: CollectOptions, digits: str) -> Outcome:
        run.state.variables.pop("entered", None)
        run.store(options.into, digits, secret=self._is_secure(run, options))
        return "next"

    def _confirm(self, run: Run, options: CollectOptions, digits: str) -> Outcome:
        run.local["entered"] = digits
        run.store("entered", digits, secret=self._is_secure(run, options))
        return self._judge_confirmation(run, options, begin(run, self._confirmation(options)))

    def _judge_confirmation(self, run: Run, options: CollectOptions, got: Gathered | None) -> Outcome:
        if got is None:
            return None
        assert options.confirm is not None
        entered = str(run.local.pop("entered"))
        if got.value == options.confirm.yes:
            return self._take(run, options, entered)
        run.state.variables.pop("entered", None)
        failure = "no_input" if got.kind == "silence" else "no_match"
        quiet = got.value == options.confirm.no
        return self._judge(run, options, ask_again(run, options, self._asked(run, options), failure, quiet))

    def branches(self, options: CollectOptions) -> Iterator[Branch]:
        yield from failure_branches(options)

    def silent_branches(self, options: CollectOptions) -> frozenset[str] | None:
        return frozenset({"no_input"})

    def gives(self, options: CollectOptions) -> frozenset[str]:
        return frozenset({"entered"})

    def writes(self, options: CollectOptions) -> frozenset[str]:
        return frozenset({options.into})

    def secret_writes(self, options: CollectOptions) -> frozenset[str]:
        return self.writes(options) if options.secure else frozenset()
