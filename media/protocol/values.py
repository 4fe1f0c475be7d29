"""What messages are made of: codecs, keys, cells of a matrix, things to play, counters."""

from __future__ import annotations

from typing import Literal

import msgspec


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Codec(Struct, frozen=True, kw_only=True):
    """One RTP payload format as negotiated (RFC 3551, RFC 7587)."""

    name: str
    """Encoding name in capitals as in SDP: PCMU, PCMA, G722, OPUS, L16."""
    payload_type: int
    clock_rate: int = 8000
    """RTP clock in Hz (8000 for G722, see RFC 3551 section 4.5.2)."""
    channels: int = 1
    fmtp: str = ""
    """Format parameters exactly as the peer gave them."""


class Srtp(Struct, frozen=True, kw_only=True):
    """One direction's SDES keys (RFC 4568)."""

    suite: str
    """AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, AEAD_AES_128_GCM or AEAD_AES_256_GCM."""
    key: bytes
    """Master key followed by master salt."""

    def __repr__(self) -> str:
        return f"Srtp(suite={self.suite!r}, key=<secret>)"


class Hears(Struct, frozen=True, kw_only=True):
    """One cell of a bridge's matrix: ``listener`` hears ``source`` at ``gain_db``."""

    listener: str
    source: str
    gain_db: float = 0.0


class Conversation(Struct, frozen=True, kw_only=True):
    """What a recording's two channels say: who spoke how much. What was masked counts for nothing."""

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


class File(Struct, tag=True, frozen=True, kw_only=True):
    """An audio file anything libsndfile reads; resampled and encoded once per codec and shared."""

    path: str
    gain_db: float = 0.0
    offset_ms: int = 0
    normalise: bool = False
    """Bring speech to -20 dBFS (at most -3 dBFS peak) before ``gain_db``."""


class Speech(Struct, tag=True, frozen=True, kw_only=True):
    """Text spoken by the configured synthesiser, rendered once and cached by content."""

    text: str
    language: str = "en"
    """BCP 47 tag: ``en``, ``zh`` ..."""
    voice: str = ""
    """Engine's own voice name; empty for the language's default."""


class Tone(Struct, tag=True, frozen=True, kw_only=True):
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


class Silence(Struct, tag=True, frozen=True, kw_only=True):
    duration_ms: int


class Music(Struct, tag=True, frozen=True, kw_only=True):
    """Hold music: every audio file of a folder, in name order, as one endless gapless stream."""

    folder: str
    gain_db: float = 0.0


PlayItem = File | Speech | Tone | Silence | Music


DiskLevel = Literal["ok", "low", "full"]


class LegStats(Struct, frozen=True, kw_only=True):
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
