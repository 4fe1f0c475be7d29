"""What of the live state a user is shown: snapshots, and the queries that need nothing else."""

from __future__ import annotations

import msgspec

from pbx.events.folds.live import LiveAgent, LiveCall, LiveState

from . import commands as c
from .actor import Actor, Role
from .permissions import EVENT_ROLES, Scope
from .protocol import Snapshot


def sees_call(scope: Scope, call: LiveCall) -> bool:
    return scope.covers_call(call.agents, call.queue)


def make_snapshot(state: LiveState, scope: Scope, role: Role) -> Snapshot:
    """What is now, as far as it concerns the scope; trunks and registrations for those who see their events."""
    whole = scope.everything
    technical = role in EVENT_ROLES["TrunkStateChanged"]
    return Snapshot(
        at=state.at,
        calls=[call for call in state.calls.values() if whole or sees_call(scope, call)],
        agents=[agent for agent in state.agents.values() if whole or agent.agent in scope.agents],
        queues=[queue for queue in state.queues.values() if whole or queue.queue in scope.queues],
        trunks=list(state.trunks.values()) if technical else [],
        registrations=state.registrations if technical else {},
    )


def answer_query(command: c.AnyCommand, actor: Actor, state: LiveState, scope: Scope) -> c.CommandResult | None:
    """The answer where the live state has it; None for everything the switch has to do."""
    match command:
        case c.SnapshotCall():
            call = state.calls.get(command.call)
            if call is None or not sees_call(scope, call):
                return c.CommandRejected(code="unknown_object", message="there is no such call")
            return c.Accepted(data={"seq": state.seq, "call": msgspec.to_builtins(call)})
        case c.SnapshotDevice():
            device = command.device if ":" in command.device else f"extension:{command.device}"
            calls = [
                msgspec.to_builtins(call)
                for call in state.calls.values()
                if sees_call(scope, call) and any(leg.device == device for leg in call.legs.values())
            ]
            contacts = msgspec.to_builtins(state.registrations.get(device, []))
            return c.Accepted(data={"seq": state.seq, "device": device, "calls": calls, "contacts": contacts})
        case c.GetAgentState():
            agent = command.agent or actor.agent
            if not agent:
                return c.CommandRejected(code="unknown_object", message="you are no agent: say which one you mean")
            found = state.agents.get(agent) or LiveAgent(agent=agent)
            return c.Accepted(data={"seq": state.seq, "agent": msgspec.to_builtins(found)})
        case _:
            return None
