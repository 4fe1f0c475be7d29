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


class CallEvent(Event, frozen=True, kw_only=True):
    call: str
    """Id of the call for its whole life across IVR, queue, agents and transfers."""


# --- the call and its legs (ECMA-269 call control events) ----------------------------------------------


class Offered(CallEvent, frozen=True, kw_only=True):
    """A call came into being: the first INVITE in, or a call we make."""

    leg: str
    direction: Literal["inbound", "outbound", "internal"]
    device: str
    """Where it came from: ``trunk:carrier`` or ``extension:1001``."""
    caller: str
    called: str
    caller_name: str = ""
    sip_call_id: str = ""


class Routed(CallEvent, frozen=True, kw_only=True):
    """Where routing sent the call and by which rule."""

    destination: str
    rule: str


class Originated(CallEvent, frozen=True, kw_only=True):
    """An outgoing leg was started."""

    leg: str
    device: str
    called: str
    agent: str = ""
    sip_call_id: str = ""


class Delivered(CallEvent, frozen=True, kw_only=True):
    """The device rings."""

    leg: str
    device: str
    agent: str = ""


class Established(CallEvent, frozen=True, kw_only=True):
    """The leg was answered."""

    leg: str
    device: str
    agent: str = ""


class Bridged(CallEvent, frozen=True, kw_only=True):
    """These legs now talk to each other."""

    legs: tuple[str, ...]


class Held(CallEvent, frozen=True, kw_only=True):
    leg: str
    """The leg that holds."""
    device: str
    agent: str = ""


class Retrieved(CallEvent, frozen=True, kw_only=True):
    leg: str
    device: str
    agent: str = ""


class Transferred(CallEvent, frozen=True, kw_only=True):
    """``leg`` left the call in favour of ``destination``."""

    leg: str
    device: str
    destination: str
    kind: Literal["blind", "attended", "takeover"]
    agent: str = ""


class Conferenced(CallEvent, frozen=True, kw_only=True):
    legs: tuple[str, ...]
    by: str
    """Leg or user who joined them."""


class Diverted(CallEvent, frozen=True, kw_only=True):
    """Forwarded before an answer."""

    device: str
    destination: str
    reason: Literal["always", "busy", "no_answer", "unreachable", "do_not_disturb", "pickup", "overflow", "deflected"]


class Failed(CallEvent, frozen=True, kw_only=True):
    """An outgoing leg was not answered."""

    leg: str
    device: str
    status: int
    cause: int
    reason: str
    agent: str = ""


class ConnectionCleared(CallEvent, frozen=True, kw_only=True):
    """One leg ended."""

    leg: str
    device: str
    by: Literal["remote", "local", "timeout", "transport"]
    cause: int
    """Q.850."""
    reason: str = ""
    agent: str = ""


class CallCleared(CallEvent, frozen=True, kw_only=True):
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


class CallInformation(CallEvent, frozen=True, kw_only=True):
    """Call data changed: what flows, agents and trunks attached to the call. An empty value removes the key."""

    data: dict[str, str]


class ServiceInitiated(CallEvent, frozen=True, kw_only=True):
    """A click-to-dial began: the agent's own phone is being called first."""

    device: str
    agent: str = ""
    called: str


class DigitsGenerated(CallEvent, frozen=True, kw_only=True):
    leg: str
    digits: str


# --- IVR ------------------------------------------------------------------------------------------------


class FlowEntered(CallEvent, frozen=True, kw_only=True):
    flow: str
    version: str


class NodeEntered(CallEvent, frozen=True, kw_only=True):
    flow: str
    node: str


class DigitsCollected(CallEvent, frozen=True, kw_only=True):
    flow: str
    node: str
    digits: str
    """``***`` where the node is secure."""


class SpeechRecognised(CallEvent, frozen=True, kw_only=True):
    """What was made of something the caller said to a flow."""

    flow: str
    node: str
    text: str
    """Empty: nothing was understood; ``***`` where the node is secure."""
    confidence: float
    """0 to 1, as far as the recogniser tells."""


class FlowTagged(CallEvent, frozen=True, kw_only=True):
    flow: str
    tag: str


class FlowLeft(CallEvent, frozen=True, kw_only=True):
    flow: str
    reason: str


# --- queue and agents -------------------------------------------------------------------------------------


class Queued(CallEvent, frozen=True, kw_only=True):
    item: str
    """The work item; for a call the same as ``call``."""
    queue: str
    priority: int
    position: int
    skills: tuple[str, ...] = ()
    entry: str = ""
    """Id of this entry: a call that enters twice counts twice."""


class PositionAnnounced(CallEvent, frozen=True, kw_only=True):
    queue: str
    position: int
    estimated_wait_s: float | None = None


