"""Agents: the state follows from what they want and hold, so that it cannot disagree with it.

```
 no device ............................ logged_off
 an offer rings ....................... ringing           until the round's ring_until
 an item or a direct call is held ..... talking           checked every talk_check_s
 after-call work is running ........... after_call_work   until its end
 paused, or not ready wished .......... not_ready         until the pause's end or the reason's limit
 the phone is away .................... not_ready (device_unreachable), until it is back
 else ................................. ready
```
:func:`settle` derives the state after every change, reports it once, sets its deadline and keeps the ready lists.
"""

from __future__ import annotations

from .floor import Floor, close_pool, close_pools, open_pool
from .messages import (
    AgentDeadlineMissed,
    AgentLoggedOff,
    AgentLoggedOn,
    AgentState,
    AgentStateChanged,
    Rejected,
    WrapUpCompleted,
)
from .model import Presence
from .records import Agent, Queue

BUILT_IN_REASONS = frozenset(
    {"", "logged_on", "no_answer", "declined", "device_failed", "device_unreachable", "supervisor"}
)
"""Reasons that need no configuration."""

OFF_DUTY = ("logged_off", "not_ready")

TRANSITIONS: dict[AgentState, frozenset[AgentState]] = {
    "logged_off": frozenset({"not_ready", "ready", "talking"}),
    "not_ready": frozenset({"logged_off", "ready", "talking", "ringing"}),
    "ready": frozenset({"logged_off", "not_ready", "ringing", "talking"}),
    "ringing": frozenset({"logged_off", "not_ready", "ready", "talking", "after_call_work"}),
    "talking": frozenset({"logged_off", "not_ready", "ready", "ringing", "after_call_work"}),
    "after_call_work": frozenset({"logged_off", "not_ready", "ready", "talking", "ringing"}),
}
"""Every change of state there is. ``logged_off`` to ``talking``: a call found live when reconciled."""


def derive(floor: Floor, agent: Agent) -> tuple[AgentState, str, str, str, float | None]:
    """State, reason, item, queue and deadline, from what the agent wants and holds."""
    if not agent.device:
        return "logged_off", "", "", "", None
    if agent.offers:
        ringing = next(iter(agent.offers.values())).round
        return "ringing", "", ringing.item.id, ringing.item.queue.name, ringing.ring_until
    if agent.work:
        work = next(iter(agent.work.values()))
        if work.queue is None:
            return "talking", "", "", "", None
        return "talking", "", work.item, work.queue.name, None
    after = agent.after_call
    if after is not None:
        return "after_call_work", "", after.item, after.queue.name, after.until
    if agent.pause_until is not None:
        return "not_ready", agent.pause_reason, "", "", agent.pause_until
    if not agent.ready_wanted:
        return "not_ready", agent.wanted_reason, "", "", None
    if not agent.device_ok:
        return "not_ready", "device_unreachable", "", "", None
    return "ready", "", "", "", None


def settle(floor: Floor, agent: Agent, now: float) -> None:
    """Derive the state anew, report a change, and list the agent as ready where he is."""
    if agent.log_off_pending and not (agent.offers or agent.work or agent.after_call):
        _leave_device(floor, agent, "after_call")
    state, reason, item, queue, until = derive(floor, agent)
    if (
        state != agent.state
        or item != agent.state_item
        or reason != agent.reason
        or until != agent.state_until
        or queue != agent.state_queue
    ):
        _report(floor, agent, state, reason, item, queue, until, now)
    if agent.voice_only:
        if state == "ready":
            if not agent.pooled:
                open_pool(agent, "voice")
                floor.freed.append(agent)
        elif agent.pooled:
            close_pool(agent, "voice")
        return
    for channel in agent.capacity:
        free = has_room(agent, channel)
        if channel in agent.pooled:
            close_pool(agent, channel)
        if free:
            open_pool(agent, channel)
    if agent.pooled:
        floor.freed.append(agent)


def _report(
    floor: Floor, agent: Agent, state: AgentState, reason: str, item: str, queue: str, until: float | None, now: float
) -> None:
    previous = agent.state
    if state != previous or item != agent.state_item or reason != agent.reason:
        agent.since = now
    if state != previous:
        if previous in OFF_DUTY or state in OFF_DUTY:
            _count_presence(floor, agent, previous, state, now)
        if state == "ready" and previous != "ringing":
            agent.idle_since = now
    agent.state, agent.reason, agent.state_item, agent.state_queue = state, reason, item, queue
    agent.state_until = until
    report_state(floor, agent, previous)
    set_deadline(floor, agent)


