"""Spoken 普通话, with cn2an for numbers; measure words, 两 and 零 as people say them are here."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pbx.ivr.speech.values import read_date, read_decimal, read_seconds, read_text, read_time, split_phone

_DIGITS = {
    **dict(zip("0123456789", "零一二三四五六七八九", strict=True)),
    "*": "星号",
    "#": "井号",
    "+": "加",
    "-": "杠",
    ".": "点",
    "@": "艾特",
    "/": "斜杠",
    "_": "下划线",
}
_MONEY = {"CNY": "元", "HKD": "港元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元"}
_WEEKDAYS = "一二三四五六日"


def number(value: Any) -> str:
    """120 is 一百二十, 0.5 is 零点五, -3 is 负三."""
    import cn2an  # imported late: a server without Chinese flows does not need it

    amount = read_decimal(value)
    whole = int(amount) if amount == amount.to_integral_value() else float(amount)
    words = str(cn2an.an2cn(whole, "low")) if whole else "零"
    return words.replace("一十", "十", 1) if words.startswith(("一十", "负一十")) else words


def counted(count: int, unit: str) -> str:
    """With a measure word: 两 for 2 (两分钟), 二 elsewhere (十二分钟)."""
    return ("两" if count == 2 else number(count)) + unit


def count(value: Any) -> str:
    words = number(value)
    return "两" if words == "二" else words


def ordinal(value: Any) -> str:
    return "第" + number(value)


def digits(value: Any) -> str:
    return " ".join(_DIGITS.get(c, c) for c in read_text(value) if not c.isspace())


def phone(value: Any) -> str:
    """1 is said 幺 in telephone numbers."""
    plus, groups = split_phone(read_text(value))
    spoken = ("".join("幺" if c == "1" else _DIGITS[c] for c in group) for group in groups)
    return ("加" if plus else "") + "，".join(spoken)


def spell(value: Any) -> str:
    return "，".join(_DIGITS.get(c, c.upper()) for c in read_text(value) if not c.isspace())


def money(value: Any, currency: str = "CNY") -> str:
    """120.5 is 一百二十元五角, 2 is 两元, 3.05 is 三元零五分; other currencies keep their decimals."""
    amount = read_decimal(value)
    if currency not in _MONEY:
        raise ValueError(f"the currency {currency!r} is not known")
    unit, sign = _MONEY[currency], "负" if amount < 0 else ""
    amount = abs(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))
    whole, cents = int(amount), int(amount % 1 * 100)
    if currency != "CNY":
        return sign + (f"{number(amount.normalize())}{unit}" if cents else counted(whole, unit))
    jiao, fen = divmod(cents, 10)
    words = counted(whole, unit) if whole or not cents else ""
    if jiao:
        words += counted(jiao, "角") if not whole else number(jiao) + "角"
    if fen:
        words += ("零" if whole and not jiao else "") + number(fen) + "分"
    return sign + words


def date(value: Any) -> str:
    day = read_date(value)
    year = "".join(_DIGITS[c] for c in str(day.year))
    return f"{year}年{number(day.month)}月{number(day.day)}日，星期{_WEEKDAYS[day.weekday()]}"


def time(value: Any) -> str:
    at = read_time(value)
    part = next(name for limit, name in _PARTS if at.hour < limit)
    hour = at.hour - 12 if at.hour > 12 else at.hour
    minute = "" if at.minute == 0 else ("零" if at.minute < 10 else "") + number(at.minute) + "分"
    return f"{part}{counted(hour, '点')}{minute or '整'}"


_PARTS = ((6, "凌晨"), (12, "上午"), (13, "中午"), (19, "下午"), (24, "晚上"))


def datetime(value: Any) -> str:
    return f"{date(value)}，{time(value)}"


def duration(value: Any) -> str:
    units = ("天", "小时", "分钟", "秒")
    words = [counted(count, unit) for count, unit in zip(read_seconds(value), units, strict=True) if count]
    return "".join(words) or "零秒"