class AgentOffered(CallEvent, frozen=True, kw_only=True):
    """An agent was chosen; ``why`` is the kept decision."""

    item: str
    queue: str
    agent: str
    offer: str
    why: dict[str, Any] = {}


class OfferEnded(CallEvent, frozen=True, kw_only=True):
    item: str
    queue: str
    agent: str
    offer: str
    result: Literal["accepted", "declined", "no_answer", "unreachable", "withdrawn"]
    ringing_s: float


class QueueLeft(CallEvent, frozen=True, kw_only=True):
    item: str
    queue: str
    reason: str
    """answered, abandoned, or a flow-out: overflow reason, exit_key, callback, moved."""
    waited_s: float
    agent: str = ""
    entry: str = ""


class QueueStateChanged(Event, frozen=True, kw_only=True):
    """The queue opened or closed, by its calendar or a supervisor's hand."""

    queue: str
    open: bool
    reason: Literal["", "closed", "holiday"] = ""
    """Why it is closed."""


class QueueAlarm(Event, frozen=True, kw_only=True):
    """A threshold of the queue was crossed, or is kept again."""

    queue: str
    threshold: Literal["waiting", "longest_wait", "agents_ready"]
    raised: bool
    """False: the alarm is over."""
    value: float
    """Calls, seconds or agents, as is the next."""
    limit: float


class CallbackRegistered(CallEvent, frozen=True, kw_only=True):
    """The caller need not wait: he is called at ``number`` when his turn comes."""

    callback: str
    """Its id; the work item has the same."""
    queue: str
    number: str
    waited_s: float = 0.0
    """How long the caller had waited already; it counts for the place."""


class CallbackDeferred(CallEvent, frozen=True, kw_only=True):
    """The customer was not reached. ``call`` is the attempt's."""

    callback: str
    queue: str
    attempt: int
    """1 is the first."""
    reason: str
    """busy, no_answer, rejected, failed, agent_left."""
    retry_s: float
    """Tried again after so long, when an agent is free."""


class CallbackReached(CallEvent, frozen=True, kw_only=True):
    """Agent and customer talk. ``call`` is the attempt's; ``first_call`` the one in which he asked to be called."""

    callback: str
    queue: str
    agent: str
    first_call: str
    attempt: int
    delay_s: float
    """Since it was registered."""


class CallbackEnded(CallEvent, frozen=True, kw_only=True):
    """The callback is over and nobody talked."""

    callback: str
    queue: str
    reason: str
    """failed (after the last attempt), expired, cancelled, called_again, abandoned (the customer, once on the line), or
    why the queue let it go."""


class AgentEvent(Event, frozen=True, kw_only=True):
    agent: str


class AgentLoggedOn(AgentEvent, frozen=True, kw_only=True):
    device: str


class AgentLoggedOff(AgentEvent, frozen=True, kw_only=True):
    reason: str = ""


class AgentReady(AgentEvent, frozen=True, kw_only=True):
    pass


class AgentNotReady(AgentEvent, frozen=True, kw_only=True):
    reason: str


class AgentRinging(AgentEvent, frozen=True, kw_only=True):
    item: str


class AgentBusy(AgentEvent, frozen=True, kw_only=True):
    """Talking."""

    item: str


class AgentWorkingAfterCall(AgentEvent, frozen=True, kw_only=True):
    item: str
    until_s: float | None = None
    """Seconds until it ends by itself."""


class AgentOverstayed(AgentEvent, frozen=True, kw_only=True):
    """The agent is in a state for longer than allowed, by the reason's limit for one. The next state ends it."""

    state: str
    reason: str = ""
    item: str = ""
    lasted_s: float


class WrapUpCompleted(AgentEvent, frozen=True, kw_only=True):
    item: str
    disposition: str = ""
    note: str = ""


# --- recording ----------------------------------------------------------------------------------------------


