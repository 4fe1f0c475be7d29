"""Patterns of telephone numbers, and what two of them have to do with each other.

``X`` is any digit, ``Z`` 1-9, ``N`` 2-9, ``[2-4]`` one of a set, ``.`` at the end one or more of anything that can
be dialled, ``!`` at the end any number of it; everything else stands for itself. ``/.../`` is a regular expression
that has to match the whole number.
"""

from __future__ import annotations

import re

SYMBOLS = "0123456789+*#"
"""Everything a number can consist of."""
MAX_LENGTH = 100

_CLASSES = {"X": frozenset("0123456789"), "Z": frozenset("123456789"), "N": frozenset("23456789")}
_ANY = frozenset(SYMBOLS)
_NESTED_REPEAT = re.compile(r"[+*}]\)?[+*{]|\([^)]*[+*}][^)]*\)[+*{]|\\[1-9]")
_EXPECTED = "digits, + at the start, *, #, X, Z, N, [2-4], and . or ! at the end, or /a regular expression/"


class NumberPattern:
    """One compiled pattern; equal when written alike."""

    __slots__ = ("_regex", "_steps", "_tail", "text")

    def __init__(
        self, text: str, regex: re.Pattern[str] | None, steps: tuple[frozenset[str], ...] | None, tail: bool
    ) -> None:
        self.text = text
        self._regex = regex
        self._steps = steps
        self._tail = tail

    @classmethod
    def parse(cls, text: str) -> NumberPattern:
        """Raises ValueError saying what was expected."""
        text = text.strip()
        if not 0 < len(text) <= MAX_LENGTH:
            raise ValueError(f"a number pattern has 1 to {MAX_LENGTH} characters")
        if len(text) > 2 and text[0] == text[-1] == "/":
            return cls(text, compile_expression(text[1:-1]), None, False)
        steps, tail = _read_steps(text)
        return cls(text, None, steps, tail)

    def matches(self, number: str) -> bool:
        """Whether the whole of ``number`` fits. Numbers over 64 characters never do."""
        if len(number) > 64:
            return False
        if self._regex is not None:
            return self._regex.fullmatch(number) is not None
        steps = self._steps or ()
        length = len(steps)
        if len(number) != length and not (self._tail and len(number) > length):
            return False
        for symbol, step in zip(number, steps, strict=False):
            if symbol not in step:
                return False
        return length == len(number) or _ANY.issuperset(number[length:])

    @property
    def is_exact(self) -> bool:
        """One number and no other."""
        return self._steps is not None and not self._tail and all(len(step) == 1 for step in self._steps)

    @property
    def is_expression(self) -> bool:
        """A regular expression: what it covers cannot be told."""
        return self._steps is None

    @property
    def specificity(self) -> tuple[int, int, int]:
        """Larger is more specific: exact numbers, then longer fixed beginnings, then more symbols; expressions last."""
        if self._steps is None:
            return (0, 0, 0)
        fixed = next((i for i, step in enumerate(self._steps) if len(step) > 1), len(self._steps))
        return (2 if self.is_exact else 1, fixed, len(self._steps) * 2 - self._tail)

    def overlaps(self, other: NumberPattern) -> bool:
        """Whether some number fits both. Of expressions only the same text, or an exact number, is recognised."""
        if self._steps is None or other._steps is None:
            if self.text == other.text:
                return True
            exact, rest = (self, other) if self.is_exact else (other, self)
            return exact.is_exact and rest.matches(exact.text)
        shorter, longer = sorted((self, other), key=lambda pattern: len(pattern._steps or ()))
        a, b = shorter._steps or (), longer._steps or ()
        if len(a) < len(b) and not shorter._tail:
            return False
        return all(left & right for left, right in zip(a, b, strict=False))

    def covers(self, other: NumberPattern) -> bool:
        """Whether every number that fits ``other`` fits this one."""
        if self._steps is None or other._steps is None:
            return self.text == other.text or (other.is_exact and self.matches(other.text))
        a, b = self._steps, other._steps
        if len(a) > len(b) or (len(a) < len(b) and not self._tail) or (other._tail and not self._tail):
            return False
        return all(left >= right for left, right in zip(a, b, strict=False))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"NumberPattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumberPattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def compile_expression(expression: str) -> re.Pattern[str]:
    """A regular expression from a configuration. Raises ValueError for one that could run for ever."""
    if _NESTED_REPEAT.search(expression):
        raise ValueError(
            "this expression repeats a repetition or refers back: expected one without, as it could run for ever"
        )
    try:
        return re.compile(expression, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"this is no regular expression ({error})") from None


def _read_steps(text: str) -> tuple[tuple[frozenset[str], ...], bool]:
    steps: list[frozenset[str]] = []
    position = 0
    while position < len(text):
        symbol = text[position]
        if symbol == "[":
            end = text.find("]", position)
            if end < 0:
                raise ValueError(f"'[' is never closed in {text!r}: expected {_EXPECTED}")
            steps.append(_read_set(text[position + 1 : end], text))
            position = end
        elif symbol in _CLASSES:
            steps.append(_CLASSES[symbol])
        elif symbol in ".!":
            if position != len(text) - 1:
                raise ValueError(f"{symbol!r} stands in the middle of {text!r}: expected it only at the end")
            if symbol == ".":
                steps.append(_ANY)
            return tuple(steps), True
        elif symbol in SYMBOLS and not (symbol == "+" and position):
            steps.append(frozenset(symbol))
        else:
            raise ValueError(f"{symbol!r} cannot stand in {text!r}: expected {_EXPECTED}")
        position += 1
    return tuple(steps), False


def _read_set(inside: str, text: str) -> frozenset[str]:
    found: set[str] = set()
    position = 0
    while position < len(inside):
        if position + 2 < len(inside) and inside[position + 1] == "-":
            low, high = inside[position], inside[position + 2]
            if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit() and low <= high):
                raise ValueError(f"{inside[position : position + 3]!r} is no range of digits in {text!r}")
            found.update(str(digit) for digit in range(int(low), int(high) + 1))
            position += 3
        elif inside[position] in SYMBOLS:
            found.add(inside[position])
            position += 1
        else:
            raise ValueError(
                f"{inside[position]!r} cannot stand in [] in {text!r}: expected digits, *, # or ranges of digits"
            )
    if not found:
        raise ValueError(f"an empty [] in {text!r} fits nothing")
    return frozenset(found)
