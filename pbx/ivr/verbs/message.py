"""Do something with a voice message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import ChangeMessage, Expired, Input, MessageChanged
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class MessageOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    message: Template = described(..., "The message's `id`.", "留言的 id。")
    change: Literal["heard", "saved", "deleted", "restored", "forwarded"] = described(
        ..., "What happens to it; `restored` takes a deletion back.", "操作；`restored` 撤销删除。"
    )
    to: Template | None = described(None, "With forwarded: number of the other mailbox.", "转发到的信箱号码。")
    introduction: Template | None = described(
        None, "With forwarded: path of a recording that goes before the message.", "转发时置于留言之前的录音路径。"
    )
    refused: TargetField | None = described(
        None, "With forwarded: where to go when there is no such mailbox, or it is full.", "信箱不存在或已满时的去向。"
    )

    @model_validator(mode="after")
    def _check_forward(self) -> MessageOptions:
        if (self.change == "forwarded") != (self.to is not None):
            raise ValueError("expected `to` with forwarded, and with nothing else")
        if self.change != "forwarded" and (self.introduction is not None or self.refused is not None):
            raise ValueError("`introduction` and `refused` belong to forwarded")
        return self


class MessageVerb(Verb[MessageOptions]):
    name = "message"
    options = MessageOptions
    summary = {
        "en": "Mark a voice message as heard, keep it, delete it, take that back, or forward it to another mailbox.",
        "zh": "将留言标为已听、保存、删除、恢复，或转发到其他信箱。",
    }
    example = """
start:
  - answer
  - message: {mailbox: "1001", message: "{{ call.data.message }}", change: forwarded, to: "1002", refused: bye}
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: MessageOptions) -> Outcome:
        mailbox, message = run.text(options.mailbox), run.text(options.message)
        if options.to is None:
            run.put(ChangeMessage(mailbox, message, options.change))
            return "next"
        introduction = "" if options.introduction is None else run.text(options.introduction)
        request = run.request("message")
        run.put(ChangeMessage(mailbox, message, options.change, run.text(options.to), introduction, request))
        run.wait(5.0)
        return None

    def resume(self, run: Run, options: MessageOptions, event: Input) -> Outcome:
        if not isinstance(event, MessageChanged | Expired):
            return None
        failed = isinstance(event, Expired) or bool(event.failure)
        return "refused" if failed and options.refused is not None else "next"

    def branches(self, options: MessageOptions) -> Iterator[Branch]:
        if options.refused is not None:
            yield "refused", ("refused",), options.refused
