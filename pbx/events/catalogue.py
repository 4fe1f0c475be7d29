"""Every fact of the domain, one struct each, named as ECMA-269 names it where it has a name.

A fact is appended to the one event log as a :class:`Record`; live views, call detail records, KPIs and
restart recovery are folds over these records and over nothing else. Telephone numbers are personal data
and appear; secrets and digits typed in secure nodes never do.

Devices are written ``extension:1001``, ``trunk:carrier``; places a call can go ``queue:support``,
``flow:main`` and so on.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, gc=False):
    pass


class CallEvent(Event):
    call: str
    """Id of the call for its whole life across IVR, queue, agents and transfers."""


# --- the call and its legs (ECMA-269 call control events) ----------------------------------------------


class Offered(CallEvent):
    """A call came into being: the first INVITE in, or a call we make."""

    leg: str
    direction: Literal["inbound", "outbound", "internal"]
    device: str
    """Where it came from: ``trunk:carrier`` or ``extension:1001``."""
    caller: str
    called: str
    caller_name: str = ""
    sip_call_id: str = ""


class Routed(CallEvent):
    """Where routing sent the call and by which rule."""

    destination: str
    rule: str


class Originated(CallEvent):
    """An outgoing leg was started."""

    leg: str
    device: str
    called: str
    agent: str = ""
    sip_call_id: str = ""


class Delivered(CallEvent):
    """The device rings."""

    leg: str
    device: str
    agent: str = ""


class Established(CallEvent):
    """The leg was answered."""

    leg: str
    device: str
    agent: str = ""


class Bridged(CallEvent):
    """These legs now talk to each other."""

    legs: tuple[str, ...]


class Held(CallEvent):
    leg: str
    """The leg that holds."""
    device: str
    agent: str = ""


class Retrieved(CallEvent):
    leg: str
    device: str
    agent: str = ""


class Transferred(CallEvent):
    """``leg`` left the call in favour of ``destination``."""

    leg: str
    device: str
    destination: str
    kind: Literal["blind", "attended", "takeover"]
    agent: str = ""


class Conferenced(CallEvent):
    legs: tuple[str, ...]
    by: str
    """Leg or user who joined them."""


class Diverted(CallEvent):
    """Forwarded before an answer."""

    device: str
    destination: str
    reason: Literal["always", "busy", "no_answer", "unreachable", "do_not_disturb", "pickup", "overflow", "deflected"]


class Failed(CallEvent):
    """An outgoing leg was not answered."""

    leg: str
    device: str
    status: int
    cause: int
    reason: str
    agent: str = ""


class ConnectionCleared(CallEvent):
    """One leg ended."""

    leg: str
    device: str
    by: Literal["remote", "local", "timeout", "transport"]
    cause: int
    """Q.850."""
    reason: str = ""
    agent: str = ""


class CallCleared(CallEvent):
    """The last leg is gone; nothing follows for this call but recordings' ends and wrap-up."""

    outcome: Literal[
        "answered",
        "abandoned",
        "busy",
        "no_answer",
        "rejected",
        "blocked",
        "client",
        "server",
        "upstream",
        "indeterminate",
    ]
    reason: str


class CallInformation(CallEvent):
    """Call data changed: what flows, agents and trunks attached to the call. An empty value removes the key."""

    data: dict[str, str]


class ServiceInitiated(CallEvent):
    """A click-to-dial began: the agent's own phone is being called first."""

    device: str
    agent: str = ""
    called: str


class DigitsGenerated(CallEvent):
    leg: str
    digits: str


# --- IVR ------------------------------------------------------------------------------------------------


class FlowEntered(CallEvent):
    flow: str
    version: str


class NodeEntered(CallEvent):
    flow: str
    node: str


class DigitsCollected(CallEvent):
    flow: str
    node: str
    digits: str
    """``***`` where the node is secure."""


class FlowTagged(CallEvent):
    flow: str
    tag: str


class FlowLeft(CallEvent):
    flow: str
    reason: str


# --- queue and agents -------------------------------------------------------------------------------------


class Queued(CallEvent):
    item: str
    """The work item; for a call the same as ``call``."""
    queue: str
    priority: int
    position: int
    skills: tuple[str, ...] = ()
    entry: str = ""
    """Id of this entry: a call that enters twice counts twice."""


class PositionAnnounced(CallEvent):
    queue: str
    position: int
    estimated_wait_s: float | None = None


class AgentOffered(CallEvent):
    """An agent was chosen; ``why`` is the kept decision."""

    item: str
    queue: str
    agent: str
    offer: str
    why: dict[str, Any] = {}


class OfferEnded(CallEvent):
    item: str
    queue: str
    agent: str
    offer: str
    result: Literal["accepted", "declined", "no_answer", "unreachable", "withdrawn"]
    ringing_s: float


