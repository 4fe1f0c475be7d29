"""Expressions and templates of flows: Python's expression syntax, evaluated by simpleeval on plain data only.

No code is run: the syntax tree is checked when a flow is loaded (known node kinds, functions and sizes), and walked at
run time. ``a.b`` and ``a[b]`` read plain data and give None where there is nothing; there are no methods. ``x | f(y)``
is ``f(x, y)``, so that templates read as people know them: ``{{ balance | money }}``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from simpleeval import InvalidExpression, SimpleEval, safe_add, safe_mult

MAX_SOURCE = 2000
"""Characters of one expression."""
MAX_NODES = 300
MAX_DEPTH = 40
MAX_TEXT = 20_000
"""Characters of a rendered template."""
MAX_INTEGER = 10**30

Functions = Mapping[str, Callable[..., Any]]
Scope = Mapping[str, Any]

_ALLOWED = (
    ast.Expression,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.UnaryOp,
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Call,
    ast.keyword,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)
_CONSTANTS = (str, int, float, bool, type(None))


class ExpressionError(ValueError):
    """An expression that cannot be read or evaluated."""

    def __init__(self, message: str, offset: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        """Characters from the start of the text that holds the expression."""
        self.length = length


def _plus(left: Any, right: Any) -> Any:
    return _bounded(safe_add(left, right))


def _times(left: Any, right: Any) -> Any:
    return _bounded(safe_mult(left, right))


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        raise TypeError("% wants numbers")
    return left % right


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise InvalidExpression("the number is too large")
    if isinstance(value, str | list | tuple) and len(value) > MAX_TEXT:
        raise InvalidExpression("the value is too long")
    return value


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: _plus,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _modulo,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, holder: item in holder,
    ast.NotIn: lambda item, holder: item not in holder,  # codespell:ignore notin
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class _Evaluator(SimpleEval):  # type: ignore[misc]  # simpleeval ships no types
    """Walks a checked tree; reads of plain data that is not there give None.

    Not simpleeval's class for compound types: that one adds functions to the mapping it is given, and comprehensions.
    """

    def __init__(self, functions: Functions, scope: Scope) -> None:
        super().__init__(operators=_OPERATORS, functions=functions, names=scope)
        self.nodes[ast.List] = self._eval_list
        self.nodes[ast.Tuple] = self._eval_list
        self.nodes[ast.Dict] = self._eval_dict

    def _eval_list(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self._eval(item) for item in node.elts]

    def _eval_dict(self, node: ast.Dict) -> dict[Any, Any]:
        if None in node.keys:
            raise InvalidExpression("** is not part of the expression language")
        return {self._eval(key): self._eval(value) for key, value in zip(node.keys, node.values, strict=True)}

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        holder = self._eval(node.value)
        if holder is None or isinstance(holder, Mapping):
            return holder.get(node.attr) if holder else None
        raise InvalidExpression(f"there is no .{node.attr} in a {_kind(holder)}")

    def _eval_subscript(self, node: ast.Subscript) -> Any:
        holder = self._eval(node.value)
        key = self._eval(node.slice)
        if holder is None:
            return None
        try:
            return holder[key]
        except (KeyError, IndexError):
            return None


def _kind(value: Any) -> str:
    names: dict[type, str] = {str: "text", int: "number", float: "number", bool: "truth value", list: "list"}
    return names.get(type(value), type(value).__name__)


# --- functions every expression has -----------------------------------------------------------------------------


def to_number(value: Any, default: Any = None) -> Any:
    """``value`` as a number; ``default`` (or an error without one) where it is none."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    text = str(value).strip()
    if re.fullmatch(r"[+-]?\d{1,30}", text):
        return int(text)
    if re.fullmatch(r"[+-]?\d{1,20}\.\d{1,20}", text):
        return float(text)
    if default is None:
        raise InvalidExpression("this is not a number")
    return default


