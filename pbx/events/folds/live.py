"""What is now: calls with their connections, agents, queues, trunks, registrations; and the fold that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from pbx.events import catalogue as e
from pbx.events.catalogue import Record

from .counts import QueueCounts, ServiceGoal

ConnectionState = Literal["initiated", "alerting", "connected", "hold"]
_DISK_LEVELS = ("ok", "low", "full")
"""ECMA-269's; a connection that is gone ("null") is not listed."""


class LiveLeg(msgspec.Struct, omit_defaults=True):
    leg: str
    device: str
    state: ConnectionState
    since: float
    number: str = ""
    """The party: who called, or who was called."""
    agent: str = ""


class LiveCall(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A call that runs. Times are the records' wall clock."""

    call: str
    direction: str = ""
    caller: str = ""
    called: str = ""
    caller_name: str = ""
    device: str = ""
    started_at: float = 0.0
    answered_at: float | None = None
    flow: str = ""
    node: str = ""
    """Where in which flow it is, while it is in one."""
    queue: str = ""
    """Where it waits, while it does."""
    queued_at: float | None = None
    legs: dict[str, LiveLeg] = {}
    talking: tuple[str, ...] = ()
    """Legs in conversation."""
    agents: list[str] = []
    """Who took part, first to last."""
    data: dict[str, str] = {}
    recordings: dict[str, Literal["recording", "paused"]] = {}


class LiveAgent(msgspec.Struct, omit_defaults=True, kw_only=True):
    agent: str
    state: Literal["logged_off", "ready", "not_ready", "ringing", "talking", "after_call_work"] = "logged_off"
    reason: str = ""
    since: float = 0.0
    until: float | None = None
    """When after-call work ends by itself."""
    device: str = ""
    item: str = ""
    logged_on_at: float | None = None
    handled: int = 0
    """Items since log-on."""


class Waiting(msgspec.Struct, omit_defaults=True):
    call: str
    item: str
    since: float
    priority: int = 0


class LiveQueue(msgspec.Struct, omit_defaults=True, kw_only=True):
    queue: str
    closed: Literal["", "closed", "holiday"] = ""
    """Why it is closed; empty while it is open."""
    waiting: dict[str, Waiting] = {}
    """By entry, oldest first."""
    callbacks: dict[str, Waiting] = {}
    """Customers who wait to be called back, by callback."""
    counts: QueueCounts = msgspec.field(default_factory=QueueCounts)


class LiveTrunk(msgspec.Struct, omit_defaults=True, kw_only=True):
    trunk: str
    state: str
    reason: str = ""
    since: float = 0.0


class LiveContact(msgspec.Struct, omit_defaults=True, kw_only=True):
    contact: str
    user_agent: str = ""
    address: str = ""
    since: float = 0.0


class LiveState(msgspec.Struct, kw_only=True):
    """Everything, after the record ``seq``."""

    seq: int = 0
    at: float = 0.0
    calls: dict[str, LiveCall] = {}
    agents: dict[str, LiveAgent] = {}
    queues: dict[str, LiveQueue] = {}
    trunks: dict[str, LiveTrunk] = {}
    gateways: dict[str, LiveTrunk] = {}
    registrations: dict[str, list[LiveContact]] = {}
    """By device."""
    disk: str = "ok"
    """The worst of all gateways."""
    disks: dict[str, str] = {}


class LiveFold:
    """Feed it every record in order; ``state`` is to be read, never changed.

    ``goals`` gives each queue's service goal, ``day_of`` the number of the day a wall-clock time lies in (by default
    days begin at midnight UTC).
    """

    __slots__ = ("_day_of", "_goals", "state")

    def __init__(
        self,
        snapshot: bytes = b"",
        *,
        goals: Mapping[str, ServiceGoal] | None = None,
        day_of: Callable[[float], int] | None = None,
    ) -> None:
        self.state = msgspec.json.decode(snapshot, type=LiveState) if snapshot else LiveState()
        self._goals = goals if goals is not None else {}
        self._day_of = day_of or (lambda at: int(at // 86400))

    def snapshot(self) -> bytes:
        return msgspec.json.encode(self.state)

    def set_goals(self, goals: Mapping[str, ServiceGoal]) -> None:
        """After a reload; what was counted stays."""
        self._goals = goals

    def count_day(self, at: float) -> int:
        return self._day_of(at)

    def apply(self, record: Record) -> None:
        event = record.event
        self.state.seq, self.state.at = record.seq, record.at
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, record.at, event)

    # --- calls ----------------------------------------------------------------------------------------------------

    def _on_offered(self, at: float, event: e.Offered) -> None:
        call = self._begin(event.call, at)
        call.direction, call.device = event.direction, event.device
        call.caller, call.called, call.caller_name = event.caller, event.called, event.caller_name
        call.legs[event.leg] = LiveLeg(event.leg, event.device, "initiated", at, event.caller)

    def _on_service_initiated(self, at: float, event: e.ServiceInitiated) -> None:
        call = self._begin(event.call, at)
        call.called = call.called or event.called
        _join(call, event.agent)

    def _on_originated(self, at: float, event: e.Originated) -> None:
        call = self._begin(event.call, at)
        call.legs[event.leg] = LiveLeg(event.leg, event.device, "initiated", at, event.called, event.agent)
        _join(call, event.agent)

    def _on_connection(self, at: float, event: e.Delivered | e.Established | e.Held | e.Retrieved) -> None:
        call = self.state.calls.get(event.call)
        if call is None:
            return
        leg = call.legs.get(event.leg)
        if leg is None:
            leg = call.legs[event.leg] = LiveLeg(event.leg, event.device, "initiated", at)
        leg.agent = event.agent or leg.agent
        _join(call, event.agent)
        leg.state, leg.since = _CONNECTION[type(event)], at
        if type(event) is e.Established and call.answered_at is None:
            call.answered_at = at

    def _on_bridged(self, at: float, event: e.Bridged | e.Conferenced) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.talking = event.legs

    def _on_leg_gone(self, at: float, event: e.ConnectionCleared | e.Failed) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.legs.pop(event.leg, None)
            if event.leg in call.talking:
                rest = tuple(leg for leg in call.talking if leg != event.leg)
                call.talking = rest if len(rest) > 1 else ()

    def _on_call_cleared(self, at: float, event: e.CallCleared) -> None:
        call = self.state.calls.pop(event.call, None)
        if call is not None and call.queue:
            self._drop_waiting(event.call)

    def _drop_waiting(self, call: str) -> None:
        for queue in self.state.queues.values():
            for entry in [entry for entry, waiting in queue.waiting.items() if waiting.call == call]:
                del queue.waiting[entry]

    def _on_information(self, at: float, event: e.CallInformation) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            for key, value in event.data.items():
                if value:
                    call.data[key] = value
                else:
                    call.data.pop(key, None)

    def _on_flow(self, at: float, event: e.FlowEntered | e.NodeEntered) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.flow, call.node = event.flow, event.node if type(event) is e.NodeEntered else ""

    def _on_flow_left(self, at: float, event: e.FlowLeft) -> None:
        call = self.state.calls.get(event.call)
        if call is not None and call.flow == event.flow:
            call.flow = call.node = ""

    def _on_recording(self, at: float, event: e.RecordingStarted | e.RecordingPaused | e.RecordingResumed) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.recordings[event.recording] = "paused" if type(event) is e.RecordingPaused else "recording"

    def _on_recording_over(self, at: float, event: e.RecordingCompleted | e.RecordingFailed) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.recordings.pop(event.recording, None)

    # --- queues ---------------------------------------------------------------------------------------------------

    def _on_queued(self, at: float, event: e.Queued) -> None:
        queue = self._find_queue(event.queue)
        entry = event.entry or f"{event.item}/{event.queue}"
        if entry not in queue.waiting:
            queue.waiting[entry] = Waiting(event.call, event.item, at, event.priority)
            queue.counts.count_entry(at, self._day_of(at))
        call = self.state.calls.get(event.call)
        if call is not None:
            call.queue, call.queued_at = event.queue, queue.waiting[entry].since

    def _on_queue_left(self, at: float, event: e.QueueLeft) -> None:
        queue = self._find_queue(event.queue)
        entry = event.entry or f"{event.item}/{event.queue}"
        if queue.waiting.pop(entry, None) is not None:
            goal = self._goals.get(event.queue, ServiceGoal())
            queue.counts.count_exit(at, self._day_of(at), event.reason, event.waited_s, goal)
        call = self.state.calls.get(event.call)
        if call is not None and call.queue == event.queue:
            call.queue, call.queued_at = "", None

    def _on_queue_state(self, at: float, event: e.QueueStateChanged) -> None:
        self._find_queue(event.queue).closed = "" if event.open else event.reason or "closed"

    def _on_callback(self, at: float, event: e.CallbackRegistered) -> None:
        since = at - event.waited_s
        self._find_queue(event.queue).callbacks[event.callback] = Waiting(event.call, event.callback, since)

    def _on_callback_over(self, at: float, event: e.CallbackReached | e.CallbackEnded) -> None:
        for queue in self.state.queues.values():
            queue.callbacks.pop(event.callback, None)

    def _on_agent_offered(self, at: float, event: e.AgentOffered) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            _join(call, event.agent)

    # --- agents ---------------------------------------------------------------------------------------------------

    def _on_agent(self, at: float, event: e.AgentEvent) -> None:
        agent = self.state.agents.get(event.agent)
        if agent is None:
            agent = self.state.agents[event.agent] = LiveAgent(agent=event.agent)
        agent.since, agent.until, agent.reason, agent.item = at, None, "", ""
        match event:
            case e.AgentLoggedOn():
                agent.state, agent.device, agent.logged_on_at, agent.handled = "not_ready", event.device, at, 0
            case e.AgentLoggedOff():
                agent.state, agent.reason, agent.device, agent.logged_on_at = "logged_off", event.reason, "", None
            case e.AgentReady():
                agent.state = "ready"
            case e.AgentNotReady():
                agent.state, agent.reason = "not_ready", event.reason
            case e.AgentRinging():
                agent.state, agent.item = "ringing", event.item
            case e.AgentBusy():
                agent.state, agent.item, agent.handled = "talking", event.item, agent.handled + 1
            case e.AgentWorkingAfterCall():
                agent.state, agent.item = "after_call_work", event.item
                agent.until = None if event.until_s is None else at + event.until_s

    # --- the system -----------------------------------------------------------------------------------------------

    def _on_server_started(self, at: float, event: e.ServerStarted) -> None:
        if not event.recovered_calls:
            self.state.calls.clear()
            for queue in self.state.queues.values():
                queue.waiting.clear()

    def _on_trunk(self, at: float, event: e.TrunkStateChanged) -> None:
        self.state.trunks[event.trunk] = LiveTrunk(trunk=event.trunk, state=event.state, reason=event.reason, since=at)

    def _on_gateway(self, at: float, event: e.GatewayStateChanged) -> None:
        state = "up" if event.state == "restarted" else event.state
        self.state.gateways[event.gateway] = LiveTrunk(trunk=event.gateway, state=state, reason=event.reason, since=at)

    def _on_registered(self, at: float, event: e.DeviceRegistered) -> None:
        contacts = self.state.registrations.setdefault(event.device, [])
        contacts[:] = [known for known in contacts if known.contact != event.contact]
        contacts.append(
            LiveContact(contact=event.contact, user_agent=event.user_agent, address=event.address, since=at)
        )

    def _on_unregistered(self, at: float, event: e.DeviceUnregistered) -> None:
        contacts = self.state.registrations.get(event.device, [])
        contacts[:] = [known for known in contacts if known.contact != event.contact]
        if not contacts:
            self.state.registrations.pop(event.device, None)

    def _on_disk(self, at: float, event: e.DiskStateChanged) -> None:
        self.state.disks[event.gateway] = event.level
        self.state.disk = max(self.state.disks.values(), key=_DISK_LEVELS.index)

    # --- keeping --------------------------------------------------------------------------------------------------

    def _begin(self, call: str, at: float) -> LiveCall:
        found = self.state.calls.get(call)
        if found is None:
            found = self.state.calls[call] = LiveCall(call=call, started_at=at)
        return found

    def _find_queue(self, name: str) -> LiveQueue:
        queue = self.state.queues.get(name)
        if queue is None:
            queue = self.state.queues[name] = LiveQueue(queue=name)
        return queue


def _join(call: LiveCall, agent: str) -> None:
    if agent and agent not in call.agents:
        call.agents.append(agent)


_CONNECTION: dict[type, ConnectionState] = {
    e.Delivered: "alerting",
    e.Established: "connected",
    e.Held: "hold",
    e.Retrieved: "connected",
}

_HANDLERS: dict[type, Callable[[LiveFold, float, Any], None]] = {
    e.Offered: LiveFold._on_offered,
    e.ServiceInitiated: LiveFold._on_service_initiated,
    e.Originated: LiveFold._on_originated,
    **dict.fromkeys((e.Delivered, e.Established, e.Held, e.Retrieved), LiveFold._on_connection),
    **dict.fromkeys((e.Bridged, e.Conferenced), LiveFold._on_bridged),
    **dict.fromkeys((e.ConnectionCleared, e.Failed), LiveFold._on_leg_gone),
    e.CallCleared: LiveFold._on_call_cleared,
    e.CallInformation: LiveFold._on_information,
    **dict.fromkeys((e.FlowEntered, e.NodeEntered), LiveFold._on_flow),
    e.FlowLeft: LiveFold._on_flow_left,
    **dict.fromkeys((e.RecordingStarted, e.RecordingPaused, e.RecordingResumed), LiveFold._on_recording),
    **dict.fromkeys((e.RecordingCompleted, e.RecordingFailed), LiveFold._on_recording_over),
    e.Queued: LiveFold._on_queued,
    e.QueueLeft: LiveFold._on_queue_left,
    e.QueueStateChanged: LiveFold._on_queue_state,
    e.CallbackRegistered: LiveFold._on_callback,
    **dict.fromkeys((e.CallbackReached, e.CallbackEnded), LiveFold._on_callback_over),
    e.AgentOffered: LiveFold._on_agent_offered,
    **dict.fromkeys(
        (
            e.AgentLoggedOn,
            e.AgentLoggedOff,
            e.AgentReady,
            e.AgentNotReady,
            e.AgentRinging,
            e.AgentBusy,
            e.AgentWorkingAfterCall,
        ),
        LiveFold._on_agent,
    ),
    e.ServerStarted: LiveFold._on_server_started,
    e.TrunkStateChanged: LiveFold._on_trunk,
    e.GatewayStateChanged: LiveFold._on_gateway,
    e.DeviceRegistered: LiveFold._on_registered,
    e.DeviceUnregistered: LiveFold._on_unregistered,
    e.DiskStateChanged: LiveFold._on_disk,
}
