"""How numbers are written on a trunk, and which country they belong to."""

from __future__ import annotations

import pytest

from pbx.call.numbers import country_of, rewrite
from pbx.config.trunks import Rewrite, Rewriting


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("as_is", "01055550101"),
        ("e164", "+861055550101"),
        ("e164_without_plus", "861055550101"),
        ("international", "00861055550101"),
        ("national", "01055550101"),
    ],
)
def test_forms(form: str, written: str) -> None:
    assert rewrite("01055550101", Rewriting.model_validate({"form": form}), "CN") == written


@pytest.mark.parametrize("number", ["110", "anonymous", "1001"])
def test_what_is_no_subscriber_keeps_its_writing(number: str) -> None:
    assert rewrite(number, Rewriting(form="e164"), "CN") == number


def test_the_first_fitting_rule_is_applied_before_the_form() -> None:
    rules = tuple(
        Rewrite.model_validate({"match": match, "replace": replace})
        for match, replace in (("9(.*)", r"\1"), ("901(.*)", r"+1\1"))
    )
    assert rewrite("901055550101", Rewriting(form="e164", rules=rules), "CN") == "+861055550101"


def test_countries() -> None:
    assert country_of("01055550101", "CN") == "CN"
    assert country_of("+442079460000", "CN") == "GB"
    assert country_of("nobody", "CN") == ""
