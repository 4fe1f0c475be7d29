"""Let the caller choose."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import field_validator

from pbx.ivr.gathering import Gathered, Gathering, judge_keys
from pbx.ivr.messages import DigitsCollected, Input
from pbx.ivr.options import TargetField, Variable, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.asking import SpokenOptions, ask, ask_again, failure_branches, hear
from pbx.ivr.verbs.base import Branch, Verb


class MenuOptions(SpokenOptions):
    choices: dict[str, TargetField] = described(
        ..., "Digits to where they lead.", "按键与去向。", min_length=1, max_length=100
    )
    speech: dict[str, tuple[str, ...]] = described(
        {}, "Digits to phrases that mean the same.", "与按键等义的说法。", max_length=100
    )
    into: Variable | str = described("", "Variable that takes the digits chosen.", "保存所选按键的变量。")

    @field_validator("choices")
    @classmethod
    def _check_keys(cls, value: dict[str, object]) -> dict[str, object]:
        for key in value:
            if not key or len(key) > 8 or not all(c in "0123456789*#" for c in key):
                raise ValueError(f"{key!r} cannot be dialled: expected digits, * or #")
        return value


def find_said(options: MenuOptions, text: str) -> str | None:
    """The choice whose phrase is in what was said."""
    said = text.casefold().replace(" ", "")
    for key, words in options.speech.items():
        if any(word.casefold().replace(" ", "") in said for word in words):
            return key
    return None


class MenuVerb(Verb[MenuOptions]):
    name = "menu"
    options = MenuOptions
    summary = {"en": "Ask the caller to choose, by digits or speech.", "zh": "请来电者按键或说话选择。"}
    example = """
start:
  - answer
  - menu:
      prompt: welcome
      choices:
        1: [{queue: sales}, hangup]
        2: [{queue: support}, hangup]
      speech: {1: [sales, 销售], 2: [support, 客服]}
      no_input: {then: bye}
      no_match: {then: bye}
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def _asked(self, options: MenuOptions) -> Gathering:
        phrases = tuple(phrase for words in options.speech.values() for phrase in words)
        return Gathering(
            prompt=options.prompt,
            judge=judge_keys(frozenset(options.choices)),
            timeout=options.timeout,
            between=options.between,
            barge_in=options.barge_in,
            phrases=phrases,
            speech_pause=options.speech_pause,
            max_speech=options.max_speech,
        )

    def enter(self, run: Run, options: MenuOptions) -> Outcome:
        what = self._asked(options)
        return self._judge(run, options, what, ask(run, options, what))

    def resume(self, run: Run, options: MenuOptions, event: Input) -> Outcome:
        what = self._asked(options)
        return self._judge(run, options, what, hear(run, what, event))

    def _judge(self, run: Run, options: MenuOptions, what: Gathering, got: Gathered | str | None) -> Outcome:
        while isinstance(got, Gathered):
            key = self._key(options, got)
            if got.kind == "digits":
                run.put(DigitsCollected(run.step.node, "***" if run.state.secure else got.value, run.state.secure))
            if key is not None:
                if options.into:
                    run.store(options.into, key, secret=run.state.secure)
                return f"choice {key}"
            got = ask_again(run, options, what, "no_input" if got.kind == "silence" else "no_match")
        return got

    def _key(self, options: MenuOptions, got: Gathered) -> str | None:
        if got.kind == "speech":
            return find_said(options, got.value) if got.value else None
        return got.value if got.value in options.choices else None

    def branches(self, options: MenuOptions) -> Iterator[Branch]:
        for key, target in options.choices.items():
            yield f"choice {key}", ("choices", key), target
        yield from failure_branches(options)

    def goes_on(self, options: MenuOptions) -> bool:
        return options.no_input is None or options.no_match is None

    def silent_branches(self, options: MenuOptions) -> frozenset[str] | None:
        return frozenset({"no_input"})

    def writes(self, options: MenuOptions) -> frozenset[str]:
        return frozenset({options.into} - {""})
