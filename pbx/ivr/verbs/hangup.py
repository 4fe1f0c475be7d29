"""End the call."""

from __future__ import annotations

from pydantic import field_validator

from pbx.core.destination import HANGUP_CAUSES
from pbx.ivr.messages import Hangup
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Finish, Outcome, Run
from pbx.ivr.verbs.base import Verb


class HangupOptions(VerbOptions):
    shorthand = "cause"

    cause: str = described(
        "normal", "Why: " + ", ".join(HANGUP_CAUSES) + ".", "原因：" + "、".join(HANGUP_CAUSES) + "。"
    )

    @field_validator("cause")
    @classmethod
    def _check_cause(cls, value: str) -> str:
        if value not in HANGUP_CAUSES:
            raise ValueError(f"{value!r} is no hangup cause: expected {', '.join(HANGUP_CAUSES)}")
        return value


class HangupVerb(Verb[HangupOptions]):
    name = "hangup"
    options = HangupOptions
    summary = {"en": "End the call, or refuse it when it was not answered.", "zh": "挂断；未接听时即拒接。"}
    example = """
start:
  - hangup: busy
"""
    ends = True

    def enter(self, run: Run, options: HangupOptions) -> Outcome:
        status, cause = HANGUP_CAUSES[options.cause]
        run.put(Hangup(cause=cause, status=status, reason=options.cause))
        return Finish("hangup")
