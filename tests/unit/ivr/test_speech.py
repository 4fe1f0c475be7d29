# ruff: noqa: E501 (tables read better in long lines)
"""Spoken forms in English and 普通话."""

import pytest

from pbx.ivr.speech import find_language, language, speech_functions


@pytest.mark.parametrize(
    ("form", "value", "english", "chinese"),
    [
        ("number", 0, "zero", "零"),
        ("number", 10, "ten", "十"),
        ("number", 12, "twelve", "十二"),
        ("number", 101, "one hundred and one", "一百零一"),
        ("number", 110, "one hundred and ten", "一百一十"),
        ("number", "10086", "ten thousand and eighty-six", "一万零八十六"),
        ("number", "120.50", "one hundred and twenty point five", "一百二十点五"),
        ("number", -13, "minus thirteen", "负十三"),
        ("count", 2, "two", "两"),
        ("count", 12, "twelve", "十二"),
        ("ordinal", 3, "third", "第三"),
        ("digits", "0120#", "zero one two zero pound", "零 一 二 零 井号"),
        ("phone", "13800138000", "one three eight, zero zero one three, eight zero zero zero", "幺三八，零零幺三，八零零零"),
        ("phone", "10086", "one zero zero eight six", "幺零零八六"),
        ("phone", "+8613800138000", "plus eight six, one three eight, zero zero one three, eight zero zero zero", "加八六，幺三八，零零幺三，八零零零"),
        ("spell", "aB-9", "A, B, dash, nine", "A，B，杠，九"),
        ("money", 120.5, "one hundred and twenty yuan and fifty fen", "一百二十元五角"),
        ("money", "2", "two yuan", "两元"),
        ("money", 3.05, "three yuan and five fen", "三元零五分"),
        ("money", 0.2, "twenty fen", "两角"),
        ("money", 0, "zero yuan", "零元"),
        ("money", -1.99, "minus one yuan and ninety-nine fen", "负一元九角九分"),
        ("money", "1,200", "one thousand two hundred yuan", "一千二百元"),
        ("date", "2026-11-22", "Sunday, November twenty-second, twenty twenty-six", "二零二六年十一月二十二日，星期日"),
        ("date", "20260101", "Thursday, January first, twenty twenty-six", "二零二六年一月一日，星期四"),
        ("time", "14:05", "two oh five p.m.", "下午两点零五分"),
        ("time", "00:00:30", "midnight", "凌晨零点整"),
        ("time", "12:00", "noon", "中午十二点整"),
        ("time", "2026-11-22T21:30:00+08:00", "nine thirty p.m.", "晚上九点三十分"),
        ("datetime", "2026-11-22 08:15", "Sunday, November twenty-second, twenty twenty-six at eight fifteen a.m.", "二零二六年十一月二十二日，星期日，上午八点十五分"),
        ("duration", 125, "two minutes and five seconds", "两分钟五秒"),
        ("duration", 90061, "one day, one hour, one minute and one second", "一天一小时一分钟一秒"),
        ("duration", 0, "zero seconds", "零秒"),
    ],
)  # fmt: skip
def test_form(form: str, value: object, english: str, chinese: str) -> None:
    assert speech_functions("en")[form](value) == english
    assert speech_functions("zh-CN")[form](value) == chinese


@pytest.mark.parametrize(
    ("currency", "value", "english", "chinese"),
    [("USD", 1, "one dollar", "一美元"), ("USD", 2.5, "two dollars and fifty cents", "二点五美元"), ("JPY", 1200.4, "one thousand two hundred yen", "一千二百点四日元")],
)  # fmt: skip
def test_currencies(currency: str, value: float, english: str, chinese: str) -> None:
    assert language("en").money(value, currency) == english
    assert language("zh").money(value, currency) == chinese


@pytest.mark.parametrize("tag", ["en", "zh"])
@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("number", "many"), ("number", None), ("number", "1e400"), ("number", 10**15), ("number", float("nan")), ("number", True),
        ("date", "22.11.2026"), ("date", "2026-02-30"), ("time", "25:00"), ("time", "noon"), ("duration", -1), ("spell", "x" * 65),
    ],
)  # fmt: skip
def test_refuses_what_cannot_be_said(tag: str, form: str, value: object) -> None:
    with pytest.raises(ValueError):
        speech_functions(tag)[form](value)


def test_unknown_currency() -> None:
    for tag in ("en", "zh"):
        with pytest.raises(ValueError, match="XXX"):
            language(tag).money(1, "XXX")


def test_unknown_language_is_spoken_in_english() -> None:
    assert (find_language("zh_TW"), find_language("fr")) == ("zh", "en")