class QueueLeft(CallEvent):
    item: str
    queue: str
    reason: str
    """answered, abandoned, or a flow-out: overflow reason, exit_key, callback, moved."""
    waited_s: float
    agent: str = ""
    entry: str = ""


class AgentEvent(Event):
    agent: str


class AgentLoggedOn(AgentEvent):
    device: str


class AgentLoggedOff(AgentEvent):
    reason: str = ""


class AgentReady(AgentEvent):
    pass


class AgentNotReady(AgentEvent):
    reason: str


class AgentRinging(AgentEvent):
    item: str


class AgentBusy(AgentEvent):
    """Talking."""

    item: str


class AgentWorkingAfterCall(AgentEvent):
    item: str
    until_s: float | None = None
    """Seconds until it ends by itself."""


class WrapUpCompleted(AgentEvent):
    item: str
    disposition: str = ""
    note: str = ""


# --- recording ----------------------------------------------------------------------------------------------


class RecordingStarted(CallEvent):
    recording: str
    leg: str
    path: str
    """Relative to the recordings folder."""
    agent: str = ""


class RecordingPaused(CallEvent):
    recording: str
    offset_ms: int
    masked: bool


class RecordingResumed(CallEvent):
    recording: str
    offset_ms: int


class RecordingCompleted(CallEvent):
    recording: str
    leg: str
    path: str
    duration_ms: int
    size_bytes: int
    sha256: str


class RecordingFailed(CallEvent):
    recording: str
    leg: str
    path: str
    reason: str
    kept: bool


class VoicemailLeft(CallEvent):
    mailbox: str
    path: str
    duration_ms: int
    caller: str


# --- media quality --------------------------------------------------------------------------------------------


class MediaQuality(CallEvent):
    """At a leg's end: what it saw."""

    leg: str
    device: str
    received: int
    lost: int
    jitter_ms: float
    late: int
    duplicates: int
    round_trip_ms: float | None = None
    mos: float | None = None


class MediaLost(CallEvent):
    """No audio from the leg for so long."""

    leg: str
    device: str
    silent_ms: int


# --- the system ---------------------------------------------------------------------------------------------------


class ServerStarted(Event):
    version: str
    recovered_calls: int = 0


class ServerStopped(Event):
    reason: str


class DrainStarted(Event):
    calls: int


class ConfigurationApplied(Event):
    version: str
    changes: tuple[str, ...]


class ConfigurationRefused(Event):
    problems: int


class DeviceRegistered(Event):
    device: str
    contact: str
    user_agent: str
    address: str


class DeviceUnregistered(Event):
    device: str
    contact: str
    reason: str


class TrunkStateChanged(Event):
    trunk: str
    state: Literal["up", "down"]
    reason: str


class GatewayStateChanged(Event):
    gateway: str
    state: Literal["up", "down", "restarted"]
    reason: str


class DiskStateChanged(Event):
    level: Literal["ok", "low", "full"]
    free_bytes: int


class SecurityAlert(Event):
    what: str
    address: str
    detail: str


class AuditEntry(Event):
    """A user changed or heard something that must be accounted for."""

    user: str
    action: str
    object: str
    detail: str = ""


AnyEvent = (
    Offered
    | Routed
    | Originated
    | Delivered
    | Established
    | Bridged
    | Held
    | Retrieved
    | Transferred
    | Conferenced
    | Diverted
    | Failed
    | ConnectionCleared
    | CallCleared
    | CallInformation
    | ServiceInitiated
    | DigitsGenerated
    | FlowEntered
    | NodeEntered
    | DigitsCollected
    | FlowTagged
    | FlowLeft
    | Queued
    | PositionAnnounced
    | AgentOffered
    | OfferEnded
    | QueueLeft
    | AgentLoggedOn
    | AgentLoggedOff
    | AgentReady
    | AgentNotReady
    | AgentRinging
    | AgentBusy
    | AgentWorkingAfterCall
    | WrapUpCompleted
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | RecordingCompleted
    | RecordingFailed
    | VoicemailLeft
    | MediaQuality
    | MediaLost
    | ServerStarted
    | ServerStopped
    | DrainStarted
    | ConfigurationApplied
    | ConfigurationRefused
    | DeviceRegistered
    | DeviceUnregistered
    | TrunkStateChanged
    | GatewayStateChanged
    | DiskStateChanged
    | SecurityAlert
    | AuditEntry
)


class Record(msgspec.Struct, frozen=True, gc=False):
    """One line of the log."""

    seq: int
    """Counts up by one over the life of the installation."""
    at: float
    """Wall clock, seconds since 1970 UTC."""
    event: AnyEvent


decode_record = msgspec.json.Decoder(Record).decode
encode_record = msgspec.json.Encoder().encode
