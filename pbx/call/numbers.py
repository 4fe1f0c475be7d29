"""How telephone numbers are written on each side of a trunk."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers

from pbx.config.model import Rewriting

_FORMATS = {
    "e164": phonenumbers.PhoneNumberFormat.E164,
    "e164_without_plus": phonenumbers.PhoneNumberFormat.E164,
    "national": phonenumbers.PhoneNumberFormat.NATIONAL,
    "international": phonenumbers.PhoneNumberFormat.E164,
}


def rewrite(number: str, rewriting: Rewriting, country: str) -> str:
    """``number`` as ``rewriting`` wants it: its first fitting rule, then its form.

    ``country`` (ISO 3166) reads numbers without a country code. A number that is no valid subscriber's number there
    (a short code, an extension) keeps its writing.
    """
    for rule in rewriting.rules:
        match = rule.match.fullmatch(number)
        if match:
            number = match.expand(rule.replace)
            break
    return number if rewriting.form == "as_is" else _formatted(number, rewriting.form, country)


def to_e164(number: str, country: str) -> str:
    """``number`` with its country code, as somebody in ``country`` would dial it; what is no such number stays."""
    return _formatted(number, "e164", country)


@lru_cache(maxsize=4096)
def _formatted(number: str, form: str, country: str) -> str:
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_possible_number(parsed) or len(number) < 6:
        return number
    written = phonenumbers.format_number(parsed, _FORMATS[form])
    if form == "e164_without_plus":
        return written[1:]
    if form == "international":
        return "00" + written[1:]
    if form == "national":
        return "".join(symbol for symbol in written if symbol.isdigit())
    return written


def country_of(number: str, country: str) -> str:
    """ISO 3166 country that ``number`` belongs to, dialled from ``country``; empty when it cannot be told."""
    return _country(number, country)


@lru_cache(maxsize=4096)
def _country(number: str, country: str) -> str:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, country)) or ""
    except phonenumbers.NumberParseException:
        return ""
