"""Go back, but only so many times."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class LoopOptions(VerbOptions):
    times: int = described(..., "So many times at most.", "最多次数。", ge=1, le=1000)
    again: TargetField = described(..., "Where to go while the count is not reached.", "未达次数时的去向。")
    done: TargetField | None = described(
        None, "Where to go afterwards; otherwise straight on.", "达到次数后的去向，缺省为继续。"
    )


class LoopVerb(Verb[LoopOptions]):
    name = "loop"
    options = LoopOptions
    summary = {"en": "Go back to a node a limited number of times.", "zh": "有限次数地回到某个节点。"}
    example = """
start:
  - say: Please hold.
  - loop: {times: 2, again: start}
  - hangup
"""

    def enter(self, run: Run, options: LoopOptions) -> Outcome:
        visits = run.state.visits
        count = visits.get(run.state.step, 0) + 1
        if count > options.times:
            visits.pop(run.state.step, None)
            return "done"
        visits[run.state.step] = count
        return "again"

    def branches(self, options: LoopOptions) -> Iterator[Branch]:
        yield "again", ("again",), options.again
        if options.done is not None:
            yield "done", ("done",), options.done

    def goes_on(self, options: LoopOptions) -> bool:
        return options.done is None

    def silent_branches(self, options: LoopOptions) -> frozenset[str] | None:
        return frozenset({"done", "next"})