def to_text(value: Any) -> str:
    """``value`` as it stands in a text: None is empty, whole floats lose their ``.0``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _length(value: Any) -> int:
    return 0 if value is None else len(value)


def _whole(value: Any) -> int:
    return int(to_number(value))


def _rounded(value: Any, places: int = 0) -> Any:
    return round(to_number(value), places) if places else round(to_number(value))


def _replaced(value: Any, old: str, new: str) -> str:
    text, old, new = to_text(value), to_text(old), to_text(new)
    if not old or len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise InvalidExpression("the value is too long")
    return text.replace(old, new)


def _joined(items: Any, between: Any = "") -> str:
    texts, middle = [to_text(item) for item in items or []], to_text(between)
    if sum(map(len, texts)) + len(texts) * len(middle) > MAX_TEXT:
        raise InvalidExpression("the value is too long")
    return middle.join(texts)


def _mask(value: Any, keep: int = 4) -> str:
    text = to_text(value)
    return "*" * max(0, len(text) - keep) + text[max(0, len(text) - keep) :]


BASE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": lambda x: abs(to_number(x)),
    "contains": lambda text, part: part in (text or ""),
    "default": lambda value, other: other if value is None or value == "" else value,
    "ends_with": lambda text, part: to_text(text).endswith(part),
    "int": _whole,
    "join": _joined,
    "last": lambda text, count: to_text(text)[-count:] if count > 0 else "",
    "first": lambda text, count: to_text(text)[: max(0, count)],
    "len": _length,
    "lower": lambda text: to_text(text).lower(),
    "mask": _mask,
    "max": lambda *values: max(*values),
    "min": lambda *values: min(*values),
    "num": to_number,
    "replace": _replaced,
    "round": _rounded,
    "starts_with": lambda text, part: to_text(text).startswith(part),
    "strip": lambda text: to_text(text).strip(),
    "text": to_text,
    "upper": lambda text: to_text(text).upper(),
}
SPEECH_FUNCTIONS = (
    "count",
    "date",
    "datetime",
    "digits",
    "duration",
    "money",
    "number",
    "ordinal",
    "phone",
    "spell",
    "time",
)
"""Given by the language in force (``pbx.ivr.speech``)."""
KNOWN_FUNCTIONS = frozenset(BASE_FUNCTIONS) | frozenset(SPEECH_FUNCTIONS)


# --- reading ----------------------------------------------------------------------------------------------------


class _Pipes(ast.NodeTransformer):
    """Turns ``x | f(y)`` into ``f(x, y)``."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        right = node.right
        if isinstance(right, ast.Name):
            call = ast.Call(func=right, args=[node.left], keywords=[])
        elif isinstance(right, ast.Call):
            call = ast.Call(func=right.func, args=[node.left, *right.args], keywords=right.keywords)
        else:
            raise ExpressionError("after | comes the name of a function", right.col_offset)
        return ast.copy_location(call, node)


def _check(tree: ast.AST, source: str) -> frozenset[str]:
    """Refuse what is not in the language; returns the names that are read."""
    names: set[str] = set()
    functions: set[int] = set()
    count = 0
    for node in ast.walk(tree):
        count += 1
        offset = _characters(source, getattr(node, "col_offset", 0))
        if count > MAX_NODES:
            raise ExpressionError(f"the expression has more than {MAX_NODES} parts")
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(f"{type(node).__name__} is not part of the expression language", offset)
        if isinstance(node, ast.operator | ast.unaryop | ast.cmpop) and type(node) not in _OPERATORS:
            raise ExpressionError(f"the operator {type(node).__name__} is not part of the expression language")
        if isinstance(node, ast.Constant) and not isinstance(node.value, _CONSTANTS):
            raise ExpressionError("only texts, numbers, True, False and None can be written", offset)
        if isinstance(node, ast.Call):
            _check_call(node, offset)
            functions.add(id(node.func))
        elif isinstance(node, ast.Name) and id(node) not in functions:
            names.add(node.id)
    return frozenset(names)


def _check_call(node: ast.Call, offset: int) -> None:
    if not isinstance(node.func, ast.Name):
        raise ExpressionError("there are no methods, only functions", offset)
    if node.func.id not in KNOWN_FUNCTIONS:
        near = _nearest(node.func.id, KNOWN_FUNCTIONS)
        tail = f": did you mean {near!r}?" if near else ""
        raise ExpressionError(f"there is no function {node.func.id!r}{tail}", offset, len(node.func.id))
    if any(keyword.arg is None for keyword in node.keywords):
        raise ExpressionError("** is not part of the expression language", offset)


def _nearest(word: str, words: frozenset[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, words, 1)), "")


def _characters(source: str, octets: int) -> int:
    """The syntax tree counts octets of UTF-8; people count characters."""
    return len(source.encode()[:octets].decode(errors="ignore"))


