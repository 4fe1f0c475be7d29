"""Open a voice mailbox: what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Expired, Input, MailboxRead, ReadMailbox
from pbx.ivr.options import TargetField, Variable, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class MailboxOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    pin: Template | None = described(
        None, "PIN the caller entered; without it only the own phone gets in.", "来电者输入的 PIN。"
    )
    into: Variable = described(
        ..., "Variable that takes `messages`, `new`, `old` and `greeting`.", "保存留言列表的变量。"
    )
    refused: TargetField = described(..., "Where to go with a wrong PIN, or none.", "PIN 错误时的去向。")
    failed: TargetField = described(
        ..., "Where to go when there is no such mailbox, or it cannot be read.", "信箱不存在或无法读取时的去向。"
    )


class MailboxVerb(Verb[MailboxOptions]):
    name = "mailbox"
    options = MailboxOptions
    summary = {
        "en": "Open a voice mailbox. Each message has id, path, caller, at, seconds, new, urgent; the newest is first.",
        "zh": "打开语音信箱；每条留言含 id、path、caller、at、seconds、new、urgent，最新的在前。",
    }
    example = """
start:
  - answer
  - mailbox: {mailbox: "{{ call.caller }}", into: box, refused: bye, failed: bye}
  - say: "You have {{ box.new }} new messages."
  - branch: {if: not box.messages, then: bye}
  - play: [{recording: "{{ box.messages[0].path }}"}]
  - message: {mailbox: "{{ call.caller }}", message: "{{ box.messages[0].id }}", change: deleted}
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: MailboxOptions) -> Outcome:
        pin = "" if options.pin is None else run.text(options.pin)
        run.put(ReadMailbox(run.request("mailbox"), run.text(options.mailbox), pin))
        run.wait(5.0)
        return None

    def resume(self, run: Run, options: MailboxOptions, event: Input) -> Outcome:
        if not isinstance(event, MailboxRead | Expired):
            return None
        failure = "error" if isinstance(event, Expired) else event.failure
        if isinstance(event, Expired) or failure:
            run.store(options.into, {"messages": [], "new": 0, "old": 0, "greeting": ""})
            return "refused" if failure in ("refused", "locked") else "failed"
        messages: list[dict[str, Any]] = [msgspec.to_builtins(message) for message in event.messages]
        new = sum(message["new"] for message in messages)
        box = {"messages": messages, "new": new, "old": len(messages) - new, "greeting": event.greeting}
        run.store(options.into, box)
        return "next"

    def branches(self, options: MailboxOptions) -> Iterator[Branch]:
        yield "refused", ("refused",), options.refused
        yield "failed", ("failed",), options.failed

    def writes(self, options: MailboxOptions) -> frozenset[str]:
        return frozenset({options.into})
