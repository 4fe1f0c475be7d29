"""Spoken English, by num2words and babel; what they lack is here."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from pbx.ivr.speech.values import read_date, read_decimal, read_seconds, read_text, read_time, split_phone

_DIGITS = {
    **dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    "*": "star",
    "#": "pound",
    "+": "plus",
    "-": "dash",
    ".": "dot",
    "@": "at",
    "/": "slash",
    "_": "underscore",
}
_MONEY: dict[str, tuple[str, str, str, str]] = {
    # currency: unit, units, part, parts
    "CNY": ("yuan", "yuan", "fen", "fen"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "JPY": ("yen", "yen", "", ""),
}


@lru_cache(maxsize=4096)
def _words(value: Decimal, to: str = "cardinal") -> str:
    from num2words import num2words  # imported late: it loads every language it has

    whole = int(value) if value == value.to_integral_value() else value
    return str(num2words(whole, lang="en", to=to)).replace(",", "")


def number(value: Any) -> str:
    return _words(read_decimal(value))


def count(value: Any) -> str:
    return number(value)


def ordinal(value: Any) -> str:
    amount = read_decimal(value)
    if amount != amount.to_integral_value() or amount < 0:
        raise ValueError("only whole numbers have an ordinal")
    return _words(amount, "ordinal")


def digits(value: Any) -> str:
    return " ".join(_DIGITS.get(c, c) for c in read_text(value) if not c.isspace())


def phone(value: Any) -> str:
    plus, groups = split_phone(read_text(value))
    return ("plus " if plus else "") + ", ".join(digits(group) for group in groups)


def spell(value: Any) -> str:
    return ", ".join(_DIGITS.get(c, c.upper()) for c in read_text(value) if not c.isspace())


def money(value: Any, currency: str = "CNY") -> str:
    amount = read_decimal(value)
    if currency not in _MONEY:
        raise ValueError(f"the currency {currency!r} is not known")
    unit, units, part, parts = _MONEY[currency]
    places = Decimal("0.01") if part else Decimal(1)
    amount = amount.quantize(places, ROUND_HALF_UP)
    whole, cents = int(abs(amount)), int(abs(amount) % 1 * 100)
    words = [f"{number(whole)} {unit if whole == 1 else units}"] if whole or not cents else []
    if cents:
        words.append(f"{number(cents)} {part if cents == 1 else parts}")
    return ("minus " if amount < 0 else "") + " and ".join(words)


def date(value: Any) -> str:
    from babel.dates import format_date

    day = read_date(value)
    year = _words(Decimal(day.year), "year")
    return f"{format_date(day, 'EEEE, MMMM', locale='en')} {ordinal(day.day)}, {year}"


def time(value: Any) -> str:
    at = read_time(value)
    hour = at.hour % 12 or 12
    half = "a.m." if at.hour < 12 else "p.m."
    if at.minute == 0:
        return "midnight" if at.hour == 0 else "noon" if at.hour == 12 else f"{number(hour)} {half}"
    minute = f"oh {number(at.minute)}" if at.minute < 10 else number(at.minute)
    return f"{number(hour)} {minute} {half}"


def datetime(value: Any) -> str:
    return f"{date(value)} at {time(value)}"


def duration(value: Any) -> str:
    parts = [
        f"{number(count)} {unit}{'' if count == 1 else 's'}"
        for count, unit in zip(read_seconds(value), ("day", "hour", "minute", "second"), strict=True)
        if count
    ]
    if not parts:
        return "zero seconds"
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
