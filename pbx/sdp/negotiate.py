"""Offer and answer as pure functions (RFC 3264, RFC 4568): one audio stream; every other stream is declined."""

from __future__ import annotations

import msgspec

from .model import Crypto, Direction, Format, Media, NegotiationError, SdpError, Session, SessionId
from .parse import parse
from .serialise import format_head, format_media, format_rejected

DTMF = "TELEPHONE-EVENT"
DTMF_PAYLOAD_TYPE = 101
DTMF_EVENTS = "0-16"
NOWHERE = frozenset(("0.0.0.0", "::", "::0"))
"""Addresses that mean hold in the way of RFC 2543 (RFC 3264 section 8.4)."""


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """What offer and answer come to, from our point of view."""

    sdp: bytes = b""
    """The answer to send; empty where the peer answered."""
    codecs: tuple[Format, ...]
    """Common audio formats with the payload types to use on the wire; the first is to be sent."""
    address: str
    """Where to send RTP; may be a name."""
    port: int
    rtcp_port: int = 0
    """Where to send RTCP, 0 for ``port`` + 1 or multiplexed."""
    dtmf_payload_type: int | None = None
    cn_payload_type: int | None = None
    direction: Direction = "sendrecv"
    """Ours: ``sendonly`` means we send and they do not."""
    is_held: bool = False
    """The peer does not want to hear us: it put us on hold."""
    ptime_ms: int = 20
    rtcp_mux: bool = False
    crypto_send: Crypto | None = None
    crypto_receive: Crypto | None = None
    protocol: str = "RTP/AVP"
    media_index: int = 0

    @property
    def send(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receive(self) -> bool:
        return self.direction in ("sendrecv", "recvonly")


def make_offer(
    address: str,
    port: int,
    codecs: tuple[Format, ...],
    *,
    session: SessionId,
    dtmf: bool = True,
    dtmf_payload_type: int = DTMF_PAYLOAD_TYPE,
    direction: Direction = "sendrecv",
    srtp: tuple[Crypto, ...] = (),
    ptime_ms: int = 20,
    rtcp_mux: bool = False,
    shape: Session | bytes | None = None,
    protocol: str = "",
    attributes: tuple[str, ...] = (),
) -> bytes:
    """Our offer of one audio stream.

    ``shape``: the last description of either side in this dialog, so that a later offer keeps the number and order
    of its media lines (RFC 3264 section 8). ``protocol``: empty for RTP/AVP, or RTP/SAVP with ``srtp``.
    """
    formats = _with_dtmf(codecs, dtmf_payload_type) if dtmf else codecs
    audio = format_media(
        port,
        formats,
        protocol=protocol or ("RTP/SAVP" if srtp else "RTP/AVP"),
        direction=direction,
        ptime_ms=ptime_ms,
        rtcp_mux=rtcp_mux,
        crypto=srtp,
        attributes=attributes,
    )
    head = format_head(address, session)
    previous = parse(shape) if isinstance(shape, bytes) else shape
    if previous is None or not previous.media:
        return (head + audio).encode()
    index = _find_audio(previous, even_declined=True)
    if index is None:
        sections = [format_rejected(media) for media in previous.media] + [audio]
    else:
        sections = [audio if at == index else format_rejected(media) for at, media in enumerate(previous.media)]
    return (head + "".join(sections)).encode()


def answer_offer(
    offer: Session,
    address: str,
    port: int,
    codecs: tuple[Format, ...],
    *,
    session: SessionId,
    direction: Direction = "sendrecv",
    srtp: tuple[Crypto, ...] = (),
    require_srtp: bool = False,
    rtcp_mux: bool = True,
    follow_offer: bool = False,
    single: bool = True,
    attributes: tuple[str, ...] = (),
) -> Agreed:
    """Our answer, with ``sdp`` filled in.

    ``codecs`` are ours by preference; ``follow_offer`` takes the peer's order instead. ``single``: answer with the
    best format alone, so that nobody changes format in mid-call. ``srtp``: our keys, one per suite we speak; which is
    used depends on the offer. Raises ``NegotiationError``.
    """
    index = _find_audio(offer)
    if index is None:
        raise NegotiationError("no audio stream offered")
    media = offer.media[index]
    common = _match(media, codecs, follow_offer)
    if not common:
        raise NegotiationError(f"no common codec in {', '.join(media.payloads)}")
    if single:
        common = common[:1]
    theirs, ours = _choose_crypto(media, srtp)
    if media.is_secure and ours is None and not attributes:
        raise NegotiationError("no common SRTP suite")
    if require_srtp and not media.is_secure:
        raise NegotiationError("SRTP is required")
    event = _find_dtmf(media, common[0])
    mine = _intersect(direction, media)
    formats = common + ((event,) if event else ())
    mux = rtcp_mux and media.rtcp_mux
    ptime = _choose_ptime(media)
    section = format_media(
        port,
        formats,
        protocol=media.protocol,
        direction=mine,
        ptime_ms=ptime,
        rtcp_mux=mux,
        crypto=(ours,) if ours else (),
        mid=media.mid,
        attributes=attributes,
    )
    body = "".join(section if at == index else format_rejected(item) for at, item in enumerate(offer.media))
    return Agreed(
        sdp=(format_head(address, session) + body).encode(),
        codecs=common,
        address=media.address,
        port=media.port,
        rtcp_port=media.rtcp_port,
        dtmf_payload_type=event.payload_type if event else None,
        cn_payload_type=_find_cn(media),
        direction=mine,
        is_held=_is_hold(media),
        ptime_ms=ptime,
        rtcp_mux=mux,
        crypto_send=ours,
        crypto_receive=theirs,
        protocol=media.protocol,
        media_index=index,
    )


def read_answer(offer: Session | bytes, answer: Session | bytes) -> Agreed:
    """What the peer's ``answer`` to our ``offer`` comes to. Raises ``NegotiationError`` or ``SdpError``."""
    ours = parse(offer) if isinstance(offer, bytes) else offer
    theirs = parse(answer) if isinstance(answer, bytes) else answer
    index = _find_audio(ours)
    if index is None:
        raise NegotiationError("our offer had no audio")
    if len(theirs.media) <= index:
        raise NegotiationError("answer with fewer media lines than the offer")
    media, local = theirs.media[index], ours.media[index]
    if media.kind != local.kind or media.port == 0:
        raise NegotiationError("audio declined")
    if media.protocol.replace("SAVPF", "SAVP").replace("AVPF", "AVP") != local.protocol.replace(
        "SAVPF", "SAVP"
    ).replace("AVPF", "AVP"):
        raise NegotiationError(f"answer in {media.protocol} to an offer of {local.protocol}")
    common = tuple(
        item
        for item in media.formats
        if item.name not in (DTMF, "CN") and any(_is_same(item, mine) for mine in local.formats)
    )
    if not common:
        raise NegotiationError(f"no common codec in {', '.join(media.payloads)}")
    send_key, receive_key = None, None
    if local.cryptos:
        receive_key = next(
            (
                item
                for item in media.cryptos
                for mine in local.cryptos
                if (item.tag, item.suite) == (mine.tag, mine.suite)
            ),
            None,
        )
        if receive_key is None:
            raise NegotiationError("answer without a key of ours")
        send_key = next(mine for mine in local.cryptos if mine.tag == receive_key.tag)
    event = _find_dtmf(media, common[0]) if any(item.name == DTMF for item in local.formats) else None
    return Agreed(
        codecs=common,
        address=media.address,
        port=media.port,
        rtcp_port=media.rtcp_port,
        dtmf_payload_type=event.payload_type if event else None,
        cn_payload_type=_find_cn(media),
        direction=_intersect(local.direction, media),
        is_held=_is_hold(media),
        ptime_ms=_choose_ptime(media),
        rtcp_mux=local.rtcp_mux and media.rtcp_mux,
        crypto_send=send_key,
        crypto_receive=receive_key,
        protocol=media.protocol,
        media_index=index,
    )


def is_hold(description: Session | bytes) -> bool:
    """Whether the sender of this description does not want to hear us. False where it cannot be read."""
    try:
        session = parse(description) if isinstance(description, bytes) else description
    except SdpError:
        return False
    index = _find_audio(session)
    return index is not None and _is_hold(session.media[index])


def _with_dtmf(codecs: tuple[Format, ...], payload_type: int) -> tuple[Format, ...]:
    taken = {item.payload_type for item in codecs}
    number = payload_type
    if number in taken:
        number = next(free for free in range(96, 128) if free not in taken)
    return (*codecs, Format(DTMF, number, 8000, 1, DTMF_EVENTS))


def _find_audio(session: Session, even_declined: bool = False) -> int | None:
    """The audio line to use: the first that is alive; ``even_declined``: else the first at all."""
    lines = [index for index, media in enumerate(session.media) if media.kind == "audio" and "RTP/" in media.protocol]
    alive = [index for index in lines if session.media[index].port]
    return next(iter(alive or (lines if even_declined else [])), None)


def _is_same(one: Format, other: Format) -> bool:
    if one.name != other.name or one.clock_rate != other.clock_rate:
        return False
    # Opus is always announced with two channels (RFC 7587 section 7), whatever some senders write.
    return one.channels == other.channels or one.name == "OPUS"


def _match(media: Media, codecs: tuple[Format, ...], follow_offer: bool) -> tuple[Format, ...]:
    """Common formats, with the payload types of the offer (RFC 3264 section 6.1)."""
    if follow_offer:
        return tuple(item for item in media.formats if any(_is_same(item, mine) for mine in codecs))
    found = []
    for mine in codecs:
        same = next((item for item in media.formats if _is_same(item, mine)), None)
        if same is not None:
            found.append(msgspec.structs.replace(same, fmtp=mine.fmtp or same.fmtp) if mine.fmtp else same)
    return tuple(found)


def _find_dtmf(media: Media, codec: Format) -> Format | None:
    """telephone-event at the codec's clock rate, else at 8000 Hz (RFC 4733 section 2.4.1)."""
    events = [item for item in media.formats if item.name == DTMF]
    for clock_rate in (codec.clock_rate, 8000):
        for item in events:
            if item.clock_rate == clock_rate:
                return msgspec.structs.replace(item, fmtp=DTMF_EVENTS)
    return None


def _find_cn(media: Media) -> int | None:
    return next((item.payload_type for item in media.formats if item.name == "CN" and item.clock_rate == 8000), None)


def _is_hold(media: Media) -> bool:
    return media.direction in ("sendonly", "inactive") or media.address in NOWHERE


def _intersect(wanted: Direction, media: Media) -> Direction:
    """Our direction: what we want, as far as the peer's direction allows it."""
    send = wanted in ("sendrecv", "sendonly") and not _is_hold(media)
    receive = wanted in ("sendrecv", "recvonly") and media.direction in ("sendrecv", "sendonly")
    return "sendrecv" if send and receive else "sendonly" if send else "recvonly" if receive else "inactive"


def _choose_ptime(media: Media) -> int:
    """What the peer wants to receive, within 10-60 ms; 20 where it does not say."""
    wanted = media.ptime_ms or 20
    if media.max_ptime_ms:
        wanted = min(wanted, media.max_ptime_ms)
    return min(60, max(10, wanted - wanted % 10))


def _choose_crypto(media: Media, keys: tuple[Crypto, ...]) -> tuple[Crypto | None, Crypto | None]:
    """(the peer's key, ours under the same tag) of the first suite offered that we speak (RFC 4568 section 5.1.2)."""
    if not media.is_secure:
        return None, None
    for theirs in media.cryptos:
        for mine in keys:
            if mine.suite == theirs.suite:
                return theirs, Crypto(mine.suite, mine.key, theirs.tag)
    return None, None