def _depth(node: ast.AST) -> int:
    level, nodes = 0, [node]
    while nodes:
        level += 1
        nodes = [child for parent in nodes for child in ast.iter_child_nodes(parent)]
    return level


class Expression:
    """One checked expression. ``Expression(text)`` raises :class:`ExpressionError`."""

    __slots__ = ("_tree", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        text = source.strip()
        lead = len(source) - len(source.lstrip())
        if not text:
            raise ExpressionError("the expression is empty")
        if len(source) > MAX_SOURCE:
            raise ExpressionError(f"the expression is longer than {MAX_SOURCE} characters")
        try:
            tree = ast.parse(text, mode="eval")
            if _depth(tree) > MAX_DEPTH:
                raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH}", lead)
            tree = ast.fix_missing_locations(_Pipes().visit(tree))
            self.names = _check(tree, text)
        except ExpressionError as error:
            raise ExpressionError(error.message, error.offset + lead, error.length) from None
        except SyntaxError as error:
            what = (error.msg or "unreadable").replace("invalid syntax", "this is not an expression")
            raise ExpressionError(what, lead + (error.offset - 1 if error.offset else len(text))) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"this is not an expression: {error}", lead) from None
        self._tree = tree.body

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, scope: Scope, functions: Functions) -> Any:
        """The value. Raises :class:`ExpressionError` for what cannot be computed."""
        try:
            return _Evaluator(functions, scope).eval(self.source, previously_parsed=self._tree)
        except ExpressionError:
            raise
        except InvalidExpression as error:
            raise ExpressionError(f"{self.source.strip()}: {getattr(error, 'message', error)}") from None
        except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
            raise ExpressionError(f"{self.source.strip()}: {error}") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": ["string", "number", "boolean"], "description": "an expression"}


_OPEN, _CLOSE = "{{", "}}"


class Template:
    """Text with ``{{ expressions }}`` in it. ``Template(text)`` raises :class:`ExpressionError`."""

    __slots__ = ("names", "parts", "source")

    def __init__(self, source: str) -> None:
        if len(source) > MAX_TEXT:
            raise ExpressionError(f"the text is longer than {MAX_TEXT} characters")
        self.source = source
        self.parts: tuple[str | Expression, ...] = tuple(_split(source))
        self.names: frozenset[str] = frozenset().union(*(p.names for p in self.parts if isinstance(p, Expression)))

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    @classmethod
    def literal(cls, text: str) -> Template:
        """Text in which nothing is an expression, wherever it comes from."""
        template = cls("")
        template.source, template.parts = text, (text,)
        return template

    @property
    def is_plain(self) -> bool:
        """True when there is nothing to compute."""
        return not any(isinstance(part, Expression) for part in self.parts)

    def render(self, scope: Scope, functions: Functions) -> str:
        """The text. Raises :class:`ExpressionError`."""
        texts = [p if isinstance(p, str) else to_text(p.evaluate(scope, functions)) for p in self.parts]
        text = "".join(texts)
        if len(text) > MAX_TEXT:
            raise ExpressionError(f"the text grew longer than {MAX_TEXT} characters")
        return text

    def value(self, scope: Scope, functions: Functions) -> Any:
        """As :meth:`render`, but a template that is one expression keeps its type, and a plain number is a number."""
        if len(self.parts) == 1:
            part = self.parts[0]
            return part.evaluate(scope, functions) if isinstance(part, Expression) else read_literal(part)
        return self.render(scope, functions)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": ["string", "number", "boolean"], "description": "text with {{ expressions }}"}


def read_literal(text: str) -> Any:
    """What a plain YAML scalar means as a value: 5 and 2.5 are numbers; 0123 and long digit strings stay text."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})\.\d{1,10}", text):
        return float(text)
    return text


def _split(source: str) -> Iterator[str | Expression]:
    at = 0
    while (start := source.find(_OPEN, at)) >= 0:
        if start > at:
            yield source[at:start]
        end = source.find(_CLOSE, start + 2)
        if end < 0:
            raise ExpressionError("{{ without }}", start, 2)
        try:
            yield Expression(source[start + 2 : end])
        except ExpressionError as error:
            raise ExpressionError(error.message, start + 2 + error.offset, error.length) from None
        at = end + 2
    if at < len(source) or not source:
        yield source[at:]
