"""Spoken forms of numbers, money, dates and the like: one module per language, found by its tag.

A spoken form is plain text for the synthesiser: words where an engine would guess (``1200`` as a year or an amount,
``10086`` as a number or digits), in the order and with the measure words people use. A further language is a module
with the functions of :class:`Language` and one row of ``MODULES``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, cast

MODULES: dict[str, str] = {
    # language: module
    "en": "pbx.ivr.speech.en",
    "zh": "pbx.ivr.speech.zh",
}


class Language(Protocol):
    """What a language module offers; every function takes plain data and returns text to be spoken.

    All raise ValueError for what they cannot read.
    """

    def number(self, value: Any) -> str:
        """A cardinal number: 120 as *one hundred and twenty*."""
        ...

    def count(self, value: Any) -> str:
        """How many, before what is counted: Chinese says 两条留言, not 二条留言."""
        ...

    def ordinal(self, value: Any) -> str: ...

    def digits(self, value: Any) -> str:
        """One after the other: card and reference numbers."""
        ...

    def phone(self, value: Any) -> str:
        """A telephone number in the groups people say it in."""
        ...

    def spell(self, value: Any) -> str:
        """Letters and digits one by one."""
        ...

    def money(self, value: Any, currency: str = "CNY") -> str: ...

    def date(self, value: Any) -> str:
        """Of ``2026-11-22`` or an ISO date and time."""
        ...

    def time(self, value: Any) -> str:
        """Of ``14:05``, ``14:05:30`` or an ISO date and time."""
        ...

    def datetime(self, value: Any) -> str: ...

    def duration(self, value: Any) -> str:
        """Of seconds: *two minutes and five seconds*."""
        ...


def find_language(tag: str) -> str:
    """The language module's name for a tag like ``zh-CN``; English where there is none."""
    base = tag.replace("_", "-").split("-")[0].lower()
    return base if base in MODULES else "en"


@lru_cache(maxsize=16)
def language(tag: str) -> Language:
    """The module that speaks ``tag``."""
    return cast(Language, import_module(MODULES[find_language(tag)]))


@lru_cache(maxsize=16)
def speech_functions(tag: str) -> dict[str, Callable[..., Any]]:
    """The functions of ``tag``'s module by the names templates use."""
    module = language(tag)
    names = ("count", "date", "datetime", "digits", "duration", "money", "number", "ordinal", "phone", "spell", "time")
    return {name: getattr(module, name) for name in names}
