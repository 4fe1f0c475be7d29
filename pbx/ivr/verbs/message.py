"""Do something with a voice message."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import ChangeMessage
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class MessageOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    message: Template = described(..., "The message's `id`.", "留言的 id。")
    change: Literal["heard", "saved", "deleted", "forwarded"] = described(..., "What happens to it.", "操作。")
    to: Template | None = described(None, "With forwarded: number of the other mailbox.", "转发到的信箱号码。")

    @model_validator(mode="after")
    def _check_forward(self) -> MessageOptions:
        if (self.change == "forwarded") != (self.to is not None):
            raise ValueError("expected `to` with forwarded, and with nothing else")
        return self


class MessageVerb(Verb[MessageOptions]):
    name = "message"
    options = MessageOptions
    summary = {
        "en": "Mark a voice message as heard, keep it, delete it, or forward it to another mailbox.",
        "zh": "将留言标为已听、保存、删除或转发到其他信箱。",
    }
    example = """
start:
  - answer
  - message: {mailbox: "1001", message: "{{ call.data.message }}", change: forwarded, to: "1002"}
  - hangup
"""

    def enter(self, run: Run, options: MessageOptions) -> Outcome:
        to = "" if options.to is None else run.text(options.to)
        run.put(ChangeMessage(run.text(options.mailbox), run.text(options.message), options.change, to))
        return "next"
