"""Why this agent: the kept decision of an offer, small when taken and put into words when asked for."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Trigger = Literal["item", "agent", "pull"]
"""What led to the decision: an item looked for an agent, an agent became free, or a supervisor pulled."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An agent who could have been chosen."""

    agent: str
    level: int
    """Level in the queue; less is better and is compared first."""
    score: float
    """Fit of skills; more is better and is compared second."""
    key: tuple[float, ...]
    """The strategy's key; less is better and is compared last."""


class Excluded(msgspec.Struct, frozen=True, gc=False):
    """An agent of the queue who fell out, and at which filter."""

    agent: str
    why: str
    """A state (``talking``, ``not_ready: lunch``), or ``skill billing 3 < 5``, ``language zh``, ``level 2 > 1``."""


class Rival(msgspec.Struct, frozen=True, gc=False):
    """Another item that the free agent could have been given."""

    item: str
    queue: str
    urgency: float
    overdue: bool = False


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that is needed to say why. Lists are cut; the counts are whole."""

    item: str
    queue: str
    agent: str
    at: float
    waited_s: float
    strategy: str
    trigger: Trigger
    needs: tuple[str, ...] = ()
    """What agents needed at that moment: ``skill billing >= 5``, ``language zh``, ``level <= 1``."""
    preferred: bool = False
    """The agent was named by the item."""
    ready: int = 0
    """Agents of the queue who were ready."""
    fitting: int = 0
    """Of these, those who met all needs; -1: not counted, because the queue has agents of too many kinds."""
    candidates: tuple[Candidate, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    rivals: tuple[Rival, ...] = ()

    @property
    def tie_break(self) -> str:
        """What decided over the next best: ``preferred``, ``only one``, ``level``, ``skill``, ``key`` or ``number``."""
        if self.preferred:
            return "preferred"
        if len(self.candidates) < 2:
            return "only one"
        best, second = self.candidates[:2]
        if best.level != second.level:
            return "level"
        if best.score != second.score:
            return "skill"
        return "key" if best.key != second.key else "number"

    def to_data(self) -> dict[str, Any]:
        """Plain data for the event log."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        data["tie_break"] = self.tie_break
        return data


def decision_from_data(data: dict[str, Any]) -> Decision:
    """The inverse of :meth:`Decision.to_data`. Raises msgspec.ValidationError if it is no decision."""
    return msgspec.convert({key: value for key, value in data.items() if key != "tie_break"}, Decision)


_WORDS = {
    "en": {
        "head": "{agent} was offered {item} of {queue} after {waited:.1f} s",
        "item": "The item looked for an agent.",
        "agent": "The agent became free and looked for an item.",
        "pull": "A supervisor gave it to the agent.",
        "preferred": "The item named this agent.",
        "needs": "Needed: {needs}.",
        "counts": "Ready in the queue: {ready}, of these fitting: {fitting}.",
        "order": "Order ({strategy}; decided by {tie}):",
        "excluded": "Fell out:",
        "rivals": "Other items for this agent:",
        "candidate": "  {n}. {agent}  level {level}  fit {score:g}  key {key}",
        "rival": "  {item} of {queue}: urgency {urgency:.2f}{overdue}",
        "overdue": ", overdue",
    },
    "zh": {
        "head": "{agent} 在等待 {waited:.1f} 秒后分到队列 {queue} 的 {item}",
        "item": "工作项寻找坐席。",
        "agent": "坐席空闲后寻找工作项。",
        "pull": "由班长指派给该坐席。",
        "preferred": "工作项指定了该坐席。",
        "needs": "要求:{needs}。",
        "counts": "队列中就绪 {ready} 人,其中符合要求 {fitting} 人。",
        "order": "排序({strategy};由 {tie} 决定):",
        "excluded": "未入选:",
        "rivals": "该坐席的其他待接项:",
        "candidate": "  {n}. {agent}  级别 {level}  匹配 {score:g}  键 {key}",
        "rival": "  队列 {queue} 的 {item}:紧急度 {urgency:.2f}{overdue}",
        "overdue": ",已超时",
    },
}


def render(decision: Decision, language: str = "en") -> str:
    """The decision in words, for ``tandem explain``; English unless the language is Chinese."""
    words = _WORDS["zh" if language.startswith("zh") else "en"]
    lines = [
        words["head"].format(agent=decision.agent, item=decision.item, queue=decision.queue, waited=decision.waited_s),
        words[decision.trigger],
    ]
    if decision.preferred:
        lines.append(words["preferred"])
    if decision.needs:
        lines.append(words["needs"].format(needs=", ".join(decision.needs)))
    lines.append(
        words["counts"].format(ready=decision.ready, fitting="?" if decision.fitting < 0 else decision.fitting)
    )
    if decision.candidates:
        lines.append(words["order"].format(strategy=decision.strategy, tie=decision.tie_break))
        for n, candidate in enumerate(decision.candidates, 1):
            key = "/".join(f"{part:g}" for part in candidate.key)
            lines.append(
                words["candidate"].format(
                    n=n, agent=candidate.agent, level=candidate.level, score=candidate.score, key=key
                )
            )
    if decision.excluded:
        lines.append(words["excluded"])
        lines += [f"  {excluded.agent}: {excluded.why}" for excluded in decision.excluded]
    if decision.rivals:
        lines.append(words["rivals"])
        lines += [
            words["rival"].format(
                item=rival.item,
                queue=rival.queue,
                urgency=rival.urgency,
                overdue=words["overdue"] if rival.overdue else "",
            )
            for rival in decision.rivals
        ]
    return "\n".join(lines)
