"""What is refused or answered at the edges of number patterns and YAML."""

import pytest

from pbx.core.patterns import NumberPattern
from pbx.core.yaml_tree import parse_yaml


def test_a_number_that_is_too_long_fits_nothing() -> None:
    assert NumberPattern.parse("1!").matches("1" * 64)
    assert not NumberPattern.parse("1!").matches("1" * 65)


def test_an_expression_is_compared_by_its_text_or_with_one_number() -> None:
    expression, same = NumberPattern.parse("/1|22/"), NumberPattern.parse("/1|22/")
    assert expression.overlaps(same) and expression.covers(same)
    for number, fits in (("22", True), ("23", False)):
        exact = NumberPattern.parse(number)
        assert expression.overlaps(exact) is exact.overlaps(expression) is expression.covers(exact) is fits
    assert not expression.overlaps(NumberPattern.parse("2X"))
    assert not NumberPattern.parse("2X").covers(expression)
    assert expression.specificity < NumberPattern.parse("X!").specificity


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("a: 1\nb: !thing 2\n", 2, "the tag '!thing' means nothing here", ""),
        ("a: 1\n? [1, 2]\n: 3\n", 2, "a list or mapping cannot be a key", ""),
        ("a: b: c\n", 1, "mapping values are not allowed", "quote the text"),
        ("a:\n\t- b\n", 2, "this is not YAML", "spaces, not with tabs"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int, message: str, hint: str) -> None:
    _, problems = parse_yaml(text, "f.yaml")
    assert [problem.line for problem in problems] == [line]
    assert message in problems[0].message and hint in problems[0].hint


def test_own_keys_win_over_merged_ones() -> None:
    root, problems = parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n", "f.yaml")
    assert problems == [] and root is not None
    assert root.plain()["b"] == {"x": "3", "y": "2"}


def test_the_key_of_a_list_item_is_the_item() -> None:
    root, _ = parse_yaml("list:\n- a\n- b\n", "f.yaml")
    assert root is not None
    assert root.key_mark(("list", 1))[1:3] == (3, 3)
