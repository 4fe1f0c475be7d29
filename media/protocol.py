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

from typing import Literal

import msgspec

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 4 * 1024 * 1024
"""A longer frame closes the connection: nothing legitimate comes near it."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


# --- values -----------------------------------------------------------------------------------------


class Codec(_Struct, frozen=True, kw_only=True):
    """One RTP payload format as negotiated (RFC 3551, RFC 7587)."""

    name: str
    """Encoding name in capitals as in SDP: PCMU, PCMA, G722, OPUS, L16."""
    payload_type: int
    clock_rate: int = 8000
    """RTP clock in Hz (8000 for G722, see RFC 3551 section 4.5.2)."""
    channels: int = 1
    fmtp: str = ""
    """Format parameters exactly as the peer gave them."""


class Srtp(_Struct, frozen=True, kw_only=True):
    """One direction's SDES keys (RFC 4568)."""

    suite: str
    """AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AEAD_AES_128_GCM or AEAD_AES_256_GCM."""
    key: bytes
    """Master key followed by master salt."""

    def __repr__(self) -> str:
        return f"Srtp(suite={self.suite!r}, key=<secret>)"


class Hears(_Struct, frozen=True, kw_only=True):
    """One cell of a bridge's matrix: ``listener`` hears ``source`` at ``gain_db``."""

    listener: str
    source: str
    gain_db: float = 0.0


class File(_Struct, tag=True, frozen=True, kw_only=True):
    """An audio file anything libsndfile reads; resampled and encoded once per codec and shared."""

    path: str
    gain_db: float = 0.0
    offset_ms: int = 0
    normalise: bool = False
    """Bring speech to -20 dBFS (at most -3 dBFS peak) before ``gain_db``."""


class Speech(_Struct, tag=True, frozen=True, kw_only=True):
    """Text spoken by the configured synthesiser, rendered once and cached by content."""

    text: str
    language: str = "en"
    """BCP 47 tag: ``en``, ``zh`` ..."""
    voice: str = ""
    """Engine's own voice name; empty for the language's default."""


class Tone(_Struct, tag=True, frozen=True, kw_only=True):
    """A tone of ITU-T E.180 (``name`` of ``country``) or a cadence spelled out in ``spec``.

    ``spec``: comma-separated ``freq[+freq...]/on_ms[/off_ms]`` steps, for example ``440+480/2000/4000``.
    """

    name: str = ""
    """ringback, busy, congestion, dial, waiting, beep ..."""
    country: str = "us"
    spec: str = ""
    duration_ms: int = 0
    """0: one full cadence, or for ever where the player loops."""
    level_db: float = -16.0
    """Level of each component in dBFS."""


class Silence(_Struct, tag=True, frozen=True, kw_only=True):
    duration_ms: int


class Music(_Struct, tag=True, frozen=True, kw_only=True):
    """Hold music: every audio file of a folder, in name order, as one endless gapless stream."""

    folder: str
    gain_db: float = 0.0


PlayItem = File | Speech | Tone | Silence | Music


# --- commands ---------------------------------------------------------------------------------------


class Command(_Struct, tag=True, frozen=True, kw_only=True):
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
    timestamps of what the leg sends go on unbroken."""

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


# --- replies ----------------------------------------------------------------------------------------


class Reply(_Struct, tag=True, frozen=True, kw_only=True):
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


class LegOpened(Reply, frozen=True, kw_only=True):
    leg: str
    address: str
    """Address to advertise in SDP."""
    port: int
    """RTP; RTCP is on the next port unless muxed."""


class LegReport(Reply, frozen=True, kw_only=True):
    stats: LegStats


class LegState(_Struct, frozen=True, kw_only=True):
    leg: str
    call: str
    address: str
    port: int
    configured: ConfigureLeg | None
    player: str
    recordings: tuple[str, ...]


class BridgeState(_Struct, frozen=True, kw_only=True):
    bridge: str
    matrix: tuple[Hears, ...]


class RecordingState(_Struct, frozen=True, kw_only=True):
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


# --- events -----------------------------------------------------------------------------------------


class Event(_Struct, tag=True, frozen=True, kw_only=True):
    pass


class LegStats(_Struct, frozen=True, kw_only=True):
    """What one leg saw. Counters run from its start; nothing is guessed: ``None`` is *not known*."""

    leg: str
    packets_received: int = 0
    packets_sent: int = 0
    octets_received: int = 0
    octets_sent: int = 0
    lost: int = 0
    duplicates: int = 0
    late: int = 0
    """Arrived after their turn in the jitter buffer."""
    rejected: int = 0
    """Not RTP, a foreign source, a wrong payload type or authentication tag."""
    jitter_ms: float = 0.0
    """Interarrival jitter, RFC 3550 section 6.4.1."""
    round_trip_ms: float | None = None
    remote_lost: int | None = None
    """As the peer reports in RTCP."""
    mos: float | None = None
    """ITU-T G.107 estimate, only where delay is known."""


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


class RecordingFailed(Event, frozen=True, kw_only=True):
    recording: str
    leg: str
    path: str
    reason: str
    kept: bool
    """True: what was written up to then is a playable file."""


class DiskState(Event, frozen=True, kw_only=True):
    """Sent when a watermark is crossed either way."""

    level: Literal["ok", "low", "full"]
    free_bytes: int


class Quality(Event, frozen=True, kw_only=True):
    """Periodic while a leg lives, and once at its end (``final``)."""

    stats: LegStats
    final: bool = False


class TickOverrun(Event, frozen=True, kw_only=True):
    """The playout tick came late; for operators, at most one per second."""

    late_ms: float
    count: int


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
    | RecordingStarted
    | RecordingPaused
    | RecordingResumed
    | RecordingCompleted
    | RecordingFailed
    | DiskState
    | Quality
    | TickOverrun
)

FromGateway = AnyReply | AnyEvent
ToGateway = AnyCommand
