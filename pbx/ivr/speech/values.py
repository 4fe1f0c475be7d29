"""Reading the values that are spoken: amounts, dates, times and seconds, as data sources give them."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DIGITS = 64


def read_decimal(value: Any) -> Decimal:
    """A finite number below 10**15. Raises ValueError."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a number")
    try:
        number = Decimal(str(value).strip().replace(",", ""))
    except InvalidOperation:
        raise ValueError("this is not a number") from None
    if not number.is_finite() or abs(number) >= 10**15:
        raise ValueError("the number is too large to be said")
    return number


def read_date(value: Any) -> date:
    """``2026-11-22``, ``20261122`` or an ISO date and time. Raises ValueError."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    try:
        return date.fromisoformat(text[:10] if "-" in text else text[:8])
    except ValueError:
        raise ValueError("this is not a date") from None


def read_time(value: Any) -> time:
    """``14:05``, ``14:05:30`` or an ISO date and time. Raises ValueError."""
    if isinstance(value, datetime):
        return value.time()
    if isinstance(value, time):
        return value
    text = re.split(r"[T ]", str(value).strip())[-1]
    match = re.match(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text)
    if not match:
        raise ValueError("this is not a time of day")
    try:
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        raise ValueError("this is not a time of day") from None


def read_seconds(value: Any) -> tuple[int, int, int, int]:
    """Days, hours, minutes and seconds of a number of seconds, rounded. Raises ValueError."""
    total = int(read_decimal(value).to_integral_value())
    if total < 0:
        raise ValueError("a duration cannot be negative")
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds


def read_text(value: Any) -> str:
    """Text of at most 64 characters, without what cannot be said. Raises ValueError."""
    text = "" if value is None else str(value).strip()
    if len(text) > MAX_DIGITS:
        raise ValueError(f"more than {MAX_DIGITS} characters are not spelled out")
    return text


def split_phone(text: str) -> tuple[bool, list[str]]:
    """Whether a number is international, and its digits in spoken groups (mainland mobiles 3-4-4)."""
    plus = text.startswith("+")
    digits = re.sub(r"[^0-9*#]", "", text)
    if plus and digits.startswith("86") and len(digits) == 13:
        return True, ["86", digits[2:5], digits[5:9], digits[9:]]
    if len(digits) == 11 and digits.startswith("1"):
        return plus, [digits[:3], digits[3:7], digits[7:]]
    size = len(digits) if len(digits) <= 6 else 4 if len(digits) % 4 == 0 else 3
    groups = [digits[i : i + size] for i in range(0, len(digits), size or 1)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = ["".join(groups[-2:])]
    return plus, groups
