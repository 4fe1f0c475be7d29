"""Cutting streams into messages."""

from __future__ import annotations

import pytest

from pbx.sip.framing import PING, PONG, Framed, FramingLimits, StreamFramer


def make_message(body: bytes = b"", length: bytes | None = None, name: bytes = b"Content-Length") -> bytes:
    value = str(len(body)).encode() if length is None else length
    return b"MESSAGE sip:a@b SIP/2.0\r\nCall-ID: x\r\n" + name + b": " + value + b"\r\n\r\n" + body


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"L", b"l", b"l \t"])
def test_messages_of_one_piece(name: bytes) -> None:
    one, two = make_message(b"hello", name=name), make_message()
    framer = StreamFramer()
    assert framer.receive(one + two + one[:10], 1.0) == Framed((one, two))
    assert framer.unfinished_since == 1.0
    assert framer.receive(one[10:], 2.0) == Framed((one,))
    assert framer.unfinished_since is None


def test_byte_by_byte() -> None:
    message = make_message(b"hello\r\n\r\n")
    framer = StreamFramer()
    for byte in message[:-1]:
        assert framer.receive(bytes([byte]), 1.0) == Framed()
    assert framer.receive(message[-1:], 5.0).messages == (message,)


def test_folded_length_and_no_length() -> None:
    folded = make_message(b"hello", b"\r\n  5")
    bare = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x\r\n\r\n"
    assert StreamFramer().receive(folded + bare, 0.0).messages == (folded, bare)


def test_length_in_another_header_or_in_the_body_does_not_count() -> None:
    message = b"MESSAGE sip:a SIP/2.0\r\nSubject: l: 9999\r\nX-Content-Length: 7\r\nl: 11\r\n\r\nlength: 500"
    assert StreamFramer().receive(message, 0.0).messages == (message,)


def test_ping_is_answered_once_per_piece_and_stray_newlines_are_ignored() -> None:
    framer, message = StreamFramer(), make_message()
    assert framer.receive(PING, 0.0) == Framed(ping=True)
    assert framer.receive(PING * 50 + message, 0.0) == Framed((message,), ping=True)
    assert framer.receive(b"\r\n" + message, 0.0) == Framed((message,))
    assert framer.receive(b"\r\n", 0.0) == Framed()
    assert framer.unfinished_since is None
    assert framer.receive(b"\r", 0.0) == Framed()
    assert framer.receive(b"\n", 0.0) == Framed(ping=True)


def test_pong_to_our_ping() -> None:
    framer = StreamFramer()
    framer.note_ping()
    assert framer.receive(PONG, 0.0) == Framed(pong=True)
    assert framer.receive(PONG, 0.0) == Framed()


@pytest.mark.parametrize("length", [b"-1", b"five", b"", b"1 2", b"0x5", b"99999999999", b"5\r\nl: 6"])
def test_bad_length_is_delivered_for_its_400_and_ends_the_stream(length: bytes) -> None:
    framer, message = StreamFramer(), make_message(b"", length)
    assert framer.receive(message + b"rest", 0.0).messages == (message,)
    assert framer.failure == "bad Content-Length"
    assert framer.receive(make_message(), 0.0) == Framed()


def test_equal_lengths_given_twice_agree() -> None:
    message = make_message(b"hello", b"5\r\nl: 5")
    assert StreamFramer().receive(message, 0.0).messages == (message,)


def test_too_long_is_refused_before_it_is_read() -> None:
    framer = StreamFramer(FramingLimits(max_message=1000))
    message = make_message(b"", b"5000")
    assert framer.receive(message, 0.0).messages == (message,)
    assert framer.failure == "message too long"


def test_endless_head_is_bounded() -> None:
    framer = StreamFramer(FramingLimits(max_head=1000))
    for _ in range(200):
        framer.receive(b"X: yyyyyy\r\n", 0.0)
    assert framer.failure == "head too long"


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"\x00\x00", b"{json}", b" INVITE", b"\xff" * 9])
def test_what_is_not_sip_ends_the_stream(garbage: bytes) -> None:
    framer = StreamFramer()
    assert framer.receive(garbage, 0.0) == Framed()
    assert framer.failure == "not SIP"
