"""What the gateway says on its own account."""

from __future__ import annotations

from typing import Literal

from media.protocol.values import Conversation, DiskLevel, LegStats, Struct


class Event(Struct, tag=True, frozen=True, kw_only=True):
    pass


class DigitReceived(Event, frozen=True, kw_only=True):
    """One digit, once, however often its packets came. Sent when it begins; ``duration_ms`` is 0 then."""

    leg: str
    digit: str
    """0-9, *, #, A-D."""
    method: Literal["rfc4733", "inband"] = "rfc4733"


class PlayFinished(Event, frozen=True, kw_only=True):
    leg: str
    player: str
    reason: Literal["completed", "digit", "speech", "stopped", "replaced", "closed", "failed"]
    played_ms: int
    detail: str = ""
    """With ``failed``: which item and why."""


class DigitsSent(Event, frozen=True, kw_only=True):
    leg: str
    digits: str


class MediaStarted(Event, frozen=True, kw_only=True):
    """The first valid packet of the peer arrived."""

    leg: str
    address: str
    port: int


class MediaTimeout(Event, frozen=True, kw_only=True):
    """Nothing heard for the leg's ``timeout_ms``. Sent once until the peer is heard again."""

    leg: str
    silent_ms: int


class Intruder(Event, frozen=True, kw_only=True):
    """Packets from an address that is not the peer; at most one event per leg and second."""

    leg: str
    address: str
    port: int
    packets: int


class TalkStarted(Event, frozen=True, kw_only=True):
    leg: str


class TalkStopped(Event, frozen=True, kw_only=True):
    leg: str
    talked_ms: int


class Detected(Event, frozen=True, kw_only=True):
    leg: str
    what: Literal["human", "machine", "beep", "cng", "ced", "busy", "congestion", "sit", "ringback"]
    after_ms: int
    """Since the leg was configured."""


class SpeechStarted(Event, frozen=True, kw_only=True):
    """Somebody began to speak on a leg that is listened to."""

    leg: str
    listening: str


class UtteranceHeard(Event, frozen=True, kw_only=True):
    """What was said, with half a second of what came before it. Its listening is over."""

    leg: str
    listening: str
    reason: Literal["pause", "too_long", "missed"]
    """``missed``: call control was away, and the audio was not kept."""
    rate: int
    """Of `samples` in Hz: 8000 or 16000."""
    samples: bytes
    """Mono, 16 bits, little-endian."""

    def __repr__(self) -> str:
        return f"UtteranceHeard(leg={self.leg!r}, listening={self.listening!r}, bytes={len(self.samples)})"


class RecordingStarted(Event, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str


class RecordingPaused(Event, frozen=True, kw_only=True):
    recording: str
    offset_ms: int
    masked: bool


class RecordingResumed(Event, frozen=True, kw_only=True):
    recording: str
    offset_ms: int


class RecordingCompleted(Event, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    duration_ms: int
    size_bytes: int
    sha256: str
    conversation: Conversation | None = None
    """None: it could not be measured."""


class RecordingFailed(Event, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    reason: str
    kept: bool
    """True: what was written up to then is a playable file."""


class DiskState(Event, frozen=True, kw_only=True):
    """Sent when a watermark is crossed either way."""

    level: DiskLevel
    free_bytes: int


class Quality(Event, frozen=True, kw_only=True):
    """Periodic while a leg lives, and once at its end (``final``)."""

    stats: LegStats
    final: bool = False


class TickOverrun(Event, frozen=True, kw_only=True):
    """The playout tick came late; for operators, at most one per second."""

    late_ms: float
    count: int


class TickLateness(Event, frozen=True, kw_only=True):
    """How late playout ticks came since the gateway started; once a second while call control is connected."""

    bounds_us: tuple[int, ...]
    counts: tuple[int, ...]
    """How many came at most so late as the bound, and later than the one before it."""
    beyond: int
    """How many came later than the last bound."""
    total_s: float
    """The lateness of all of them together."""


AnyEvent = (
    DigitReceived
    | PlayFinished
    | DigitsSent
    | MediaStarted
    | MediaTimeout
    | Intruder
    | TalkStarted
    | TalkStopped
    | Detected
    | SpeechStarted
    | UtteranceHeard
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | RecordingCompleted
    | RecordingFailed
    | DiskState
    | Quality
    | TickOverrun
    | TickLateness
)
