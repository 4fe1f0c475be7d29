"""The schema of a flow file, and how its errors are told with their place."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from pbx.core.problems import Problem
from pbx.core.yaml_tree import Mark, Node
from pbx.ivr.expressions import ExpressionError, Template
from pbx.ivr.options import NAME, OptionModel, TargetField, Texts, Values, Variable, described

Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class FlowModel(OptionModel):
    """One ``flow.yaml``."""

    title: Texts = described({}, "What the flow is for, or one text per language.", "流程的用途，可按语言给出。")
    language: str = described(
        "en", "Language spoken unless the caller's is known.", "默认语言。", pattern="^[a-z]{2}(-[A-Za-z]+)?$"
    )
    languages: tuple[str, ...] = described((), "All languages the flow speaks.", "流程支持的全部语言。", max_length=20)
    variables: Values = described({}, "Variables and their initial values.", "变量及其初值。", max_length=200)
    arguments: tuple[Variable, ...] = described(
        (), "Variables a calling flow gives.", "调用方传入的变量。", max_length=50
    )
    results: tuple[Variable, ...] = described(
        (), "Variables given back to a calling flow.", "返回给调用方的变量。", max_length=50
    )
    prompts: dict[Name, Any] = described(
        {}, "Prompts by name, each a text, pieces, or one per language.", "提示音。", max_length=500
    )
    start: str = described("", "First node; otherwise the first one written.", "起始节点，缺省为第一个。")
    on_error: TargetField | None = described(None, "Where to go when a step fails at run time.", "运行出错时的去向。")
    nodes: dict[Name, Any] = described(
        ...,
        "The nodes: each one step or a list of steps.",
        "节点，每个是一个或一串步骤。",
        min_length=1,
        max_length=1000,
    )


def locate(node: Node | None, path: Iterable[str | int]) -> Node | None:
    """The part of the tree at ``path``; steps a shorthand left out are passed over."""
    for step in path:
        inner = node.child(step) if node is not None else None
        node = inner or node
    return node


def mark_of(node: Node, path: Iterable[str | int]) -> Mark:
    """Where a value stands: a text at itself, anything else at its key."""
    mark = node.mark
    for step in path:
        inner = node.child(step)
        if inner is None:
            continue
        mark = inner.mark if not isinstance(inner.value, dict | list) else node.keys.get(str(step), inner.mark)
        node = inner
    return mark


def key_mark(node: Node, path: tuple[str | int, ...]) -> Mark:
    """Where the key that ends ``path`` stands."""
    holder = locate(node, path[:-1])
    if holder is not None and path and str(path[-1]) in holder.keys:
        return holder.keys[str(path[-1])]
    return mark_of(node, path)


def shift(mark: Mark, error: ExpressionError, text: str) -> Mark:
    """The place within a text of one line."""
    quoted = mark.length > len(text)
    return Mark(mark.file, mark.line, mark.column + error.offset + (1 if quoted else 0), error.length)


def tell_errors(error: ValidationError, node: Node, known: Iterable[str], whole: Mark | None = None) -> list[Problem]:
    """A validation error as problems; ``known`` are the keys there are at the top, for suggestions.

    ``whole``: where to point for what concerns all of it; otherwise at its beginning.
    """
    problems: list[Problem] = []
    told: set[tuple[int, int]] = set()
    for detail in error.errors():
        problem = _tell(detail, node, list(known), whole or node.mark)
        if (problem.line, problem.column) not in told:
            told.add((problem.line, problem.column))
            problems.append(problem)
    return problems


def _tell(detail: ErrorDetails, node: Node, known: list[str], whole: Mark) -> Problem:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    last = str(path[-1]) if path else ""
    cause = context.get("error")
    if kind == "extra_forbidden":
        near = suggest(last, known)
        return key_mark(node, path).problem(f"there is no option {last!r} here", near, "")
    if kind == "missing":
        place = mark_of(node, path[:-1]) if len(path) > 1 else whole
        return place.problem(f"the option {last!r} is missing")
    if last == "[key]":
        return key_mark(node, path[:-1]).problem(f"{str(path[-2])!r} is not a proper name", "letters, digits and _")
    mark = mark_of(node, path)
    if isinstance(cause, ExpressionError):
        hint = "put the expression in quotes if it holds a comma" if "never closed" in cause.message else ""
        return shift(mark, cause, _text(detail["input"])).problem(cause.message, "", hint)
    if isinstance(cause, ValueError):
        message = str(cause)
        if message.startswith("expected "):
            return mark.problem(f"found {_show(detail['input'])}", message.removeprefix("expected "))
        return mark.problem(message)
    return mark.problem(f"found {_show(detail['input'])}", _expected(detail["msg"]))


def _expected(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("a valid ")
    return text[:1].lower() + text[1:]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def suggest(word: str, known: Iterable[str]) -> str:
    """What was probably meant, as the ``expected`` of a problem."""
    words = sorted(known)
    near = get_close_matches(word, words, 1)
    if near:
        return f"{near[0]!r}"
    return f"one of {', '.join(words)}" if 0 < len(words) <= 30 else ""


__all__ = ["FlowModel", "Template", "key_mark", "locate", "mark_of", "shift", "suggest", "tell_errors"]
