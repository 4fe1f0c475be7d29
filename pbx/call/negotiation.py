"""Offer and answer of one leg, and what they mean for its media port."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from media.protocol import Codec, ConfigureLeg, Srtp
from pbx import sdp
from pbx.call.model import Leg

FORMATS: dict[str, sdp.Format] = {
    "PCMU": sdp.Format("PCMU", 0),
    "PCMA": sdp.Format("PCMA", 8),
    "G722": sdp.Format("G722", 9),
    "OPUS": sdp.Format("OPUS", 96, 48000, 2, "useinbandfec=1"),
    "L16": sdp.Format("L16", 97, 16000),
}
"""Every codec a configuration can name, with the payload type we offer it under (RFC 3551)."""
SUITES = (("AES_CM_128_HMAC_SHA1_80", 30), ("AEAD_AES_128_GCM", 28), ("AEAD_AES_256_GCM", 44))
"""SRTP suites we offer, by preference, with the length of key and salt in bytes."""


class MediaChoice(msgspec.Struct, frozen=True):
    """What a trunk or extension may use."""

    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    dtmf: Literal["rfc4733", "info", "inband"] = "rfc4733"
    srtp: Literal["off", "optional", "required"] = "off"


class RtpSettings(Protocol):
    @property
    def rtp_timeout_ms(self) -> int: ...


class KeySource(Protocol):
    """Where SRTP master keys come from."""

    def __call__(self, length: int) -> bytes: ...


def make_offer(leg: Leg, choice: MediaChoice, prefer: str, keys: KeySource) -> bytes:
    """Our offer to the peer of ``leg``, ``prefer`` first where the peer may have it."""
    return sdp.make_offer(
        leg.address,
        leg.port,
        _formats(choice, prefer),
        session=sdp.SessionId(leg.sdp_id, leg.sdp_version),
        dtmf=choice.dtmf == "rfc4733",
        srtp=_make_keys(keys) if choice.srtp == "required" else (),
        shape=leg.local_sdp or None,
    )


def answer(leg: Leg, offer: bytes, choice: MediaChoice, prefer: str, keys: KeySource) -> sdp.Agreed | None:
    """Our answer to ``offer``; None where there is no codec in common or it cannot be read."""
    try:
        return sdp.answer_offer(
            sdp.parse(offer),
            leg.address,
            leg.port,
            _formats(choice, prefer),
            session=sdp.SessionId(leg.sdp_id, leg.sdp_version),
            srtp=() if choice.srtp == "off" else _make_keys(keys),
            require_srtp=choice.srtp == "required",
        )
    except (sdp.SdpError, sdp.NegotiationError):
        return None


def read_answer(leg: Leg, body: bytes) -> sdp.Agreed | None:
    """The peer's answer to what we offered last; None where it does not fit."""
    try:
        return sdp.read_answer(leg.local_sdp, body)
    except (sdp.SdpError, sdp.NegotiationError):
        return None


def readable(body: bytes) -> bool:
    """Whether this is a session description with an audio stream."""
    try:
        return any(media.kind == "audio" for media in sdp.parse(body).media)
    except sdp.SdpError:
        return False


def first_codec(body: bytes) -> str:
    """The codec a peer likes best, as far as we know it; empty if there is none."""
    try:
        media = sdp.parse(body).media
    except sdp.SdpError:
        return ""
    return next((item.name for line in media for item in line.formats if item.name in FORMATS), "")


def configure(leg: Leg, agreed: sdp.Agreed, command: int, choice: MediaChoice, settings: RtpSettings) -> ConfigureLeg:
    """The gateway's part of what was agreed."""
    return ConfigureLeg(
        id=command,
        leg=leg.id,
        remote_address=agreed.address,
        remote_port=agreed.port,
        codecs=tuple(
            Codec(
                name=item.name,
                payload_type=item.payload_type,
                clock_rate=item.clock_rate,
                channels=item.channels,
                fmtp=item.fmtp,
            )
            for item in agreed.codecs
        ),
        dtmf_payload_type=agreed.dtmf_payload_type,
        dtmf_inband=choice.dtmf == "inband" or (choice.dtmf == "rfc4733" and agreed.dtmf_payload_type is None),
        cn_payload_type=agreed.cn_payload_type,
        send=agreed.send,
        receive=agreed.receive,
        ptime_ms=agreed.ptime_ms,
        rtcp_mux=agreed.rtcp_mux,
        srtp_send=_srtp(agreed.crypto_send),
        srtp_receive=_srtp(agreed.crypto_receive),
        timeout_ms=settings.rtp_timeout_ms,
    )


def _formats(choice: MediaChoice, prefer: str) -> tuple[sdp.Format, ...]:
    names = [name for name in choice.codecs if name in FORMATS]
    if prefer in names:
        names.remove(prefer)
        names.insert(0, prefer)
    return tuple(FORMATS[name] for name in names)


def _make_keys(keys: KeySource) -> tuple[sdp.Crypto, ...]:
    return tuple(sdp.Crypto(suite, keys(length), tag) for tag, (suite, length) in enumerate(SUITES, 1))


def _srtp(crypto: sdp.Crypto | None) -> Srtp | None:
    return None if crypto is None else Srtp(suite=crypto.suite, key=crypto.key)