def report_state(floor: Floor, agent: Agent, previous: AgentState) -> None:
    pending = ""
    if agent.state not in OFF_DUTY:
        pending = "logged_off" if agent.log_off_pending else "" if agent.ready_wanted else "not_ready"
    floor.out.append(
        AgentStateChanged(
            agent=agent.id,
            state=agent.state,
            previous=previous,
            reason=agent.reason,
            item=agent.state_item,
            queue=agent.state_queue,
            since=agent.since,
            until=agent.state_until,
            pending=pending,
        )
    )


def set_deadline(floor: Floor, agent: Agent) -> None:
    """Set the one timer of the agent's state, or none."""
    at = agent.state_until
    if agent.state == "talking":
        at = agent.since + floor.config.talk_check_s
    elif agent.state == "ringing":
        at = None  # the round has it
    elif agent.state == "not_ready" and at is None:
        reason = floor.reasons.get(agent.reason)
        if reason is not None and reason.limit_s > 0:
            at = agent.since + reason.limit_s
    if at is None:
        floor.timers.cancel(("agent", agent.id))
    else:
        floor.timers.set(("agent", agent.id), at)


def _count_presence(floor: Floor, agent: Agent, previous: AgentState, state: AgentState, now: float) -> None:
    """Keep the queues' counts of agents, and let queues that lost their last one start their grace."""
    logged_on = (state != "logged_off") - (previous != "logged_off")
    active = (state not in OFF_DUTY) - (previous not in OFF_DUTY)
    for seat in agent.seats.values():
        if not seat.helper:
            seat.queue.logged_on += logged_on
            seat.queue.active += active
            watch_presence(floor, seat.queue, now)
    if active < 0 and agent.personal:
        floor.unmatched.extend(place[2] for place in agent.personal)


def settle_again(floor: Floor, agent: Agent, now: float) -> None:
    """Settle, with the strategies' keys taken anew."""
    close_pools(agent)
    settle(floor, agent, now)


def restore_presence(floor: Floor, agent: Agent) -> None:
    """Count an agent whose state was set from a snapshot, and set its deadline."""
    for seat in agent.seats.values():
        if not seat.helper:
            seat.queue.logged_on += agent.state != "logged_off"
            seat.queue.active += agent.state not in OFF_DUTY
    set_deadline(floor, agent)


def is_staffed(queue: Queue, presence: Presence) -> bool:
    """Whether somebody is there, in the sense of ``presence``. Helpers of other queues do not count."""
    if presence == "ready":
        return any(queue.channel in seat.agent.pooled for seat in queue.seats.values() if not seat.helper)
    return presence == "always" or (queue.logged_on if presence == "logged_on" else queue.active) > 0


def watch_presence(floor: Floor, queue: Queue, now: float) -> None:
    """Start or stop the grace of a queue that nobody serves."""
    presence = queue.config.stay_when
    if is_staffed(queue, "active" if presence == "ready" else presence):
        if queue.empty_since is not None:
            queue.empty_since = None
            floor.timers.cancel(("queue", queue.name))
    elif queue.empty_since is None:
        queue.empty_since = now
        floor.timers.set(("queue", queue.name), now + queue.config.stay_grace_s)


def has_room(agent: Agent, channel: str) -> bool:
    """Whether the agent may be offered another item of the channel. A voice call leaves room for nothing else."""
    if not agent.device or not agent.ready_wanted or not agent.device_ok or agent.log_off_pending:
        return False
    if agent.after_call is not None or agent.pause_until is not None:
        return False
    if agent.voice_only and (agent.work or agent.offers):
        # Also with a chat from before a change of configuration.
        return False
    used = 0
    for work in agent.work.values():
        if work.channel == "voice":
            return False
        used += work.channel == channel
    for offer in agent.offers.values():
        if channel == "voice" or offer.round.item.queue.channel == "voice":
            return False
        used += offer.round.item.queue.channel == channel
    return used < agent.capacity.get(channel, 0)


# --- wishes --------------------------------------------------------------------------------------------------


def log_on(floor: Floor, agent: Agent, device: str, ready: bool, now: float) -> None:
    """Log on at a phone; whoever sat there is logged off, unless busy."""
    sitting = floor.devices.get(device)
    if sitting is not None and sitting is not agent:
        if sitting.offers or sitting.work:
            floor.out.append(Rejected(command="log_on", subject=agent.id, reason="device_busy"))
            return
        log_off(floor, sitting, "hot_desk", now)
    if agent.device != device:
        if agent.offers or agent.work:
            floor.out.append(Rejected(command="log_on", subject=agent.id, reason="agent_busy"))
            return
        if agent.device:
            log_off(floor, agent, "other_device", now)
        agent.device = device
        floor.devices[device] = agent
        agent.device_ok = True
        agent.misses = 0
        agent.pause_until = None
        agent.ready_wanted = ready
        agent.wanted_reason = "" if ready else "logged_on"
        floor.out.append(AgentLoggedOn(agent=agent.id, device=device))
    agent.log_off_pending = False
    settle(floor, agent, now)


