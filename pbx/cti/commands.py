"""Every command of the CTI protocol, one struct each, named as ECMA-269 names the service where it has one.

The JSON-RPC method is the name of the struct, its params are the fields. Where a command concerns "my connection
in that call" an agent may leave ``leg`` out. Destinations are written ``number:+49301234``, ``queue:sales``,
``extension:1001`` and so on; a bare number is dialled as if typed on the agent's phone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
OptionalName: TypeAlias = Annotated[str, Meta(max_length=128)]
Target: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Text: TypeAlias = Annotated[str, Meta(max_length=4000)]
Digits: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[0-9A-D*#,]+$")]
CallData: TypeAlias = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=2000)]],
    Meta(max_length=64),
]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag=True):
    pass


class CallCommand(Command, frozen=True, kw_only=True):
    call: Name
    leg: OptionalName = ""
    """Connection meant; empty: the one of the agent who asks."""


# --- agents ---------------------------------------------------------------------------------------------------


class SetAgentState(Command, frozen=True, kw_only=True):
    """Log on or off, become ready or not ready, finish after-call work."""

    state: Literal["log_on", "log_off", "ready", "not_ready", "wrap_up_done"]
    agent: OptionalName = ""
    """Empty: the agent who asks."""
    reason: OptionalName = ""
    """Reason code for ``not_ready`` and ``log_off``."""
    device: OptionalName = ""
    """Phone to log on at (``extension:1001`` or ``1001``); empty: the agent's own."""
    disposition: OptionalName = ""
    """Result of the call, with ``wrap_up_done``."""
    note: Text = ""


class GetAgentState(Command, frozen=True, kw_only=True):
    """State, reason and since when."""

    agent: OptionalName = ""


class ExtendWrapUp(Command, frozen=True, kw_only=True):
    """More time for after-call work."""

    seconds: Annotated[int, Meta(ge=1, le=3600)]
    agent: OptionalName = ""


# --- calls ----------------------------------------------------------------------------------------------------


class MakeCall(Command, frozen=True, kw_only=True):
    """Click to dial: the agent's phone is called first, then the destination."""

    destination: Target
    device: OptionalName = ""
    """Phone to call from; empty: the one of ``agent``."""
    agent: OptionalName = ""
    """Empty: the agent who asks."""
    caller_id: OptionalName = ""
    data: CallData = {}


class AnswerCall(CallCommand, frozen=True, kw_only=True):
    """Make the ringing phone answer, where the phone allows it."""


class ClearConnection(CallCommand, frozen=True, kw_only=True):
    """Take one connection out of the call."""


class ClearCall(Command, frozen=True, kw_only=True):
    """End the call for everybody."""

    call: Name


class HoldCall(CallCommand, frozen=True, kw_only=True):
    """The other side hears music."""


class RetrieveCall(CallCommand, frozen=True, kw_only=True):
    """Back from hold."""


class ConsultationCall(CallCommand, frozen=True, kw_only=True):
    """Hold the call and ask somebody else."""

    destination: Target
    data: CallData = {}


class AlternateCall(CallCommand, frozen=True, kw_only=True):
    """Swap the held and the active party."""


class ReconnectCall(CallCommand, frozen=True, kw_only=True):
    """Drop the consultation and return to the held call."""


class TransferCall(CallCommand, frozen=True, kw_only=True):
    """Join the held party with the consulted one and leave."""

    consultation: OptionalName = ""
    """Call or leg of the consultation; empty: the only one there is."""


class SingleStepTransferCall(CallCommand, frozen=True, kw_only=True):
    """Blind transfer."""

    destination: Target
    data: CallData = {}


class ConferenceCall(CallCommand, frozen=True, kw_only=True):
    """Join the held party, the consulted one and oneself."""

    consultation: OptionalName = ""


class SingleStepConferenceCall(CallCommand, frozen=True, kw_only=True):
    """Call somebody into the conversation."""

    destination: Target


class DeflectCall(CallCommand, frozen=True, kw_only=True):
    """Send a call that rings here elsewhere, unanswered."""

    destination: Target


class DirectedPickupCall(Command, frozen=True, kw_only=True):
    """Bring here what rings there: it rings at ``to`` and stops there. A queue's offers are pulled, not picked up."""

    call: OptionalName = ""
    """The ringing call, or ..."""
    device: OptionalName = ""
    """... the phone that rings; ``to`` answers it."""
    to: OptionalName = ""
    """Phone that takes the call; empty: the one of the agent who asks."""


class ParkCall(CallCommand, frozen=True, kw_only=True):
    """Park the other party; any phone takes it back from the slot, which the answer names."""

    slot: OptionalName = ""
    """Empty: any that is free."""


class GenerateDigits(CallCommand, frozen=True, kw_only=True):
    """Send digits to the other party."""

    digits: Digits
    """A comma pauses for half a second."""
    duration_ms: Annotated[int, Meta(ge=40, le=2000)] = 100


class SetCallData(Command, frozen=True, kw_only=True):
    """Attach data to the call; an empty value removes the key."""

    call: Name
    data: CallData


class SnapshotCall(Command, frozen=True, kw_only=True):
    """Connections, parties, data and state of one call."""

    call: Name


class SnapshotDevice(Command, frozen=True, kw_only=True):
    """The calls at one phone or trunk."""

    device: Name


class ExplainCall(Command, frozen=True, kw_only=True):
    """Why the call was routed and offered as it was."""

    call: Name


