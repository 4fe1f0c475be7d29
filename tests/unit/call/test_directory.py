"""Names spelled on the keys of a phone."""

import pytest

from pbx.call.directory import find_names, spell

NAMES = {
    "1": "张伟",
    "2": "曾国藩",
    "3": "吕布",
    "4": "Maria Gómez",
    "5": "单 Tom",
    "6": "李娜 (Sales)",
    "7": "—",
    "8": "Wu",
}
_GROUPS = zip("23456789", "abc def ghi jkl mno pqrs tuv wxyz".split(), strict=True)
_KEYS = {letter: key for key, letters in _GROUPS for letter in letters}


def on_keys(letters: str) -> str:
    return "".join(_KEYS[letter] for letter in letters)


@pytest.mark.parametrize(
    ("letters", "number"),
    [
        ("zhangwei", "1"), ("zha", "1"), ("wei", "1"), ("zw", "1"),
        ("zengguofan", "2"), ("cengguo", "2"), ("zgf", "2"), ("guofan", "2"),
        ("lvbu", "3"), ("lubu", "3"), ("lb", "3"),
        ("maria", "4"), ("gomez", "4"), ("mariagomez", "4"), ("mg", "4"),
        ("shantom", "5"), ("dantom", "5"), ("tom", "5"), ("st", "5"),
        ("lina", "6"), ("sales", "6"), ("lns", "6"), ("wu", "8"),
    ],
)  # fmt: skip
def test_found_by(letters: str, number: str) -> None:
    assert number in find_names(NAMES, on_keys(letters))


@pytest.mark.parametrize("letters", ["zhangwen", "hang", "mariab", "xyz"])
def test_not_found_by(letters: str) -> None:
    assert find_names(NAMES, on_keys(letters)) == []


def test_readings_that_multiply_are_bounded() -> None:
    assert len(spell("乐单曾解仇行长还得重" * 3)) <= 64 * 31
    assert spell("") == frozenset()
