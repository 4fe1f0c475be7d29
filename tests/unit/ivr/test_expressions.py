"""The expression language: what it computes, and how it refuses the rest."""

from typing import Any

import pytest

from pbx.ivr.expressions import BASE_FUNCTIONS, Expression, ExpressionError, Template, read_literal

SCOPE: dict[str, Any] = {
    "balance": 120.5,
    "card": "0123",
    "rows": [{"plate": "京A12345", "fee": 5}],
    "call": {"caller": "13800138000", "data": {}},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("balance > 100 and card == '0123'", True),
        ("rows[0].fee * 2", 10),
        ("rows[7].fee", None),
        ("call.data.tier", None),
        ("call.data.tier.more", None),
        ("nothing | default('x') | upper", "X"),
        ("'yes' if len(card) == 4 else 'no'", "yes"),
        ("card in ['0123', '0124']", True),
        ("not (balance < 1)", True),
        ("num(card) + 1", 124),
        ("num('abc', 0)", 0),
        ("card | last(2)", "23"),
        ("'6222021234567890' | mask", "************7890"),
        ("replace(card, '0', '9')", "9123"),
        ("-balance", -120.5),
        ("7 % 3", 1),
        ("min(3, 1, 2)", 1),
        ("{'a': 1}['a']", 1),
    ],
)
def test_value(source: str, value: object) -> None:
    assert Expression(source).evaluate(SCOPE, BASE_FUNCTIONS) == value


@pytest.mark.parametrize(
    ("source", "message", "offset"),
    [
        ("", "the expression is empty", 0),
        ("balance >", "this is not an expression", 9),
        ("  balance.lower()", "there are no methods, only functions", 2),
        ("1 + lengthy(card)", "there is no function 'lengthy': did you mean 'len'?", 4),
        ("[x for x in rows]", "ListComp is not part of the expression language", 0),
        ("lambda: 1", "Lambda is not part of the expression language", 0),
        ("2 ** 9", "the operator Pow is not part of the expression language", 0),
        ("f'{card}'", "JoinedStr is not part of the expression language", 0),
        ("b'x'", "only texts, numbers, True, False and None can be written", 0),
        ("余额 + open('x')", "there is no function 'open'", 5),
        ("card | 3", "after | comes the name of a function", 7),
        ("min(**call)", "** is not part of the expression language", 0),
        ("[" + "1," * 400 + "1]", "the expression has more than 300 parts", 0),
        ("(" * 30 + "-" * 60 + "1" + ")" * 30, "the expression is nested deeper than 40", 0),
        ("x" * 3000, "the expression is longer than 2000 characters", 0),
    ],
)
def test_refused_when_read(source: str, message: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression(source)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(
    "source",
    [
        "unknown + 1",
        "card + 1",
        "card > 5",
        "balance / 0",
        "card.length",
        "'a' * 100000",
        "10000000000000000000 * 10000000000000000000",
        "num('abc')",
        "'%s' % card",
        "max()",
        "replace('a' * 9000, '', 'b' * 9000)",
        "replace('a' * 9000, 'a', 'bbbbbbbbbb')",
        "join(rows, 'a' * 19000) + join([card, card], 'a' * 19999)",
        "rows['x'].y[0] + 1",
    ],
)
def test_fails_with_one_kind_of_error(source: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(source).evaluate(SCOPE, BASE_FUNCTIONS)


@pytest.mark.parametrize("name", ["__class__", "__globals__", "_secret", "format", "keys"])
def test_attributes_reach_data_only(name: str) -> None:
    assert Expression(f"call.{name}").evaluate(SCOPE, BASE_FUNCTIONS) is None
    with pytest.raises(ExpressionError):
        Expression(f"card.{name}").evaluate(SCOPE, BASE_FUNCTIONS)


def test_names_read() -> None:
    assert Expression("a.b + len(c) if d[e] else 'f'").names == {"a", "c", "d", "e"}


def test_template() -> None:
    template = Template("{{ card | mask(2) }} has {{ balance }} left, {{nothing}}.")
    assert template.render(SCOPE, BASE_FUNCTIONS) == "**23 has 120.5 left, ."
    assert template.names == {"card", "balance", "nothing"}
    assert Template("{{ rows }}").value(SCOPE, BASE_FUNCTIONS) == SCOPE["rows"]
    assert Template("").render({}, {}) == ""


def test_template_error_names_its_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        Template("Your {{ balance }} and {{ balance + }}")
    assert caught.value.offset == 35
    with pytest.raises(ExpressionError, match="{{ without }}"):
        Template("Your {{ balance")


def test_literal_holds_no_expression() -> None:
    assert Template.literal("{{ 1 + 1 }}").render({}, {}) == "{{ 1 + 1 }}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-2.5", -2.5),
        ("0123", "0123"),
        ("true", True),
        ("on", "on"),
        ("6222021234567890", "6222021234567890"),
    ],
)
def test_read_literal(text: str, value: object) -> None:
    assert read_literal(text) == value
    assert type(read_literal(text)) is type(value)
