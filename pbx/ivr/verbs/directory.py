"""Find somebody by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pbx.ivr.expressions import Template
from pbx.ivr.gathering import Gathered, Gathering, begin, feed, judge_keys, judge_length
from pbx.ivr.messages import Expired, Input, Lookup, LookupResult
from pbx.ivr.options import PromptItem, Texts, Variable, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.asking import AskingOptions, ask, ask_again, failure_branches
from pbx.ivr.verbs.base import Branch, Verb

MAX_OFFERED = 8
_LEAST = 2
"""Letters of a short name, or initials."""


class DirectoryOptions(AskingOptions):
    into: Variable = described(..., "Variable that takes name and destination.", "保存姓名与目的地的变量。")
    letters: int = described(
        3,
        "At most so many letters of the name are dialled; fewer end with # or a pause.",
        "最多按姓名的前几个字母；不足时按 # 或停顿结束。",
        ge=1,
        le=10,
    )
    offer: Texts = described(
        {"en": "For {{ person }}, press {{ key }}.", "zh": "{{ person }}请按{{ key }}。"},
        "Said for everyone found.",
        "逐个报出的话术。",
        validate_default=True,
    )


class DirectoryVerb(Verb[DirectoryOptions]):
    name = "directory"
    options = DirectoryOptions
    summary = {
        "en": "Find somebody by the letters of a name or its initials on the keypad (Chinese names by pinyin: "
        "张伟 is zhangwei, wei or zw).",
        "zh": "按键盘字母查找联系人，由来电者选择：姓、名或首字母；中文姓名用拼音（张伟：zhangwei、wei 或 zw）。",
    }
    example = """
start:
  - answer
  - directory: {prompt: welcome, into: person, no_input: {then: bye}, no_match: {then: bye}}
  - dial: "{{ person.destination }}"
  - goto: bye
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def _asked(self, options: DirectoryOptions) -> Gathering:
        judge = judge_length(min(_LEAST, options.letters), options.letters)
        return Gathering(options.prompt, judge, options.timeout, options.between, "#", options.barge_in)

    def _offered(self, run: Run, options: DirectoryOptions) -> Gathering:
        found: list[dict[str, str]] = run.local["found"]
        language = run.state.language if run.state.language in options.offer else next(iter(options.offer))
        items = []
        for index, person in enumerate(found, 1):
            scope: dict[str, Any] = {"person": person["name"], "key": str(index)}
            words = options.offer[language].render(scope, run.functions())
            items.append(PromptItem.model_construct(_fields_set={"say"}, say={language: Template.literal(words)}))
        keys = frozenset(str(index) for index in range(1, len(found) + 1))
        return Gathering(tuple(items), judge_keys(keys), options.timeout, options.between)

    def enter(self, run: Run, options: DirectoryOptions) -> Outcome:
        return self._judge_letters(run, options, ask(run, options, self._asked(options)))

    def resume(self, run: Run, options: DirectoryOptions, event: Input) -> Outcome:
        if isinstance(event, LookupResult) or "lookup" in run.local:
            if not isinstance(event, LookupResult | Expired):
                return None
            return self._found(run, options, event.matches if isinstance(event, LookupResult) else ())
        if "found" in run.local:
            return self._judge_choice(run, options, feed(run, self._offered(run, options), event))
        return self._judge_letters(run, options, feed(run, self._asked(options), event))

    def _judge_letters(self, run: Run, options: DirectoryOptions, got: Gathered | str | None) -> Outcome:
        while isinstance(got, Gathered):
            if got.kind == "digits" and got.complete:
                run.local["lookup"] = True
                run.put(Lookup(run.request("lookup"), "directory", got.value))
                run.wait(3.0)
                return None
            got = ask_again(run, options, self._asked(options), "no_input" if got.kind == "silence" else "no_match")
        return got

    def _found(self, run: Run, options: DirectoryOptions, matches: tuple[dict[str, str], ...]) -> Outcome:
        run.local.pop("lookup", None)
        if not matches:
            return self._judge_letters(run, options, ask_again(run, options, self._asked(options), "no_match"))
        run.local["found"] = [dict(match) for match in matches[:MAX_OFFERED]]
        return self._judge_choice(run, options, begin(run, self._offered(run, options)))

    def _judge_choice(self, run: Run, options: DirectoryOptions, got: Gathered | None) -> Outcome:
        if got is None:
            return None
        found = run.local.pop("found")
        if got.kind == "digits" and got.complete:
            person = found[int(got.value) - 1]
            run.store(options.into, {"name": person["name"], "destination": person["destination"]})
            return "next"
        failure = "no_input" if got.kind == "silence" else "no_match"
        return self._judge_letters(run, options, ask_again(run, options, self._asked(options), failure))

    def branches(self, options: DirectoryOptions) -> Iterator[Branch]:
        yield from failure_branches(options)

    def silent_branches(self, options: DirectoryOptions) -> frozenset[str] | None:
        return frozenset({"no_input"})

    def gives(self, options: DirectoryOptions) -> frozenset[str]:
        return frozenset({"person", "key"})

    def writes(self, options: DirectoryOptions) -> frozenset[str]:
        return frozenset({options.into})
