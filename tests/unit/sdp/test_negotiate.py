"""Offer and answer, RFC 3264 and RFC 4568."""

import pytest

from pbx import sdp
from pbx.sdp import Crypto, Format, NegotiationError, SessionId

PCMU, PCMA, G722 = Format("PCMU", 0), Format("PCMA", 8), Format("G722", 9)
OPUS = Format("OPUS", 96, 48000, 2)
SESSION = SessionId(77, 1)

PHONE_OFFER = b"""v=0\r
o=alice 1 1 IN IP4 192.0.2.10\r
s=-\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=video 6000 RTP/AVP 97\r
a=rtpmap:97 H264/90000\r
m=audio 5004 RTP/AVP 8 0 98 110\r
a=rtpmap:98 opus/48000/2\r
a=fmtp:98 useinbandfec=1\r
a=rtpmap:110 telephone-event/8000\r
a=fmtp:110 0-15\r
a=ptime:30\r
"""


def answer(offer: bytes, **options: object) -> sdp.Agreed:
    settings: dict = {"codecs": (PCMU, PCMA), "session": SESSION} | options
    return sdp.answer_offer(sdp.parse(offer), "198.51.100.1", 10000, settings.pop("codecs"), **settings)


def swap(offer: bytes, old: bytes, new: bytes) -> bytes:
    assert old in offer
    return offer.replace(old, new)


def test_own_preference_decides_and_other_streams_are_declined_in_place() -> None:
    agreed = answer(PHONE_OFFER)
    assert [codec.name for codec in agreed.codecs] == ["PCMU"]
    assert (agreed.address, agreed.port, agreed.ptime_ms) == ("192.0.2.10", 5004, 30)
    assert agreed.dtmf_payload_type == 110
    assert agreed.direction == "sendrecv" and not agreed.is_held
    reply = sdp.parse(agreed.sdp)
    assert [(media.kind, media.port) for media in reply.media] == [("video", 0), ("audio", 10000)]
    assert reply.media[1].payloads == ("0", "110")


def test_answer_can_follow_the_order_of_the_offer() -> None:
    agreed = answer(PHONE_OFFER, follow_offer=True, single=False)
    assert [codec.name for codec in agreed.codecs] == ["PCMA", "PCMU"]


def test_dynamic_payload_type_is_that_of_the_offer() -> None:
    agreed = answer(PHONE_OFFER, codecs=(OPUS, PCMU))
    assert (agreed.codecs[0].name, agreed.codecs[0].payload_type) == ("OPUS", 98)


@pytest.mark.parametrize(
    ("line", "direction", "held"),
    [
        (b"a=sendonly", "recvonly", True),
        (b"a=recvonly", "sendonly", False),
        (b"a=inactive", "inactive", True),
        (b"a=sendrecv", "sendrecv", False),
    ],
)
def test_direction_is_mirrored(line: bytes, direction: str, held: bool) -> None:
    agreed = answer(PHONE_OFFER + line + b"\r\n")
    assert (agreed.direction, agreed.is_held) == (direction, held)
    assert sdp.parse(agreed.sdp).media[1].direction == direction
    assert sdp.is_hold(PHONE_OFFER + line + b"\r\n") is held


def test_session_level_direction_counts_and_media_level_wins() -> None:
    session_level = swap(PHONE_OFFER, b"t=0 0\r\n", b"t=0 0\r\na=sendonly\r\n")
    assert answer(session_level).is_held
    assert not answer(session_level + b"a=sendrecv\r\n").is_held


def test_address_zero_is_hold_of_rfc_2543() -> None:
    agreed = answer(swap(PHONE_OFFER, b"c=IN IP4 192.0.2.10", b"c=IN IP4 0.0.0.0"))
    assert agreed.is_held and not agreed.send and agreed.receive


def test_our_own_hold_meets_theirs() -> None:
    assert answer(PHONE_OFFER + b"a=sendonly\r\n", direction="sendonly").direction == "inactive"


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(NegotiationError, match="no common codec"):
        answer(PHONE_OFFER, codecs=(G722,))
    with pytest.raises(NegotiationError, match="no audio"):
        answer(swap(PHONE_OFFER, b"m=audio 5004", b"m=audio 0"))


def test_offer_answer_round_trip_between_two_of_us() -> None:
    offer = sdp.make_offer("192.0.2.1", 4000, (PCMA, PCMU), session=SESSION)
    theirs = answer(offer)
    mine = sdp.read_answer(offer, theirs.sdp)
    assert [codec.name for codec in mine.codecs] == ["PCMU"]
    assert (mine.address, mine.port, mine.dtmf_payload_type) == ("198.51.100.1", 10000, 101)


