"""RFC 4475 and RFC 5118 messages on a stream: the same messages come out however the network cuts them."""

from __future__ import annotations

import pytest

from pbx.sip.framing import StreamFramer

from .sip_torture import RFC4475, RFC5118, Case

CASES = RFC4475 + RFC5118
SURVIVOR = b"OPTIONS sip:after SIP/2.0\r\nContent-Length: 0\r\n\r\n"
LENGTHS_LIE = {"clerr", "ncl", "mcl01"}
"""Cases whose Content-Length is wrong on purpose: on a stream that ends what follows."""


def frame(data: bytes, size: int) -> tuple[list[bytes], str]:
    framer = StreamFramer()
    messages: list[bytes] = []
    for at in range(0, len(data), size):
        messages += framer.receive(data[at : at + size], 0.0).messages
    return messages, framer.failure


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pieces_make_no_difference(case: Case) -> None:
    whole = frame(case.data + SURVIVOR, 1_000_000)
    for size in (1, 2, 7, 64, 1460):
        assert frame(case.data + SURVIVOR, size) == whole


@pytest.mark.parametrize("case", [c for c in CASES if c.name not in LENGTHS_LIE], ids=lambda case: case.name)
def test_what_comes_out_is_what_went_in_and_the_stream_goes_on(case: Case) -> None:
    messages, failure = frame(case.data + SURVIVOR, 100)
    assert not failure
    assert b"".join(messages) == case.data + SURVIVOR
    assert messages[-1] == SURVIVOR


def test_a_length_beyond_the_message_waits_for_the_rest() -> None:
    case = next(case for case in CASES if case.name == "clerr")
    framer = StreamFramer()
    assert framer.receive(case.data, 3.0).messages == ()
    assert framer.unfinished_since == 3.0


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_an_impossible_length_is_answered_and_ends_the_stream(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    messages, failure = frame(case.data + SURVIVOR, 50)
    assert len(messages) == 1
    assert case.data.startswith(messages[0])
    assert failure == "bad Content-Length"


def test_two_requests_in_one_piece_are_two() -> None:
    case = next(case for case in CASES if case.name == "dblreq")
    messages, failure = frame(case.data + SURVIVOR, 100)
    assert [message.partition(b" ")[0] for message in messages] == [b"REGISTER", b"INVITE", b"OPTIONS"]
    assert not failure
