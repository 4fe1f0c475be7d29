"""What the gateway answers to commands."""

from __future__ import annotations

from typing import Literal

from media.protocol.commands import ConfigureLeg
from media.protocol.values import DiskLevel, Hears, LegStats, Struct


class Reply(Struct, tag=True, frozen=True, kw_only=True):
    id: int
    """The command's."""


class Ok(Reply, frozen=True, kw_only=True):
    pass


class Refused(Reply, frozen=True, kw_only=True):
    """The command was not carried out, and changed nothing."""

    code: Literal["unknown", "exists", "invalid", "exhausted", "io", "unsupported", "internal"]
    reason: str
    """One sentence for a log, naming the object."""


class Welcome(Reply, frozen=True, kw_only=True):
    version: int
    gateway: str
    """Stable for the life of the gateway process; another value means that it was restarted."""
    legs: int
    capacity: int
    disk: DiskLevel = "ok"
    """Of the recordings, as the last :class:`DiskState` said: a call control that comes back has not heard it."""
    disk_free_bytes: int = 0


class LegOpened(Reply, frozen=True, kw_only=True):
    leg: str
    address: str
    """Address to advertise in SDP."""
    port: int
    """RTP; RTCP is on the next port unless muxed."""


class LegReport(Reply, frozen=True, kw_only=True):
    stats: LegStats


class LegState(Struct, frozen=True, kw_only=True):
    leg: str
    call: str
    address: str
    port: int
    configured: ConfigureLeg | None
    player: str
    """The last one that was asked for and has not ended."""
    recordings: tuple[str, ...]


class BridgeState(Struct, frozen=True, kw_only=True):
    bridge: str
    matrix: tuple[Hears, ...]


class RecordingState(Struct, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    state: Literal["recording", "paused", "masked"]
    duration_ms: int


class Snapshot(Reply, frozen=True, kw_only=True):
    legs: tuple[LegState, ...]
    bridges: tuple[BridgeState, ...]
    recordings: tuple[RecordingState, ...]


AnyReply = Ok | Refused | Welcome | LegOpened | LegReport | Snapshot
