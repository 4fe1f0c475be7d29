"""Asking again: what menu, collect and the like do when the caller says nothing or something wrong."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.gathering import Gathered, Gathering, begin, feed
from pbx.ivr.messages import Input
from pbx.ivr.options import OptionModel, Prompt, Seconds, TargetField, VerbOptions, described
from pbx.ivr.run import Run
from pbx.ivr.verbs.base import Branch


class Failure(OptionModel):
    """What happens when the caller says nothing, or something wrong."""

    prompt: Prompt | None = described(None, "Played before asking again.", "再次询问前播放的提示。")
    then: TargetField = described(..., "Where to go when the attempts are used up.", "尝试次数用尽后的去向。")


class AskingOptions(VerbOptions):
    """Options shared by the verbs that ask."""

    prompt: Prompt = described(..., "The question.", "询问的提示音。")
    timeout: Seconds = described(
        5.0, "Wait so long for an answer after the prompt.", "提示结束后的等待时长。", gt=0, le=120
    )
    between: Seconds = described(3.0, "Wait so long between digits.", "两次按键之间的等待时长。", gt=0, le=60)
    attempts: int = described(3, "Ask so many times altogether.", "最多询问次数。", ge=1, le=10)
    barge_in: bool = described(True, "Digits and speech cut the prompt short.", "按键或说话可打断提示音。")
    no_input: Failure | None = described(None, "When the caller does nothing.", "无输入时的处理。")
    no_match: Failure | None = described(None, "When the answer is not one of those expected.", "输入不符时的处理。")


class SpokenOptions(AskingOptions):
    """Options of the verbs that may be answered by speech."""

    speech_pause: Seconds = described(
        1.0, "So much quiet ends what the caller says.", "静默这么久即视为说完。", ge=0.4, le=5
    )
    max_speech: Seconds = described(15.0, "A caller who speaks longer is cut off.", "说话时长上限。", ge=1, le=60)


def ask(run: Run, options: AskingOptions, what: Gathering) -> Gathered | None:
    """The first time."""
    run.local["attempt"] = 1
    return begin(run, what)


def hear(run: Run, what: Gathering, event: Input) -> Gathered | None:
    return feed(run, what, event)


def ask_again(
    run: Run, options: AskingOptions, what: Gathering, failure: str, quiet: bool = False
) -> Gathered | str | None:
    """After a failed attempt: ask again, or the branch when the attempts are used up; ``quiet``: without complaint."""
    run.state.ahead = ""
    if run.local["attempt"] >= options.attempts:
        return failure
    run.local["attempt"] += 1
    handling: Failure | None = getattr(options, failure)
    before = handling.prompt if handling is not None and handling.prompt and not quiet else ()
    return begin(run, what, before)


def failure_branches(options: AskingOptions) -> Iterator[Branch]:
    for name in ("no_input", "no_match"):
        handling: Failure | None = getattr(options, name)
        if handling is not None:
            yield name, (name, "then"), handling.then
