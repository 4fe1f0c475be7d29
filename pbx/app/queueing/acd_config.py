"""The ACD's configuration out of the administrator's."""

from __future__ import annotations

from pbx.acd.model import (
    AcdConfig,
    AgentConfig,
    Boost,
    CallbackRules,
    Helpers,
    Presence,
    QueueConfig,
    ReasonConfig,
    Ring,
    SkillNeed,
)
from pbx.config.model import Agent, Configuration, Queue

_JOIN: dict[str, Presence] = {"any": "always", "logged_in": "logged_on", "not_paused": "active", "ready": "ready"}
_STAY: dict[str, Presence] = {
    "never": "always",
    "no_agents_logged_in": "logged_on",
    "no_agents_available": "active",
}
_OVERFLOW = {
    "max_wait": "max_wait",
    "max_length": "full",
    "no_agents": "no_agents",
    "closed": "closed",
    "holiday": "holiday",
}
_NEVER = 1_000_000_000
_BEST = 11
"""Configuration: 10 is best, for strategies that use levels; the ACD counts choices from 1."""


def make_acd_config(configuration: Configuration) -> AcdConfig:
    return AcdConfig(
        queues=tuple(_queue(queue, configuration) for queue in configuration.queues.values()),
        agents=tuple(_agent(agent, configuration) for agent in configuration.agents.values()),
        reasons=tuple(
            ReasonConfig(name=reason.code, limit_s=reason.limit) for reason in configuration.not_ready_reasons.values()
        ),
    )


def _queue(queue: Queue, configuration: Configuration) -> QueueConfig:
    callback = queue.callback
    return QueueConfig(
        name=queue.name,
        strategy=queue.strategy,
        skills=_skills(queue),
        helpers=tuple(Helpers(helper, step.after) for step in queue.widening for helper in step.queues),
        boosts=tuple(Boost(step.after, step.priority) for step in queue.widening if step.priority),
        match_language=queue.language_seats,
        priority=queue.priority,
        priority_step_s=60.0 / queue.ageing if queue.ageing else 1e9,
        weight=queue.weight,
        service_level_s=queue.service_level.threshold,
        ring_timeout_s=queue.ring_timeout,
        after_call_work_s=queue.after_call_work,
        after_call_work_limit_s=queue.after_call_work + 10 * queue.after_call_work_extension,
        dispositions=tuple(
            entry.code
            for entry in configuration.dispositions.values()
            if not entry.queues or queue.name in entry.queues
        ),
        disposition_required=queue.dispositions_required,
        miss_limit=queue.missed_offer.after if queue.missed_offer.not_ready else _NEVER,
        miss_rest_s=queue.missed_offer.pause,
        max_wait_s=queue.max_wait,
        max_length=queue.max_length,
        on_close=queue.on_close,
        join_when=_JOIN[queue.join_when],
        stay_when=_STAY[queue.leave_when],
        overflow={
            reason: str(target)
            for field, reason in _OVERFLOW.items()
            if (target := getattr(queue.overflow, field)) is not None
        },
        announce_first_s=queue.announcements.first_after if _announces(queue) else 0.0,
        announce_interval_s=queue.announcements.interval if _announces(queue) else 0.0,
        keep_place_s=queue.rejoin_window,
        callback=None
        if callback is None
        else CallbackRules(
            attempts=callback.attempts,
            retry_s=callback.retry,
            expires_s=callback.expires,
            reach_s=callback.ring_timeout if callback.first == "customer" else 0.0,
        ),
    )


def _announces(queue: Queue) -> bool:
    return queue.announcements.position or queue.announcements.estimated_wait


def _skills(queue: Queue) -> tuple[SkillNeed, ...]:
    """Each required skill with the levels that widening steps lower it to."""
    needs = []
    for skill, level in queue.skills.items():
        rings = tuple(
            Ring(after_s=step.after, level=step.skills.get(skill, 0))
            for step in queue.widening
            if step.skills is not None
        )
        needs.append(SkillNeed(skill=skill, level=level, rings=rings))
    return tuple(needs)


def _agent(agent: Agent, configuration: Configuration) -> AgentConfig:
    by_level = {queue.name for queue in configuration.queues.values() if queue.strategy == "skill_level"}
    return AgentConfig(
        id=agent.id,
        name=agent.name,
        queues={queue: _BEST - level if queue in by_level else 1 for queue, level in agent.queues.items()},
        skills=dict(agent.skills),
        languages=tuple(agent.languages),
        after_call_work_s=agent.after_call_work,
        capacity={"voice": agent.voice_capacity, "chat": agent.chat_capacity},
        team=agent.team or "",
        device=f"extension:{agent.extension}" if agent.extension else "",
    )
