"""What call control and the media gateway say to each other.

Call control sends *commands*, the gateway answers each with one *reply* carrying the same ``id``, and
sends *events* on its own account. All are frozen structs in MessagePack, framed by a 4-byte big-endian
length. Every command names the object it is about by an id that call control chose, sets a state rather
than changing it where that is possible, and may be repeated without harm: a repeated ``id`` on one
connection gets the same reply, a repeated ``OpenLeg`` the same port.

Times are milliseconds (``_ms``), gains decibels (``_db``), audio positions are counted from the start of
the object they belong to.
"""

from __future__ import annotations

from media.protocol.commands import (
    PROTOCOL_VERSION,
    AnyCommand,
    CloseAll,
    CloseBridge,
    CloseLeg,
    Command,
    ConfigureLeg,
    ControlPlay,
    Hello,
    MarkRecording,
    OpenLeg,
    PauseRecording,
    Play,
    Prepare,
    QueryLeg,
    ResumeRecording,
    SendDigits,
    SetBridge,
    StartRecording,
    StopPlay,
    StopRecording,
    TakeSnapshot,
)
from media.protocol.events import (
    AnyEvent,
    Detected,
    DigitReceived,
    DigitsSent,
    DiskState,
    Event,
    Intruder,
    MediaStarted,
    MediaTimeout,
    PlayFinished,
    Quality,
    RecordingCompleted,
    RecordingFailed,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    TalkStarted,
    TalkStopped,
    TickLateness,
    TickOverrun,
)
from media.protocol.replies import (
    AnyReply,
    BridgeState,
    LegOpened,
    LegReport,
    LegState,
    Ok,
    RecordingState,
    Refused,
    Reply,
    Snapshot,
    Welcome,
)
from media.protocol.values import Codec, File, Hears, LegStats, Music, PlayItem, Silence, Speech, Srtp, Tone

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""A longer frame closes the connection: nothing legitimate comes near it."""

FromGateway = AnyReply | AnyEvent
ToGateway = AnyCommand

__all__ = [
    "AnyCommand",
    "AnyEvent",
    "AnyReply",
    "BridgeState",
    "CloseAll",
    "CloseBridge",
    "CloseLeg",
    "Codec",
    "Command",
    "ConfigureLeg",
    "ControlPlay",
    "Detected",
    "DigitReceived",
    "DigitsSent",
    "DiskState",
    "Event",
    "File",
    "FromGateway",
    "Hears",
    "Hello",
    "Intruder",
    "LegOpened",
    "LegReport",
    "LegState",
    "LegStats",
    "MAX_FRAME_BYTES",
    "MarkRecording",
    "MediaStarted",
    "MediaTimeout",
    "Music",
    "Ok",
    "OpenLeg",
    "PROTOCOL_VERSION",
    "PauseRecording",
    "Play",
    "PlayFinished",
    "PlayItem",
    "Prepare",
    "Quality",
    "QueryLeg",
    "RecordingCompleted",
    "RecordingFailed",
    "RecordingPaused",
    "RecordingResumed",
    "RecordingStarted",
    "RecordingState",
    "Refused",
    "Reply",
    "ResumeRecording",
    "SendDigits",
    "SetBridge",
    "Silence",
    "Snapshot",
    "Speech",
    "Srtp",
    "StartRecording",
    "StopPlay",
    "StopRecording",
    "TakeSnapshot",
    "TalkStarted",
    "TalkStopped",
    "TickLateness",
    "TickOverrun",
    "ToGateway",
    "Tone",
    "Welcome",
]