# --- recording ------------------------------------------------------------------------------------------------


class RecordingCommand(Command, frozen=True, kw_only=True):
    call: Name
    recording: OptionalName = ""
    """Empty: every recording of the call the user may touch."""


class StartRecording(RecordingCommand, frozen=True, kw_only=True):
    """Record on demand."""


class StopRecording(RecordingCommand, frozen=True, kw_only=True):
    """End a recording that was started on demand."""


class PauseRecording(RecordingCommand, frozen=True, kw_only=True):
    """Silence in the file, or nothing at all, until it is resumed."""

    masked: bool = True
    """True: silence of the same length is written, so that times stay right."""


class ResumeRecording(RecordingCommand, frozen=True, kw_only=True):
    """Continue a paused recording."""


# --- supervision ----------------------------------------------------------------------------------------------


class SupervisionCommand(Command, frozen=True, kw_only=True):
    agent: OptionalName = ""
    """Agent to supervise, or ..."""
    call: OptionalName = ""
    """... the call."""
    device: OptionalName = ""
    """Supervisor's phone; empty: the one of the user who asks."""


class SilentMonitor(SupervisionCommand, frozen=True, kw_only=True):
    """Hear both, be heard by nobody."""


class Whisper(SupervisionCommand, frozen=True, kw_only=True):
    """Be heard by the agent alone."""


class BargeIn(SupervisionCommand, frozen=True, kw_only=True):
    """Be heard by both."""


class TakeOver(SupervisionCommand, frozen=True, kw_only=True):
    """Replace the agent."""


class StopSupervision(SupervisionCommand, frozen=True, kw_only=True):
    """Leave the supervised call."""


class SupervisorSetAgentState(Command, frozen=True, kw_only=True):
    """Change somebody else's state, log out included."""

    agent: Name
    state: Literal["log_off", "ready", "not_ready", "wrap_up_done"]
    reason: OptionalName = ""


class MoveWorkItem(Command, frozen=True, kw_only=True):
    """Move a waiting item to another queue; it keeps the time it waited."""

    item: Name
    queue: Name


class PullWorkItem(Command, frozen=True, kw_only=True):
    """Give a waiting item to this agent now."""

    item: Name
    agent: OptionalName = ""
    """Empty: the one who asks."""


class GetCallbacks(Command, frozen=True, kw_only=True):
    """Customers who wait to be called back, the longest wait first."""

    queue: OptionalName = ""
    """Empty: all queues of the one who asks."""


class CancelCallback(Command, frozen=True, kw_only=True):
    """The customer will not be called."""

    callback: Name


class SetQueueOpen(Command, frozen=True, kw_only=True):
    """Open or close a queue, whatever its calendar says."""

    queue: Name
    open: bool
    reason: OptionalName = ""


class BroadcastMessage(Command, frozen=True, kw_only=True):
    """A line of text on desktops; everywhere the user may reach if nothing is named."""

    text: Annotated[str, Meta(min_length=1, max_length=1000)]
    agents: Annotated[tuple[Name, ...], Meta(max_length=1000)] = ()
    queues: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    teams: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()


AnyCommand: TypeAlias = (
    SetAgentState
    | GetAgentState
    | ExtendWrapUp
    | MakeCall
    | AnswerCall
    | ClearConnection
    | ClearCall
    | HoldCall
    | RetrieveCall
    | ConsultationCall
    | AlternateCall
    | ReconnectCall
    | TransferCall
    | SingleStepTransferCall
    | ConferenceCall
    | SingleStepConferenceCall
    | DeflectCall
    | DirectedPickupCall
    | ParkCall
    | GenerateDigits
    | SetCallData
    | SnapshotCall
    | SnapshotDevice
    | ExplainCall
    | StartRecording
    | StopRecording
    | PauseRecording
    | ResumeRecording
    | SilentMonitor
    | Whisper
    | BargeIn
    | TakeOver
    | StopSupervision
    | SupervisorSetAgentState
    | MoveWorkItem
    | PullWorkItem
    | GetCallbacks
    | CancelCallback
    | SetQueueOpen
    | BroadcastMessage
)

COMMANDS: dict[str, type[AnyCommand]] = {command.__name__: command for command in AnyCommand.__args__}
"""By JSON-RPC method, in the order of this file."""


# --- results --------------------------------------------------------------------------------------------------

ErrorCode: TypeAlias = Literal[
    "bad_request",
    "unknown_command",
    "not_authenticated",
    "forbidden",
    "unknown_object",
    "wrong_state",
    "busy",
    "unreachable",
    "not_supported",
    "limit_exceeded",
    "id_reused",
    "draining",
    "timeout",
    "failed",
]
"""Stable: clients branch on it. ``unknown_object``: no such call, leg, agent, queue, device or recording (also when
the user may not see it). ``wrong_state``: it exists, but cannot do this now. ``busy``: somebody else has it.
``unreachable``: the phone or trunk did not answer. ``draining``: the server is about to stop. ``failed``: our fault."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """The command was carried out, or was set going where events tell how it ends."""

    data: dict[str, Any] = {}
    """For example ``{"call": ...}`` for MakeCall."""


class CommandRejected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The command changed nothing."""

    code: ErrorCode
    message: str


CommandResult: TypeAlias = Accepted | CommandRejected


class CommandDone(msgspec.Struct, frozen=True, kw_only=True):
    """Output of the switch: the answer to a command, at once or later; exactly one for each ``execute``."""

    request_id: str
    result: CommandResult
