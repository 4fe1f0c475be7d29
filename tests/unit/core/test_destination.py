"""Destinations as they are written, and names that do not exist."""

import pytest

from pbx.core.destination import Destination, parse_destination
from pbx.core.references import References, suggest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("queue:support", Destination("queue", "support")),
        (" extension: 1001 ", Destination("extension", "1001")),
        ("number:+8613800000000", Destination("number", "+8613800000000")),
        ("hangup", Destination("hangup", "normal")),
        ("hangup:busy", Destination("hangup", "busy")),
        ("park", Destination("park", "")),
        ("park:701", Destination("park", "701")),
    ],
)
def test_parse(text: str, expected: Destination) -> None:
    assert parse_destination(text) == expected
    assert parse_destination(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "1001", "queue", "queue:", "queue:a b", "quue:a", "hangup:loud", "number:abc", "flow:主"]
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_destination(text)


def test_missing() -> None:
    known = References(queues=frozenset({"support"}), extensions=frozenset({"1001"}), flows=frozenset({"main"}))
    assert known.find_missing(parse_destination("queue:support")) is None
    assert known.find_missing(parse_destination("number:110")) is None
    assert known.find_missing(parse_destination("hangup:busy")) is None
    assert known.find_missing(parse_destination("park")) is None
    assert known.find_missing(parse_destination("queue:suport")) == (
        "there is no queue 'suport'",
        "did you mean 'support'?",
    )
    assert known.find_missing(parse_destination("group:all")) == ("there is no ring group 'all'", "")
    assert known.find_missing(parse_destination("voicemail:1001")) == (
        "extension 1001 has no voice mailbox",
        "add 'voicemail: yes' to 1001",
    )


def test_suggestions() -> None:
    assert suggest("suport", ["sales", "support"]) == "did you mean 'support'?"
    assert suggest("x", ["sales", "support"]) == "there are: sales, support"
    assert suggest("x", []) == ""
    assert suggest("x", map(str, range(20))) == ""
