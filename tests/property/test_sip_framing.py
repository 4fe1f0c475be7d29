"""Framing does not depend on how the network cut the stream, and nothing makes it raise or grow."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sip.framing import Framed, FramingLimits, StreamFramer

bodies = st.binary(max_size=80)
pieces = st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=60)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    parts, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        parts.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return parts


def make_message(body: bytes) -> bytes:
    return b"INFO sip:a SIP/2.0\r\nCall-ID: \xe4\xbd\xa0\r\nl: %d\r\n\r\n" % len(body) + body


@settings(deadline=None)
@given(st.lists(bodies, max_size=6), pieces, st.integers(min_value=0, max_value=3))
def test_chunking_does_not_matter(contents: list[bytes], sizes: list[int], pings: int) -> None:
    messages = [make_message(body) for body in contents]
    stream = (b"\r\n\r\n" * pings).join([b"", *messages])
    framer = StreamFramer()
    got: list[bytes] = []
    for part in cut(stream, sizes):
        got += framer.receive(part, 0.0).messages
    assert got == messages
    assert not framer.failure
    assert framer.unfinished_since is None


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([b"\r\n", b"\r", b"l: 5\r\n", b"A", b"\r\n\r\n"]))))
def test_garbage_neither_raises_nor_grows(parts: list[bytes]) -> None:
    limits = FramingLimits(max_message=400, max_head=300)
    framer = StreamFramer(limits)
    for part in parts:
        framed = framer.receive(part, 0.0)
        assert isinstance(framed, Framed)
        assert all(0 < len(message) <= limits.max_message + limits.max_head for message in framed.messages)
        assert len(framer._buffer) <= limits.max_message + limits.max_head + 200
