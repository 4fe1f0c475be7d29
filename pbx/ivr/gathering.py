"""Playing a prompt and gathering digits or speech: what menu, collect, directory and survey share.

Digits typed ahead come first and spare the caller the prompt; a digit or speech stops a prompt that allows it; after
the prompt the clock for the first digit runs, then the one between digits. One who speaks is let finish: the clock then
only watches over gateway and recogniser. A first digit ends listening, so that a noisy line spoils nobody's typing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pbx.ivr.messages import (
    ALL_DIGITS,
    MASK,
    Digit,
    Expired,
    Input,
    Listen,
    PlayFinished,
    Recognised,
    SpeechHeard,
    SpeechStarted,
    StopListening,
    StopPlay,
)
from pbx.ivr.options import PromptItem
from pbx.ivr.run import Run

SPOKEN_DIGITS = {
    **dict(zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True)),
    **dict(zip("零一二三四五六七八九", "0123456789", strict=True)),
    "oh": "0", "o": "0", "〇": "0", "幺": "1", "两": "2",
}  # fmt: skip
Verdict = Literal["complete", "more", "wrong"]
RECOGNITION_SECONDS = 12.0
"""Longest time a recogniser takes, and something for the way there and back."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """What is asked of the caller."""

    prompt: tuple[PromptItem, ...]
    judge: Callable[[str], Verdict]
    """Says of the digits so far whether they are all, some, or impossible."""
    timeout: float
    """Seconds for the first digit, after the prompt."""
    between: float
    """Seconds between digits."""
    terminators: str = ""
    barge_in: bool = True
    phrases: tuple[str, ...] = ()
    speech_digits: bool = False
    speech_pause: float = 1.0
    """Seconds of quiet that end what is said."""
    max_speech: float = 15.0


class Gathered(NamedTuple):
    kind: Literal["digits", "speech", "silence"]
    value: str = ""
    complete: bool = True
    """False: the digits stopped short or cannot be right."""


def begin(run: Run, what: Gathering, before: tuple[PromptItem, ...] = ()) -> Gathered | None:
    """Ask; ``before`` is played first (what was wrong last time). None: wait for :func:`feed`."""
    run.local.update(digits="", playing="", listening="", speaking=False)
    run.state.skipped = []
    done = _take_ahead(run, what)
    if done is not None:
        return done
    if run.local["digits"]:
        run.wait(what.between)
        return None
    items = before + what.prompt
    speech = what.barge_in and _hears(run, what)
    run.local["playing"] = run.play(items, ALL_DIGITS if what.barge_in else "", speech) if items else ""
    if what.barge_in or not run.local["playing"]:
        _listen(run, what)
    if not run.local["playing"]:
        run.wait(what.timeout)
    return None


def _hears(run: Run, what: Gathering) -> bool:
    language = run.state.language
    known = {"*", language, language.split("-")[0]} & set(run.call.spoken)
    return bool(what.phrases or what.speech_digits) and bool(known) and not run.state.deaf


def _listen(run: Run, what: Gathering) -> None:
    if not _hears(run, what):
        return
    request = run.request("listen")
    run.local["listening"] = request
    run.put(Listen(request, run.state.language, what.phrases, what.speech_digits, what.speech_pause, what.max_speech))


def feed(run: Run, what: Gathering, event: Input) -> Gathered | None:
    """Take one input; returns what was gathered, or None to go on waiting."""
    if isinstance(event, Digit):
        return _take_digit(run, what, event.digit)
    if isinstance(event, PlayFinished):
        if event.request == run.local.get("playing"):
            run.local["playing"] = ""
            if not run.local["speaking"]:
                run.wait(what.timeout)
            if not what.barge_in:
                _listen(run, what)
        return None
    if isinstance(event, SpeechStarted):
        _let_speak(run, what, event.request)
        return None
    if isinstance(event, Recognised):
        run.state.deaf = run.state.deaf or bool(event.failure)
        return _take_speech(run, what, event)
    if isinstance(event, Expired):
        return _take_silence(run, what)
    return None


def _take_ahead(run: Run, what: Gathering) -> Gathered | None:
    while run.state.ahead:
        digit, run.state.ahead = run.state.ahead[0], run.state.ahead[1:]
        done = _add(run, what, digit)
        if done is not None:
            return done
    return None


def _take_digit(run: Run, what: Gathering, digit: str) -> Gathered | None:
    playing = run.local["playing"]
    if playing:
        if not what.barge_in:
            return None
        run.local["playing"] = ""
        run.state.open.pop(playing, None)
        run.put(StopPlay(playing))
    _stop_listening(run)
    done = _add(run, what, digit)
    if done is None:
        run.wait(what.between)
    return done


def _add(run: Run, what: Gathering, digit: str) -> Gathered | None:
    digits = run.local["digits"]
    if digit in what.terminators:
        return Gathered("digits", digits, what.judge(digits) == "complete")
    digits += digit
    run.local["digits"] = digits
    verdict = what.judge(digits)
    if verdict == "wrong":
        return Gathered("digits", digits, complete=False)
    if verdict == "complete" and not _may_grow(what, digits):
        return Gathered("digits", digits)
    return None


def _may_grow(what: Gathering, digits: str) -> bool:
    """Whether a complete entry could also be the beginning of a longer one."""
    return any(what.judge(digits + more) != "wrong" for more in "0123456789*#" if more not in what.terminators)


def _let_speak(run: Run, what: Gathering, request: str) -> None:
    if request == run.local.get("listening"):
        run.local["speaking"] = True
        _stop_prompt(run)
        run.wait(what.max_speech + RECOGNITION_SECONDS)


def _stop_prompt(run: Run) -> None:
    playing, run.local["playing"] = run.local["playing"], ""
    if playing and run.state.open.pop(playing, None):
        run.put(StopPlay(playing))


def _take_speech(run: Run, what: Gathering, event: Recognised) -> Gathered | None:
    if event.request != run.local.get("listening"):
        return None
    run.local["listening"] = ""
    run.local["speaking"] = False
    if event.failure:
        if not run.local["playing"]:
            run.wait(what.timeout)
        return None
    _stop_prompt(run)
    run.put(SpeechHeard(run.step.node, MASK if run.state.secure and event.text else event.text, event.confidence))
    if not event.text:
        return Gathered("speech", complete=False)
    if what.speech_digits:
        digits = read_spoken_digits(event.text)
        return Gathered("digits", digits, bool(digits) and what.judge(digits) == "complete")
    return Gathered("speech", event.text)


def _take_silence(run: Run, what: Gathering) -> Gathered:
    _stop_listening(run)
    run.local["playing"] = ""
    digits = run.local["digits"]
    if not digits:
        return Gathered("silence")
    return Gathered("digits", digits, what.judge(digits) == "complete")


def _stop_listening(run: Run) -> None:
    listening, run.local["listening"] = run.local["listening"], ""
    run.local["speaking"] = False
    if listening and run.state.open.pop(listening, None):
        run.put(StopListening(listening))


def read_spoken_digits(text: str) -> str:
    """The digits somebody said, in English words, Chinese characters or figures; empty if there is anything else."""
    words = re.findall(r"[a-z]+|\d|[^\sa-z\d]", text.casefold().replace("-", " ").replace(",", " "))
    digits: list[str] = []
    times = 1
    for word in words:
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        digit = word if word.isdigit() and word.isascii() else SPOKEN_DIGITS.get(word, "")
        if not digit:
            return ""
        digits.append(digit * times)
        times = 1
    return "".join(digits)


def judge_keys(keys: frozenset[str]) -> Callable[[str], Verdict]:
    """For a menu: complete at a key, more while a key begins so."""

    def judge(digits: str) -> Verdict:
        if digits in keys:
            return "complete"
        return "more" if any(key.startswith(digits) for key in keys) else "wrong"

    return judge


def judge_length(least: int, most: int) -> Callable[[str], Verdict]:
    """For free digits."""

    def judge(digits: str) -> Verdict:
        if len(digits) > most:
            return "wrong"
        return "complete" if len(digits) >= least else "more"

    return judge
