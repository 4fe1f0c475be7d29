"""Wait for an agent."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template, to_text
from pbx.ivr.messages import Digit, Input, LeaveQueue, Queue, QueueResult
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb

RESULTS = ("completed", "overflow", "timeout", "full", "closed", "no_agents", "failed")


class QueueOptions(VerbOptions):
    shorthand = "queue"

    queue: Template = described(..., "Name of the queue.", "队列名称。")
    priority: int | None = described(
        None, "Instead of the queue's own priority.", "覆盖队列自身的优先级。", ge=0, le=100
    )
    skills: dict[str, int] = described(
        {}, "Extra skills wanted and their least level.", "额外要求的技能及最低等级。", max_length=10
    )
    agent: Template | None = described(None, "Agent preferred for a while.", "优先的座席。")
    language: bool = described(True, "Ask for an agent who speaks the caller's language.", "优先会说来电者语言的座席。")
    keys: dict[str, TargetField] = described(
        {}, "Digits that lead out of the queue.", "可离开队列的按键与去向。", max_length=12
    )
    completed: TargetField | None = described(None, "Where to go when the agent has hung up.", "座席挂断后的去向。")
    overflow: TargetField | None = described(None, "Where to go when the queue says so.", "队列溢出时的去向。")
    timeout: TargetField | None = described(
        None, "Where to go after the queue's longest wait.", "超过最长等待后的去向。"
    )
    full: TargetField | None = described(None, "Where to go when the queue is full.", "队列已满时的去向。")
    closed: TargetField | None = described(None, "Where to go when the queue is closed.", "队列关闭时的去向。")
    no_agents: TargetField | None = described(None, "Where to go when nobody is logged in.", "无座席登录时的去向。")
    failed: TargetField | None = described(
        None, "Where to go when the queue could not take the call.", "无法排队时的去向。"
    )


class QueueVerb(Verb[QueueOptions]):
    name = "queue"
    options = QueueOptions
    summary = {
        "en": "Wait in a queue and talk to an agent; what `data` collected is on his screen. "
        "A result without a way of its own goes straight on.",
        "zh": "在队列中等待并与座席通话，data 收集的内容显示在座席屏幕上；未指定去向的结果继续往下。",
    }
    example = """
start:
  - answer
  - queue:
      queue: support
      priority: 5
      keys: {9: bye}
      timeout: [{say: Nobody is free.}, hangup]
  - goto: bye
bye:
  - hangup
"""
    takes_digits = True
    waits = True

    def enter(self, run: Run, options: QueueOptions) -> Outcome:
        request = run.request("queue")
        run.local["queue"] = request
        run.put(
            Queue(
                request=request,
                queue=run.text(options.queue),
                priority=options.priority,
                skills=dict(options.skills),
                language=run.state.language if options.language else "",
                agent="" if options.agent is None else to_text(run.value(options.agent)),
                data=dict(run.state.data),
            )
        )
        return None

    def resume(self, run: Run, options: QueueOptions, event: Input) -> Outcome:
        if isinstance(event, Digit):
            return self._press(run, options, event.digit)
        if not isinstance(event, QueueResult):
            return None
        if event.result == "answered":
            run.local["talking"] = True
            return None
        return event.result if event.result in RESULTS else "next"

    def _press(self, run: Run, options: QueueOptions, digit: str) -> Outcome:
        if digit not in options.keys or run.local.get("talking"):
            return None
        request = run.local["queue"]
        run.state.open.pop(request, None)
        run.put(LeaveQueue(request, "exit_key"))
        return f"key {digit}"

    def branches(self, options: QueueOptions) -> Iterator[Branch]:
        for key, target in options.keys.items():
            yield f"key {key}", ("keys", key), target
        for result in RESULTS:
            target = getattr(options, result)
            if target is not None:
                yield result, (result,), target

    def references(self, options: QueueOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.queue.is_plain:
            yield "queue", options.queue.source, ("queue",)
