"""The engine's words: what a leg, its codecs and its routes are set up with, and names for the numbers it reports."""

from __future__ import annotations

from typing import NamedTuple

KIND_BY_NAME = {"PCMU": 0, "PCMA": 1, "G722": 2, "OPUS": 3, "L16": 4}
PLAY_REASONS = ("completed", "digit", "speech", "stopped", "replaced", "closed")
DETECTIONS = ("human", "machine", "beep", "cng", "ced", "busy", "congestion", "sit", "ringback")
DIGIT_CODES = {character: code for code, character in enumerate("0123456789*#ABCD")}
"""RFC 4733 section 3.2."""
EAR_BITS = {"dtmf": 1, "talk": 2, "fax": 4, "answering_machine": 8, "progress": 16}


class CodecSpec(NamedTuple):
    kind: int
    payload_type: int
    clock_rate: int
    channels: int
    pcm_rate: int
    fmtp: str


class LegSetup(NamedTuple):
    """One negotiated state of a leg, in the engine's terms. ``srtp_*`` are (suite, key) or None."""

    remote_address: str
    remote_port: int
    codecs: tuple[CodecSpec, ...]
    dtmf_payload_type: int
    cn_payload_type: int
    send: bool
    receive: bool
    ptime_ms: int
    rtcp_mux: bool
    srtp_send: tuple[str, bytes] | None
    srtp_receive: tuple[str, bytes] | None
    lock_source: bool
    timeout_ms: int
    detect: frozenset[str]
    remote_changed: bool


class RouteSpec(NamedTuple):
    """What one leg hears, and who is relayed from it. Legs by number."""

    leg: int
    hears: tuple[tuple[int, float], ...]
    sinks: tuple[int, ...]
    relayed: bool
    mixing: bool
    decoding: bool
