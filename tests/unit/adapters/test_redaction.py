"""Numbers of callers do not get into logs, and nothing else is hidden."""

import pytest

from pbx.adapters.redaction import hide_numbers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+8613800138000", "***000"),
        ("sip:+8613800138000@192.0.2.1:5060", "sip:***000@192.0.2.1:5060"),
        ("from 01055550100 to 1001", "from ***100 to 1001"),
        ("call-0012345678abcdef", "call-0012345678abcdef"),
        ("1234567890123456", "1234567890123456"),
        ("192.0.2.1", "192.0.2.1"),
        (1234567890, 1234567890),
        (["13800138000", {"caller": "13800138000"}], ["***000", {"caller": "***000"}]),
        (None, None),
    ],
)
def test_numbers_are_hidden(value: object, shown: object) -> None:
    assert hide_numbers(None, "info", {"event": "x", "value": value}) == {"event": "x", "value": shown}
