"""Reading and writing session descriptions."""

import pytest

from pbx import sdp

HEAD = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def test_static_payload_types_need_no_rtpmap() -> None:
    media = sdp.parse(HEAD + b"m=audio 4000 RTP/AVP 0 8 9 18 96\r\n").media[0]
    assert [(item.name, item.clock_rate) for item in media.formats] == [
        ("PCMU", 8000),
        ("PCMA", 8000),
        ("G722", 8000),
        ("G729", 8000),
    ]


def test_rtpmap_overrides_and_fmtp_is_kept() -> None:
    media = sdp.parse(
        HEAD + b"m=audio 4000 RTP/AVP 0 111\r\na=rtpmap:0 L16/16000\r\na=rtpmap:111 opus/48000/2\r\n"
        b"a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp:4444 IN IP4 192.0.2.1\r\na=maxptime:40\r\n"
    ).media[0]
    assert media.formats[0].name == "L16" and media.formats[0].clock_rate == 16000
    assert media.formats[1].channels == 2 and media.formats[1].fmtp == "minptime=10;useinbandfec=1"
    assert media.rtcp_port == 4444 and media.max_ptime_ms == 40


def test_lines_may_end_in_lf_alone_and_trail_off() -> None:
    assert sdp.parse(HEAD.replace(b"\r\n", b"\n") + b"m=audio 4000 RTP/AVP 0\n\n").media[0].port == 4000


def test_media_level_address_wins() -> None:
    text = HEAD + b"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\nm=audio 4002 RTP/AVP 0\r\n"
    assert [media.address for media in sdp.parse(text).media] == ["2001:db8::7", "192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "v=0"),
        (b"v=1\r\n", "v=0"),
        (b"v=0\r\ns=-\r\n", "o="),
        (b"v=0\r\no=- 1 IN IP4 192.0.2.1\r\n", "six fields"),
        (HEAD + b"m=audio\r\n", "line 6"),
        (HEAD + b"m=audio 99999 RTP/AVP 0\r\n", "bad port"),
        (HEAD + b"c=IN IP5 192.0.2.1\r\n", "IP4"),
        (HEAD + b"c=IN IP4 <script>\r\n", "bad address"),
        (HEAD + b"nonsense\r\n", "x=value"),
        (b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n", "without c="),
        (HEAD + b"m=audio 4000 RTP/AVP 0\r\n" * 17, "too many"),
        (HEAD + b"a=x\r\n" * 900, "lines"),
        (HEAD + b"a=" + b"x" * 40000 + b"\r\n", "bytes"),
    ],
)
def test_what_cannot_be_read_says_why(text: bytes, why: str) -> None:
    with pytest.raises(sdp.SdpError, match=why):
        sdp.parse(text)


def test_serialise_is_the_inverse_of_parse() -> None:
    text = HEAD + (
        b"m=audio 4000 RTP/AVP 111 0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=sendonly\r\n"
        b"m=video 0 RTP/AVP 97\r\n"
    )
    session = sdp.parse(text)
    again = sdp.parse(sdp.serialise(session))
    assert again.media[0].formats == session.media[0].formats
    assert again.media[0].direction == "sendonly"
    assert [media.port for media in again.media] == [4000, 0]


@pytest.mark.parametrize(
    "line",
    [
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        b"a=crypto:1 NOPE inline:" + b"A" * 40,
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"|2^20|1:4",
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b" UNENCRYPTED_SRTP",
        b"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40,
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***",
        b"a=crypto:1",
    ],
)
def test_keys_we_cannot_use_are_passed_over(line: bytes) -> None:
    good = b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + b"A" * 40 + b"|2^20\r\n"
    media = sdp.parse(HEAD + b"m=audio 4000 RTP/SAVP 0\r\n" + line + b"\r\n" + good).media[0]
    assert [(item.tag, item.suite, len(item.key)) for item in media.cryptos] == [(2, "AES_CM_128_HMAC_SHA1_32", 30)]
