"""What call control tells the gateway to do."""

from __future__ import annotations

from typing import Literal

from media.protocol.values import Codec, Hears, PlayItem, Srtp, Struct

PROTOCOL_VERSION = 1


class Command(Struct, tag=True, frozen=True, kw_only=True):
    id: int
    """Pairs the reply with the command; counts up per connection."""


class Hello(Command, frozen=True, kw_only=True):
    """First command of a connection. Reply: :class:`Welcome`."""

    version: int = PROTOCOL_VERSION
    token: str = ""
    """Shared secret; wanted on TCP, unused on a Unix socket guarded by file permissions."""

    def __repr__(self) -> str:
        return f"Hello(id={self.id}, version={self.version})"


class OpenLeg(Command, frozen=True, kw_only=True):
    """Bind an RTP/RTCP port pair for a new leg. Reply: :class:`LegOpened`."""

    leg: str
    call: str = ""
    """The call it belongs to: for logs and the snapshot only."""
    family: Literal["ipv4", "ipv6"] = "ipv4"


class ConfigureLeg(Command, frozen=True, kw_only=True):
    """Set what was negotiated. May be repeated at any time (re-INVITE); SSRC, sequence numbers and
    timestamps of what the leg sends go on unbroken. The reply comes when the gateway works by it: no packet
    that comes later is lost. (Replies to commands sent after it may come before it.)"""

    leg: str
    remote_address: str
    """Where to send; symmetric RTP (RFC 4961) moves it to where valid packets really come from."""
    remote_port: int
    """0: nothing is sent until the peer has been heard."""
    codecs: tuple[Codec, ...]
    """Accepted from the peer; the first one is sent."""
    dtmf_payload_type: int | None = None
    """RFC 4733 payload type of this leg, if negotiated."""
    dtmf_inband: bool = False
    """Listen for DTMF tones in the audio (peers without telephone-event)."""
    cn_payload_type: int | None = None
    send: bool = True
    """False: the peer asked us to be silent (it is sendonly or inactive)."""
    receive: bool = True
    """False: what the peer sends is dropped (we are sendonly or inactive)."""
    ptime_ms: int = 20
    rtcp_mux: bool = False
    srtp_send: Srtp | None = None
    srtp_receive: Srtp | None = None
    lock_source: bool = True
    """Follow the peer once at the start, then bind to it; strangers are dropped and reported."""
    timeout_ms: int = 30000
    """No packet for so long: :class:`MediaTimeout`. 0: never."""
    detect: tuple[Literal["talk", "fax", "answering_machine", "progress"], ...] = ()


class CloseLeg(Command, frozen=True, kw_only=True):
    """Leave all bridges, finish its recorders and players, close the ports (they drain first)."""

    leg: str


class SetBridge(Command, frozen=True, kw_only=True):
    """Set the whole who-hears-whom matrix of a bridge; creates it if it is new.

    A leg that hears exactly one leg of the same codec at 0 dB, and plays nothing, is relayed to packet
    by packet; any other hears a mix. A leg is in one bridge at a time: naming it here takes it out of
    another. Takes effect within one 20 ms tick."""

    bridge: str
    matrix: tuple[Hears, ...]


class CloseBridge(Command, frozen=True, kw_only=True):
    bridge: str


class Play(Command, frozen=True, kw_only=True):
    """Play items on a leg one after the other without gaps. Ends with one :class:`PlayFinished`.

    A leg has one player: a new Play replaces the running one (which finishes as ``replaced``), unless
    ``enqueue`` is set."""

    leg: str
    player: str
    items: tuple[PlayItem, ...]
    loop: bool = False
    mix: bool = False
    """True: the leg goes on hearing its bridge underneath; False: it hears only this."""
    stop_on_digits: str = ""
    """Any of these digits from this leg ends playing at once: ``0123456789*#`` for full barge-in."""
    stop_on_speech: bool = False
    enqueue: bool = False


class StopPlay(Command, frozen=True, kw_only=True):
    leg: str
    player: str = ""
    """Empty: whatever plays."""


class ControlPlay(Command, frozen=True, kw_only=True):
    leg: str
    player: str
    pause: bool | None = None
    seek_ms: int | None = None
    """Relative to now."""
    gain_db: float | None = None


class SendDigits(Command, frozen=True, kw_only=True):
    leg: str
    digits: str
    duration_ms: int = 100
    gap_ms: int = 70
    inband: bool = False
    """Send tones in the audio instead of RFC 4733 events."""


class StartListening(Command, frozen=True, kw_only=True):
    """Cut the next utterance out of what comes from the leg: :class:`SpeechStarted` when somebody begins to speak,
    :class:`UtteranceHeard` when he has spoken, and with that it is over. A leg has one listening: a new one replaces
    it. How long to wait for somebody who says nothing is call control's business."""

    leg: str
    listening: str
    pause_ms: int = 800
    """So much quiet ends the utterance; at least 400."""
    max_ms: int = 15000
    """A longer utterance is cut off here; at most 60,000."""


class StopListening(Command, frozen=True, kw_only=True):
    leg: str
    listening: str = ""
    """Empty: whichever runs."""


class StartRecording(Command, frozen=True, kw_only=True):
    """Record a leg: left channel what comes from it, right channel what is sent to it.

    Replies once the file exists. ``path`` is final; the gateway writes under a temporary name beside it
    and renames at the end. A JSON sidecar ``<path>.json`` is written with it."""

    recording: str
    leg: str
    path: str
    format: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    metadata: dict[str, str] = {}
    """Goes into the sidecar: call id, caller, called, queue, agent ..."""


class PauseRecording(Command, frozen=True, kw_only=True):
    """Stop taking down audio. ``mask``: the time line goes on with silence on both channels and digits
    are dropped (card data); otherwise also silence, so that offsets stay those of the call."""

    recording: str
    mask: bool = False


class ResumeRecording(Command, frozen=True, kw_only=True):
    recording: str


class MarkRecording(Command, frozen=True, kw_only=True):
    """Begin a new segment here (the parties changed): metadata is merged and the offset noted."""

    recording: str
    metadata: dict[str, str]


class StopRecording(Command, frozen=True, kw_only=True):
    recording: str


class Prepare(Command, frozen=True, kw_only=True):
    """Render and encode items ahead of their first use (the IVR's prompts at start and reload)."""

    items: tuple[PlayItem, ...]
    codecs: tuple[str, ...] = ("PCMU", "PCMA")


class QueryLeg(Command, frozen=True, kw_only=True):
    """Reply: :class:`LegReport`."""

    leg: str


class TakeSnapshot(Command, frozen=True, kw_only=True):
    """Everything that lives on this gateway. Reply: :class:`Snapshot`."""


class CloseAll(Command, frozen=True, kw_only=True):
    """Close every leg whose id is not in ``keep`` (after a restart of call control)."""

    keep: tuple[str, ...] = ()


AnyCommand = (
    Hello
    | OpenLeg
    | ConfigureLeg
    | CloseLeg
    | SetBridge
    | CloseBridge
    | Play
    | StopPlay
    | ControlPlay
    | SendDigits
    | StartListening
    | StopListening
    | StartRecording
    | PauseRecording
    | ResumeRecording
    | MarkRecording
    | StopRecording
    | Prepare
    | QueryLeg
    | TakeSnapshot
    | CloseAll
)
