"""Calls and legs as plain data: what is known of each, nothing of how it came about.

Everything here can be written down and read back (MessagePack), so that a call control that died takes its
calls over where they were.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from media.protocol import ConfigureLeg, Hears, Play

LegState = Literal["opening", "offered", "dialing", "alerting", "connected", "ended"]
"""opening: waits for its media port; offered: an INVITE came and is not answered; dialing: our INVITE is out;
alerting: it rings; connected: answered; ended: gone, kept until the call's records are written."""

SupervisionMode = Literal["monitor", "whisper", "barge"]


class Leg(msgspec.Struct, kw_only=True):
    """One SIP dialog and its one media leg."""

    id: str
    call: str
    device: str
    """``extension:1001`` or ``trunk:carrier``."""
    direction: Literal["in", "out"]
    number: str = ""
    """The party's number: caller for a leg that came in, called for one that goes out."""
    name: str = ""
    agent: str = ""
    state: LegState = "opening"
    peer: str = ""
    """IP address that the peer's signalling comes from or goes to."""
    gateway: str = ""
    address: str = ""
    """Media address and port that we advertise; empty until the gateway opened them."""
    port: int = 0
    sdp_id: int = 0
    sdp_version: int = 0
    local_sdp: bytes = b""
    """What we last sent as offer or answer."""
    remote_sdp: bytes | None = None
    """The peer's offer that still waits for our answer, or its last description."""
    answer_sent: bool = False
    """An answer went out (183 or 200); the 200 repeats it."""
    configured: ConfigureLeg | None = None
    held: bool = False
    """The phone of this leg holds: it sends and wants no audio."""
    parked: bool = False
    """Held by us on command (consultation, HoldCall): hears music."""
    player: str = ""
    """Foreground player (prompt, announcement) running on it."""
    playing: Play | None = None
    """What ``player`` plays, to begin it again on another gateway."""
    waiting: str = ""
    """What it is to hear while nobody talks to it: ``music:CLASS``, ``ringback`` or nothing."""
    background: str = ""
    """What the gateway plays on it for want of a conversation: ``music:CLASS``, ``ringback`` or nothing."""
    offer: str = ""
    """The ACD offer this leg rings for."""
    supervision: SupervisionMode | Literal[""] = ""
    supervises: str = ""
    """Leg that is supervised."""
    sip_call_id: str = ""
    started_at: float = 0.0
    """Wall clock, as are the next two."""
    answered_at: float = 0.0
    timed_out: bool = False
    """No audio from it for a while; announced once."""

    @property
    def kind(self) -> str:
        return self.device.partition(":")[0]

    @property
    def codec(self) -> str:
        """Encoding name sent to the peer, empty before negotiation."""
        return self.configured.codecs[0].name if self.configured and self.configured.codecs else ""


class RecordingNote(msgspec.Struct, kw_only=True):
    """A recorder that runs for a call."""

    id: str
    leg: str
    path: str
    """Relative to the recordings folder."""
    state: Literal["starting", "recording", "paused", "masked", "stopping"] = "starting"
    agent: str = ""


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """The place a caller had in a queue when he left it unserved; a callback keeps it, and the next queue."""

    queue: str
    since: float
    """Wall clock."""
    priority: int = 0
    skills: dict[str, int] = {}
    language: str = ""
    agents: tuple[str, ...] = ()


class Call(msgspec.Struct, kw_only=True):
    """What a caller experiences from the first INVITE to the last BYE."""

    id: str
    direction: Literal["inbound", "outbound", "internal"]
    caller: str
    called: str
    caller_name: str = ""
    language: str = ""
    gateway: str = ""
    anchor: str = ""
    """The leg that is being served: IVR, queue and dialling work for it."""
    legs: dict[str, Leg] = {}
    talkers: list[str] = []
    """Legs in conversation, in the order they joined."""
    data: dict[str, str] = {}
    """Call data for agents' screens and CTI."""
    recordings: dict[str, RecordingNote] = {}
    recorded: int = 0
    """Recorders started so far; numbers their files."""
    bridge: tuple[Hears, ...] = ()
    """The matrix the gateway has."""
    started_at: float = 0.0
    answered_at: float = 0.0
    """When the anchor was first answered, by a flow, a queue or a person."""
    talked_at: float = 0.0
    """When the first conversation began."""
    abandoned: bool = False
    """The caller left while he waited."""
    sessions: int = 0
    """Sessions it has had so far."""
    diversions: int = 0
    """How often it was forwarded or overflowed."""
    diverted: list[tuple[str, str]] = []
    """Extensions that forwarded it and why (RFC 5806 section 4), the latest first."""
    route: str = ""
    """Rule that routed it."""
    max_forwards: int = 0
    """Hops left when it came to us (RFC 3261 section 16.6); 0: it began here."""
    session_id: str = ""
    """The caller's UUID in Session-ID (RFC 7989), 32 hexadecimal digits; empty: none came."""
    priority: int = 0
    entries: int = 0
    """How often it entered a queue."""
    queue: str = ""
    """The queue it is in, or was in last."""
    waited: Waited | None = None
    """The place it left last, until an agent answers."""
    agents: list[str] = []
    """Agents who talked in it, first to last."""

    def leg(self, leg: str) -> Leg:
        return self.legs[leg]

    def live(self) -> list[Leg]:
        """Legs that have not ended."""
        return [leg for leg in self.legs.values() if leg.state != "ended"]

    def connected(self) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.state == "connected"]

    def others(self, leg: str) -> list[Leg]:
        """The other legs in conversation with ``leg``."""
        return [self.legs[other] for other in self.talkers if other != leg]
