"""Who may do and see what: the one table of roles against commands and events, and the scope of a user.

The table decides by kind; ``Scope`` by object: an agent is concerned with itself and its queues, a supervisor with its
teams, quality with its teams (or everybody, if it has none), an administrator with everything.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pbx.events.catalogue import AnyEvent

from . import commands as c
from .actor import ROLES, Actor, Role

_ALL = frozenset(ROLES)
_AGENTS = frozenset[Role]({"agent", "supervisor", "administrator"})
_SUPERVISORS = frozenset[Role]({"supervisor", "administrator"})
_LISTENERS = frozenset[Role]({"supervisor", "quality", "administrator"})
_ADMINISTRATORS = frozenset[Role]({"administrator"})

COMMAND_ROLES: dict[type[c.AnyCommand], frozenset[Role]] = {
    **dict.fromkeys((c.GetAgentState, c.SnapshotCall, c.SnapshotDevice), _ALL),
    **dict.fromkeys(
        (
            c.SetAgentState,
            c.ExtendWrapUp,
            c.MakeCall,
            c.AnswerCall,
            c.ClearConnection,
            c.ClearCall,
            c.HoldCall,
            c.RetrieveCall,
            c.ConsultationCall,
            c.AlternateCall,
            c.ReconnectCall,
            c.TransferCall,
            c.SingleStepTransferCall,
            c.ConferenceCall,
            c.SingleStepConferenceCall,
            c.DeflectCall,
            c.DirectedPickupCall,
            c.ParkCall,
            c.GenerateDigits,
            c.SetCallData,
            c.StartRecording,
            c.StopRecording,
            c.PauseRecording,
            c.ResumeRecording,
        ),
        _AGENTS,
    ),
    **dict.fromkeys((c.ExplainCall, c.SilentMonitor, c.StopSupervision, c.GetCallbacks), _LISTENERS),
    **dict.fromkeys(
        (
            c.Whisper,
            c.BargeIn,
            c.TakeOver,
            c.SupervisorSetAgentState,
            c.MoveWorkItem,
            c.PullWorkItem,
            c.CancelCallback,
            c.SetQueueOpen,
            c.BroadcastMessage,
        ),
        _SUPERVISORS,
    ),
}
"""Every command, and the roles that may give it."""

_RESTRICTED_EVENTS: dict[str, frozenset[Role]] = {
    **dict.fromkeys(("MediaQuality", "MediaLost"), _LISTENERS),
    **dict.fromkeys(
        (
            "DeviceRegistered",
            "DeviceUnregistered",
            "TrunkStateChanged",
            "GatewayStateChanged",
            "DiskStateChanged",
            "DoNotDisturb",
            "Forwarding",
            "MessageWaiting",
            "VoicemailChanged",
        ),
        _SUPERVISORS,
    ),
    **dict.fromkeys(("ConfigurationApplied", "ConfigurationRefused", "SecurityAlert", "AuditEntry"), _ADMINISTRATORS),
}

EVENT_ROLES: dict[str, frozenset[Role]] = {
    kind.__name__: _RESTRICTED_EVENTS.get(kind.__name__, _ALL) for kind in AnyEvent.__args__
}
"""Every event, and the roles that may see it where its object concerns them."""


class Directory(msgspec.Struct, frozen=True):
    """Who belongs where, as the configuration in force has it."""

    teams: dict[str, tuple[str, ...]] = {}
    """Team to its agents."""
    agent_queues: dict[str, tuple[str, ...]] = {}
    """Agent to the queues it serves."""
    agent_devices: dict[str, str] = {}
    """Agent to its own phone (``extension:1001``)."""

    def serving(self) -> dict[str, list[str]]:
        """Queues to the agents that serve them."""
        found: dict[str, list[str]] = {}
        for agent, queues in self.agent_queues.items():
            for queue in queues:
                found.setdefault(queue, []).append(agent)
        return found

    def agents_of(self, teams: Iterable[str]) -> frozenset[str]:
        return frozenset(agent for team in teams for agent in self.teams.get(team, ()))

    def queues_of(self, agents: Iterable[str]) -> frozenset[str]:
        return frozenset(queue for agent in agents for queue in self.agent_queues.get(agent, ()))


class Scope(msgspec.Struct, frozen=True):
    """The agents and queues that concern somebody."""

    everything: bool = False
    agents: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()

    @property
    def topics(self) -> frozenset[str]:
        """Of the log's topics those it covers; meaningless for ``everything``."""
        return frozenset(f"agent:{agent}" for agent in self.agents) | frozenset(
            f"queue:{queue}" for queue in self.queues
        )

    def covers_call(self, agents: Iterable[str], queue: str = "") -> bool:
        """A call with these agents, waiting in ``queue``."""
        return self.everything or queue in self.queues or not self.agents.isdisjoint(agents)


def find_scope(actor: Actor, directory: Directory) -> Scope:
    """All that ``actor`` may see."""
    if actor.role == "administrator" or (actor.role == "quality" and not actor.teams):
        return Scope(everything=True)
    own = frozenset([actor.agent]) if actor.agent else frozenset[str]()
    if actor.role == "agent":
        return Scope(agents=own, queues=directory.queues_of(own))
    agents = directory.agents_of(actor.teams) | own
    return Scope(agents=agents, queues=directory.queues_of(agents))


def authorize(actor: Actor, command: c.AnyCommand, directory: Directory) -> c.CommandRejected | None:
    """Why ``actor`` may not give ``command``; None if it may, as far as the table and the directory can tell."""
    if actor.role not in COMMAND_ROLES[type(command)]:
        return c.CommandRejected(code="forbidden", message=f"the role {actor.role} may not {type(command).__name__}")
    scope = find_scope(actor, directory)
    if scope.everything:
        return None
    agents = {getattr(command, "agent", "") or actor.agent} | set(getattr(command, "agents", ()))
    if not agents - {""} <= scope.agents:
        return c.CommandRejected(code="forbidden", message="this agent is not yours")
    named = {getattr(command, "queue", "")} | set(getattr(command, "queues", ()))
    if not named - {""} <= scope.queues:
        return c.CommandRejected(code="forbidden", message="this queue is not yours")
    if not set(getattr(command, "teams", ())) <= set(actor.teams):
        return c.CommandRejected(code="forbidden", message="this team is not yours")
    if isinstance(command, c.MakeCall | c.SnapshotDevice) and actor.role == "agent":
        own = directory.agent_devices.get(actor.agent, "")
        if command.device and own and command.device != own and f"extension:{command.device}" != own:
            return c.CommandRejected(code="forbidden", message="this phone is not yours")
    return None