class RecordingStarted(CallEvent, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    """Relative to the recordings folder."""
    agent: str = ""


class RecordingPaused(CallEvent, frozen=True, kw_only=True):
    recording: str
    offset_ms: int
    masked: bool


class RecordingResumed(CallEvent, frozen=True, kw_only=True):
    recording: str
    offset_ms: int


class Conversation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who spoke how much in a recording, by voice activity on its two channels. What was masked counts for nothing."""

    talk_from_ms: int
    """Speech from the recorded leg."""
    talk_to_ms: int
    """Speech to it."""
    talk_ratio: float | None
    """Share of the recorded leg in all talk, 0-1; None: nobody spoke."""
    silence_ms: int
    """Nobody spoke, all stretches together."""
    longest_silence_ms: int
    crosstalk_ms: int
    """Both spoke for 200 ms or longer."""
    crosstalk_count: int


class RecordingCompleted(CallEvent, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    duration_ms: int
    size_bytes: int
    sha256: str
    conversation: Conversation | None = None
    """Who spoke how much: ``talk_from_ms`` and ``talk_to_ms`` (the recorded leg's talk and what it heard),
    ``talk_ratio`` (its share of all talk), ``silence_ms``, ``longest_silence_ms``, ``crosstalk_ms``,
    ``crosstalk_count``. None: it could not be measured."""


class RecordingArchived(CallEvent, frozen=True, kw_only=True):
    """The recording is another file now, smaller and verified; the WAV goes when this is on disk."""

    recording: str
    path: str
    format: Literal["flac", "opus"]
    size_bytes: int
    sha256: str


class RecordingFailed(CallEvent, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    reason: str
    kept: bool


class VoicemailLeft(CallEvent, frozen=True, kw_only=True):
    """A caller left a message."""

    mailbox: str
    path: str
    """Below the voicemail folder."""
    duration_ms: int
    caller: str
    message: str = ""
    """Id of the message."""
    urgent: bool = False


class VoicemailChanged(Event, frozen=True, kw_only=True):
    """A message was listened to, saved, deleted, taken back, forwarded, or its time was over."""

    device: str
    """The phone it was done at; empty: nobody's."""
    mailbox: str
    message: str
    change: Literal["heard", "saved", "deleted", "restored", "forwarded", "expired"]


# --- media quality --------------------------------------------------------------------------------------------


class MediaQuality(CallEvent, frozen=True, kw_only=True):
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


class MediaLost(CallEvent, frozen=True, kw_only=True):
    """No audio from the leg for so long."""

    leg: str
    device: str
    silent_ms: int


# --- phones ---------------------------------------------------------------------------------------------------


class DoNotDisturb(Event, frozen=True, kw_only=True):
    """The user of a phone switched it."""

    device: str
    on: bool


class Forwarding(Event, frozen=True, kw_only=True):
    """The user of a phone set or removed a diversion; an empty ``destination`` removes it."""

    device: str
    when: Literal["always", "busy", "no_answer", "unreachable"]
    destination: str


class MessageWaiting(Event, frozen=True, kw_only=True):
    """The messages in a phone's mailbox changed in number."""

    device: str
    new: int
    """Not listened to yet, urgent ones among them."""
    old: int
    urgent_new: int = 0
    urgent_old: int = 0


# --- the system ---------------------------------------------------------------------------------------------------


class ServerStarted(Event, frozen=True, kw_only=True):
    version: str
    recovered_calls: int = 0


class ServerStopped(Event, frozen=True, kw_only=True):
    reason: str


class DrainStarted(Event, frozen=True, kw_only=True):
    calls: int


class ConfigurationApplied(Event, frozen=True, kw_only=True):
    version: str
    changes: tuple[str, ...]


class ConfigurationRefused(Event, frozen=True, kw_only=True):
    problems: int


class DeviceRegistered(Event, frozen=True, kw_only=True):
    device: str
    contact: str
    user_agent: str
    address: str


class DeviceUnregistered(Event, frozen=True, kw_only=True):
    device: str
    contact: str
    reason: str


class TrunkStateChanged(Event, frozen=True, kw_only=True):
    trunk: str
    state: Literal["up", "down"]
    reason: str


class GatewayStateChanged(Event, frozen=True, kw_only=True):
    gateway: str
    state: Literal["up", "down", "restarted"]
    reason: str


class DiskStateChanged(Event, frozen=True, kw_only=True):
    level: Literal["ok", "low", "full"]
    free_bytes: int
    gateway: str = ""


class SecurityAlert(Event, frozen=True, kw_only=True):
    what: str
    address: str
    detail: str


class AuditEntry(Event, frozen=True, kw_only=True):
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
    | SpeechRecognised
    | FlowTagged
    | FlowLeft
    | Queued
    | PositionAnnounced
    | AgentOffered
    | OfferEnded
    | QueueLeft
    | CallbackRegistered
    | CallbackDeferred
    | CallbackReached
    | CallbackEnded
    | QueueStateChanged
    | QueueAlarm
    | AgentLoggedOn
    | AgentLoggedOff
    | AgentReady
    | AgentNotReady
    | AgentRinging
    | AgentBusy
    | AgentWorkingAfterCall
    | AgentOverstayed
    | WrapUpCompleted
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | RecordingCompleted
    | RecordingArchived
    | RecordingFailed
    | VoicemailLeft
    | VoicemailChanged
    | MediaQuality
    | MediaLost
    | DoNotDisturb
    | Forwarding
    | MessageWaiting
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