def log_off(floor: Floor, agent: Agent, reason: str, now: float) -> None:
    """Log off now. Offers must be gone; what the agent holds is forgotten, and its call goes on without the ACD."""
    assert not agent.offers, "offers are withdrawn before"
    for item in agent.work:
        floor.holders.pop(item, None)
    agent.work.clear()
    if agent.after_call is not None:
        end_after_call(floor, agent, "", "", True, now)
    _leave_device(floor, agent, reason)
    settle(floor, agent, now)


def _leave_device(floor: Floor, agent: Agent, reason: str) -> None:
    floor.out.append(AgentLoggedOff(agent=agent.id, device=agent.device, reason=reason))
    floor.devices.pop(agent.device, None)
    agent.device = ""
    agent.log_off_pending = False
    agent.ready_wanted = False
    agent.pause_until = None


def wish_ready(floor: Floor, agent: Agent, now: float) -> None:
    agent.ready_wanted = True
    agent.wanted_reason = ""
    agent.pause_until = None
    agent.misses = 0
    # Who is no longer configured has no queues to be ready in: he may end his after-call work, and is logged off then.
    agent.log_off_pending = agent.removed
    _settle_wish(floor, agent, now)


def wish_not_ready(floor: Floor, agent: Agent, reason: str, now: float) -> None:
    """Not ready now, or after what the agent holds."""
    agent.ready_wanted = False
    agent.wanted_reason = reason
    agent.pause_until = None
    _settle_wish(floor, agent, now)


def wish_log_off(floor: Floor, agent: Agent, now: float) -> None:
    """Logged off after what the agent holds."""
    agent.log_off_pending = True
    _settle_wish(floor, agent, now)


def _settle_wish(floor: Floor, agent: Agent, now: float) -> None:
    before = len(floor.out)
    settle(floor, agent, now)
    if len(floor.out) == before and agent.state not in OFF_DUTY:
        report_state(floor, agent, agent.state)  # the wish is pending


def pause(agent: Agent, reason: str, seconds: float, now: float) -> None:
    """Not ready for a short while; the caller settles."""
    agent.pause_until = now + max(seconds, 1.0)
    agent.pause_reason = reason


def judge_reason(floor: Floor, agent: Agent, reason: str) -> str:
    """Why a reason for being not ready is refused; empty if it is not."""
    if reason in BUILT_IN_REASONS or not floor.reasons:
        return ""
    rule = floor.reasons.get(reason)
    if rule is None:
        return "unknown_reason"
    if rule.max_agents > 0:
        taken = sum(
            other is not agent and other.reason == reason and other.state == "not_ready"
            for other in floor.agents.values()
        )
        if taken >= rule.max_agents:
            return "reason_full"
    return ""


# --- deadlines -----------------------------------------------------------------------------------------------


def expire_agent(floor: Floor, agent: Agent, now: float) -> None:
    """The deadline of the agent's state has come."""
    if agent.state == "after_call_work":
        after = agent.after_call
        assert after is not None
        if after.queue.config.disposition_required and not after.disposition and after.until < after.limit_at:
            _report_missed(floor, agent, now)
            after.until = after.limit_at
        else:
            end_after_call(floor, agent, "", "", True, now)
        settle(floor, agent, now)
    elif agent.state == "not_ready" and agent.pause_until is not None:
        agent.pause_until = None
        settle(floor, agent, now)
    elif agent.state in ("talking", "not_ready"):
        _report_missed(floor, agent, now)
        if agent.state == "talking":
            floor.timers.set(("agent", agent.id), now + floor.config.talk_check_s)
        elif floor.reasons[agent.reason].at_limit == "ready":
            wish_ready(floor, agent, now)


def _report_missed(floor: Floor, agent: Agent, now: float) -> None:
    floor.out.append(
        AgentDeadlineMissed(
            agent=agent.id, state=agent.state, reason=agent.reason, item=agent.state_item, lasted_s=now - agent.since
        )
    )


def end_after_call(floor: Floor, agent: Agent, disposition: str, note: str, automatic: bool, now: float) -> None:
    """End the after-call work; the caller settles."""
    after = agent.after_call
    assert after is not None
    agent.after_call = None
    disposition, note = disposition or after.disposition, note or after.note
    floor.out.append(
        WrapUpCompleted(
            agent=agent.id,
            item=after.item,
            queue=after.queue.name,
            disposition=disposition,
            note=note,
            lasted_s=now - after.started,
            automatic=automatic,
            missing=after.queue.config.disposition_required and not disposition,
        )
    )
