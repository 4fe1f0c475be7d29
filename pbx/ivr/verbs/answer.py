"""Answer the call."""

from __future__ import annotations

from pbx.ivr.messages import Answer, Answered, Expired, Input
from pbx.ivr.options import Seconds, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class AnswerOptions(VerbOptions):
    after: Seconds = described(0.0, "Let it ring so long first.", "先振铃多长时间再接听。")


class AnswerVerb(Verb[AnswerOptions]):
    name = "answer"
    options = AnswerOptions
    summary = {"en": "Answer the call; without effect when it is answered already.", "zh": "接听来电；已接听则无作用。"}
    example = """
start:
  - answer: {after: 2s}
  - say: Hello
  - hangup
"""

    def enter(self, run: Run, options: AnswerOptions) -> Outcome:
        if options.after > 0:
            run.wait(options.after)
            return None
        return self._answer(run)

    def resume(self, run: Run, options: AnswerOptions, event: Input) -> Outcome:
        if isinstance(event, Expired) and not run.state.open:
            return self._answer(run)
        return "next" if isinstance(event, Answered | Expired) else None

    def _answer(self, run: Run) -> Outcome:
        """The flow does not wait for the ACK: what is played first is not lost, the gateway keeps to the leg."""
        run.put(Answer(run.request("answer")))
        return "next"
