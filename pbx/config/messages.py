"""Pydantic's errors in our words: what was found, what was expected, and where."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pbx.config.base import KEY
from pbx.core.problems import Problem
from pbx.core.references import suggest
from pbx.core.yaml_tree import Node

Loc = tuple[str | int, ...]

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_parsing": "yes or no",
    "bool_type": "yes or no",
    "string_type": "text",
    "mapping_type": "a mapping, one 'key: value' a line",
    "dict_type": "a mapping, one 'key: value' a line",
    "model_type": "a mapping, one 'key: value' a line",
    "model_attributes_type": "a mapping, one 'key: value' a line",
    "tuple_type": "a list",
    "list_type": "a list",
    "ip_any_address": "an IP address",
    "path_type": "a path",
    "url_parsing": "a URL",
    "url_scheme": "a URL beginning with http:// or https://",
    "url_type": "a URL",
    "too_short": "at least one entry",
    "string_too_short": "some text",
    "recursion_loop": "less depth",
}

_PATTERNS = {
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$": "a name of letters, digits, '_', '-' and '.', at most 64",
    r"^[0-9]{1,12}$": "1 to 12 digits",
    r"^[0-9*#]{1,8}$": "1 to 8 digits, * and #",
    r"^\+?[0-9*#]{1,20}$": "a telephone number of at most 20 digits, with + in front if it has a country code",
    r"^[0-9*#]*$": "digits",
    r"^\+?[0-9*#]*$": "digits",
    r"^[0-9*#]$": "one key: 0-9, * or #",
    r"^[0-9]{1,2}$": "1 or 2 digits",
    r"^[0-9]{1,3}$": "1 to 3 digits",
    r"^[A-Z]{2}$": "a country code of two capital letters, such as CN",
    r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$": "a language tag such as en or zh",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "the name of an environment variable",
    r"^(unix:.+|tcp:.+:\d+)?$": "unix:PATH or tcp:HOST:PORT",
    r"^(sqlite:///.+|postgresql://[^:@/]*@?[^@]*)?$": (
        "sqlite:///PATH, or postgresql://USER@HOST/DATABASE without a password"
    ),
    r"^postgresql://[^:@/]*@?[^@]*$": "postgresql://USER@HOST/DATABASE without a password",
    r"^\$argon2id\$.+$": "an Argon2id hash, made by 'tandem password'",
    r"^[0-9a-fA-F]{32}$": "32 hexadecimal digits",
    r"^[0-9a-fA-F]{64}$": "64 hexadecimal digits",
    r'^[^"\\\s]{1,100}$': "1 to 100 characters without spaces, quotes and backslashes",
}

_SECRET_FIELDS = {"password_hash", "md5", "sha256", "url"}
"""Where people put secrets: what stands there is not repeated."""


def explain(error: ErrorDetails, root: type[BaseModel], tree: Node) -> Problem | None:
    """One error of validating ``tree`` by ``root`` as a problem with its place; None if another error says the same."""
    context: dict[str, Any] = error.get("ctx", {})
    loc = place_of(error)
    kind = error["type"]
    if kind == "missing":
        return _explain_missing(loc, tree)
    if kind == "extra_forbidden":
        return _explain_unknown(loc, root, tree)
    if tree.find(loc) is None and _is_key_field(root, loc):
        return None
    loc = _as_written(loc, tree)
    is_key = error["loc"][-1:] == ("[key]",)
    mark = tree.key_mark(loc) if is_key else tree.mark_of(loc)
    node = tree.find(loc)
    if kind == "too_short" and node and node.value:
        return None  # what is in the list was refused already
    secret = bool(context.get("secret")) or (bool(loc) and loc[-1] in _SECRET_FIELDS)
    if kind == "tandem":
        message = context["message"]
        if message.startswith("this is") or is_key:
            message = f"{_found(loc, node, is_key, secret)}: {message}"
        elif isinstance(node and node.value, str) and not secret:
            message = f"{spell(loc)}: {message}"
        expected, hint = context["expected"], context["hint"]
    else:
        message = _found(loc, node, is_key, secret)
        expected, hint = _expect(kind, context, error["msg"]), ""
        if kind == "literal_error" and node and isinstance(node.value, str):
            guess = suggest(node.value, _words(context["expected"]))
            hint = guess if guess.startswith("did you mean") else ""
    return Problem(mark.file, mark.line, mark.column, message, expected, hint, mark.length, secret=secret)


def place_of(error: ErrorDetails) -> Loc:
    """Where the models found it; what stands in the file may be shorter."""
    context: dict[str, Any] = error.get("ctx", {})
    return tuple(step for step in error["loc"] if step != "[key]") + tuple(context.get("at", ()))


def _as_written(loc: Loc, tree: Node) -> Loc:
    """Without the steps that a short form leaves out: `numbers_in: [...]` has no `rules`, `10%` no `percent`."""
    node, found = tree, []
    for step in loc:
        inner = node.child(step)
        if inner is not None:
            node = inner
            found.append(step)
    return tuple(found)


def spell(loc: Loc) -> str:
    """``queues.support.widening[0]``, as the file says it: routes.yaml has no key `routes`."""
    text = ""
    for step in loc[1:] if loc[:1] == ("routes",) and len(loc) > 1 else loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _found(loc: Loc, node: Node | None, is_key: bool, secret: bool) -> str:
    name = spell(loc)
    if is_key:
        return f"the key {str(loc[-1])!r} of {spell(loc[:-1]) or 'the file'} is not allowed"
    if secret:
        return f"{name} is not right"
    if node is None:
        return f"{name} is not right"
    if node.value is None:
        return f"{name} is empty"
    if isinstance(node.value, dict):
        return f"{name} is a mapping"
    if isinstance(node.value, list):
        return f"{name} is a list" if node.value else f"{name} is an empty list"
    return f"{name} is {node.value[:80]!r}"


def _expect(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "literal_error" | "enum":
            return " or ".join(", ".join(_words(context["expected"])).rsplit(", ", 1))
        case "string_pattern_mismatch":
            return _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
        case "greater_than_equal":
            return f"at least {_number(context['ge'])}"
        case "greater_than":
            return f"more than {_number(context['gt'])}"
        case "less_than_equal":
            return f"at most {_number(context['le'])}"
        case "less_than":
            return f"less than {_number(context['lt'])}"
        case "string_too_long":
            return f"at most {context['max_length']} characters"
    return _EXPECTED.get(kind, message[:1].lower() + message[1:])


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(expected: str) -> list[str]:
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _explain_missing(loc: Loc, tree: Node) -> Problem:
    mark = tree.mark_of(loc[:-1])
    if len(loc) > 1 and isinstance(loc[-2], str):
        mark = tree.key_mark(loc[:-1])
    where = spell(loc[:-1]) or "the file"
    return mark.problem(f"{where} lacks {str(loc[-1])!r}", f"the key {str(loc[-1])!r}")


def _explain_unknown(loc: Loc, root: type[BaseModel], tree: Node) -> Problem:
    model = model_at(root, loc[:-1])
    key = str(loc[-1])
    names = [name for name, info in model.model_fields.items() if info.json_schema_extra != KEY] if model else []
    where = spell(loc[:-1]) or "the file"
    guess = suggest(key, names)
    if model and key in model.model_fields:
        guess = "it is the key that the item stands under: remove this line"
    hint = guess if not guess.startswith("there are") else ""
    expected = f"one of {', '.join(names)}" if names and not hint else ""
    return tree.key_mark(loc).problem(f"unknown key {key!r} in {where}", expected, hint)


def _is_key_field(root: type[BaseModel], loc: Loc) -> bool:
    model = model_at(root, loc[:-1]) if loc else None
    info = model.model_fields.get(str(loc[-1])) if model else None
    return info is not None and info.json_schema_extra == KEY


def model_at(root: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model whose fields stand at ``loc``."""
    annotation: Any = root
    for step in loc:
        annotation = type_inside(annotation, step)
    annotation = bare_type(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def type_inside(annotation: Any, step: str | int) -> Any:
    """The type of what stands at ``step`` in a value of this type."""
    annotation = bare_type(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        info = annotation.model_fields.get(str(step))
        return info.annotation if info else None
    arguments = get_args(annotation)
    if isinstance(step, int):
        return arguments[0] if arguments else None
    return arguments[1] if len(arguments) == 2 else None


def bare_type(annotation: Any) -> Any:
    """Without Annotated and Optional."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            rest = [argument for argument in get_args(annotation) if argument is not type(None)]
            annotation = rest[0]
        else:
            return annotation
