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


def _make_box(messages: list[dict[str, Any]], greeting: str) -> dict[str, Any]:
    unheard = [message for message in messages if message["new"]]
    heard = [message for message in messages if not message["new"]]
    return {
        "messages": messages,
        "unheard": unheard,
        "heard": heard,
        "new": len(unheard),
        "old": len(heard),
        "greeting": greeting,
    }


class MailboxOptions(VerbOptions):
    mailbox: Template = described(..., "Number of the mailbox.", "信箱号码。")
    pin: Template | None = described(
        None,
        "PIN the caller entered; without it only the own phone gets in, or who gave it before in the same call.",
        "来电者输入的 PIN；不给出时，只有本机或本次通话中已输入过 PIN 的来电者可进入。",
    )
    into: Variable = described(
        ...,
        "Variable that takes `messages`, of these `unheard` and `heard`, how many (`new`, `old`), and `greeting`.",
        "保存留言列表的变量：messages、unheard、heard、new、old、greeting。",
    )
    refused: TargetField = described(..., "Where to go with a wrong PIN, or none.", "PIN 错误时的去向。")
    locked: TargetField | None = described(
        None,
        "Where to go after too many wrong PINs; default: as refused.",
        "PIN 错误次数过多时的去向；默认同 refused。",
    )
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
            run.store(options.into, _make_box([], ""))
            if failure == "locked" and options.locked is not None:
                return "locked"
            return "refused" if failure in ("refused", "locked") else "failed"
        messages: list[dict[str, Any]] = [msgspec.to_builtins(message) for message in event.messages]
        run.store(options.into, _make_box(messages, event.greeting))
        return "next"

    def branches(self, options: MailboxOptions) -> Iterator[Branch]:
        yield "refused", ("refused",), options.refused
        if options.locked is not None:
            yield "locked", ("locked",), options.locked
        yield "failed", ("failed",), options.failed

    def writes(self, options: MailboxOptions) -> frozenset[str]:
        return frozenset({options.into})