def test_telephone_event_moves_out_of_the_way() -> None:
    offer = sdp.parse(sdp.make_offer("192.0.2.1", 4000, (Format("OPUS", 101, 48000, 2),), session=SESSION))
    assert offer.media[0].payloads == ("101", "96")


def test_later_offer_keeps_the_shape_of_the_session() -> None:
    first = answer(PHONE_OFFER)
    again = sdp.parse(sdp.make_offer("198.51.100.1", 10000, first.codecs, session=SessionId(77, 2), shape=first.sdp))
    assert [(media.kind, media.port) for media in again.media] == [("video", 0), ("audio", 10000)]
    assert again.version == "2" and again.session_id == "77"


def test_ipv6() -> None:
    offer = sdp.make_offer("2001:db8::1", 4000, (PCMU,), session=SESSION)
    assert b"c=IN IP6 2001:db8::1" in offer
    assert sdp.parse(offer).media[0].address == "2001:db8::1"


def test_sdes_keys_are_chosen_by_suite_and_cross_over() -> None:
    ours = (
        Crypto("AEAD_AES_256_GCM", b"o" * 44, 1),
        Crypto("AES_CM_128_HMAC_SHA1_80", b"p" * 30, 2),
    )
    offer = sdp.make_offer("192.0.2.1", 4000, (PCMU,), session=SESSION, srtp=ours)
    assert b"RTP/SAVP" in offer
    theirs = answer(offer, srtp=(Crypto("AES_CM_128_HMAC_SHA1_80", b"q" * 30),), require_srtp=True)
    assert theirs.crypto_receive == Crypto("AES_CM_128_HMAC_SHA1_80", b"p" * 30, 2)
    assert theirs.crypto_send == Crypto("AES_CM_128_HMAC_SHA1_80", b"q" * 30, 2)
    mine = sdp.read_answer(offer, theirs.sdp)
    assert mine.crypto_send == theirs.crypto_receive
    assert mine.crypto_receive == theirs.crypto_send
    assert "qqq" not in repr(theirs)


def test_secure_offer_without_our_suite_and_plain_offer_where_srtp_is_required() -> None:
    offer = sdp.make_offer("192.0.2.1", 4000, (PCMU,), session=SESSION, srtp=(Crypto("AEAD_AES_128_GCM", b"o" * 28),))
    with pytest.raises(NegotiationError, match="SRTP suite"):
        answer(offer, srtp=(Crypto("AES_CM_128_HMAC_SHA1_80", b"q" * 30),))
    with pytest.raises(NegotiationError, match="required"):
        answer(PHONE_OFFER, require_srtp=True)


def test_answers_that_do_not_fit_the_offer() -> None:
    offer = sdp.make_offer("192.0.2.1", 4000, (PCMU,), session=SESSION)
    declined = swap(answer(offer).sdp, b"m=audio 10000", b"m=audio 0")
    with pytest.raises(NegotiationError, match="declined"):
        sdp.read_answer(offer, declined)
    with pytest.raises(NegotiationError, match="fewer"):
        sdp.read_answer(offer, b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n")
    with pytest.raises(NegotiationError, match="RTP/SAVP"):
        sdp.read_answer(offer, swap(answer(offer).sdp, b"RTP/AVP", b"RTP/SAVP"))
    with pytest.raises(NegotiationError, match="no common codec"):
        sdp.read_answer(offer, swap(answer(offer).sdp, b"RTP/AVP 0 101", b"RTP/AVP 18 101"))
    with pytest.raises(NegotiationError, match="our offer"):
        sdp.read_answer(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n", answer(offer).sdp)


def test_answer_without_a_key_is_refused() -> None:
    offer = sdp.make_offer("192.0.2.1", 4000, (PCMU,), session=SESSION, srtp=(Crypto("AEAD_AES_128_GCM", b"o" * 28),))
    with pytest.raises(NegotiationError, match="key"):
        sdp.read_answer(offer, swap(offer, b"a=crypto:1", b"a=crypto:9"))


def test_rtcp_mux_and_mid_are_echoed_only_where_offered() -> None:
    plain = answer(PHONE_OFFER)
    assert not plain.rtcp_mux and b"rtcp-mux" not in plain.sdp
    muxed = answer(PHONE_OFFER + b"a=rtcp-mux\r\na=mid:a0\r\n")
    assert muxed.rtcp_mux and b"a=rtcp-mux" in muxed.sdp and b"a=mid:a0" in muxed.sdp
