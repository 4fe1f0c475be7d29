"""Number patterns: what fits, what overlaps, what covers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.core.patterns import NumberPattern


def parse(text: str) -> NumberPattern:
    return NumberPattern.parse(text)


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("1001", ["1001"], ["100", "10011", "1002"]),
        ("+86X.", ["+8612", "+860123456789"], ["+86", "+861", "86123"]),
        ("0!", ["0", "0123", "0*#"], ["1", ""]),
        ("NXZ", ["201", "999"], ["101", "120", "200"]),
        ("[2-46]5", ["25", "35", "45", "65"], ["55", "15"]),
        ("*7[89]", ["*78", "*79"], ["*77", "078"]),
        ("/^00[1-9]\\d+$/", ["00441"], ["000441", "0044x"]),
        ("/1|22/", ["1", "22"], ["2", "122"]),
    ],
)
def test_matches(pattern: str, fits: list[str], does_not: list[str]) -> None:
    assert all(parse(pattern).matches(number) for number in fits)
    assert not any(parse(pattern).matches(number) for number in does_not)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "1+",
        "[",
        "[]",
        "[a]",
        "[3-1]",
        "[1-",
        ".1",
        "1.2",
        "/(/",
        "/(a+)+/",
        "/(a)\\1/",
        "9" * 101,
        "١٢",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


ELEMENTS = st.sampled_from(["0", "1", "X", "Z", "N", "[0-1]", "[12]"])
PATTERNS = st.builds(
    lambda elements, tail: "".join(elements) + tail,
    st.lists(ELEMENTS, max_size=3),
    st.sampled_from(["", ".", "!"]),
).filter(bool)

NUMBERS = ["".join(digits) for size in range(1, 6) for digits in itertools.product("0123", repeat=size)]


@given(PATTERNS, PATTERNS)
def test_overlap_and_cover_agree_with_trying_every_number(a: str, b: str) -> None:
    first, second = parse(a), parse(b)
    in_first = {number for number in NUMBERS if first.matches(number)}
    in_second = {number for number in NUMBERS if second.matches(number)}
    assert first.overlaps(second) == second.overlaps(first)
    assert first.overlaps(second) == bool(in_first & in_second)
    if first.covers(second):
        assert in_second <= in_first
    elif in_second <= in_first:
        # Only ranges beyond the digits tried here, or * and #, can make the difference.
        assert any(symbol in b for symbol in "XZN.!")


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_a_value_error(text: str) -> None:
    try:
        pattern = parse(text)
    except ValueError:
        return
    assert str(pattern) == text.strip()
    pattern.matches("123")
    assert pattern.overlaps(pattern) or pattern.is_expression
    assert pattern.covers(pattern)


def test_specificity_orders_routes() -> None:
    texts = ["/1.*/", ".", "+.", "+86X.", "+8610X.", "+8610XX", "+861055"]
    assert sorted(texts, key=lambda text: parse(text).specificity) == texts
