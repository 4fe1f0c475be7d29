"""What every key means, in English (the docstrings of the models) and Chinese (descriptions.zh.yaml)."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from pbx.core.yaml_tree import parse_yaml


def describe_model(model: type[BaseModel], language: str = "en") -> str:
    """What the model is."""
    if language == "zh":
        return read_chinese().get(model.__name__, {}).get("", "")
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


def describe_field(model: type[BaseModel], name: str, language: str = "en") -> str:
    """What the key means; empty where it is not written."""
    if language == "zh":
        return read_chinese().get(model.__name__, {}).get(name, "")
    return read_field_docs(model).get(name, "")


def read_field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The docstring under each field of a model, those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base.__module__.startswith("pbx."):
            found |= _read_module_docs(base.__module__).get(base.__name__, {})
    return found


@cache
def read_chinese() -> Mapping[str, Mapping[str, str]]:
    """By model and key; the model itself under the empty key."""
    path = Path(__file__).with_name("descriptions.zh.yaml")
    tree, problems = parse_yaml(path.read_text("utf-8"), str(path))
    assert tree is not None and not problems, problems
    plain: dict[str, dict[str, str]] = tree.plain()
    return plain


@cache
def _read_module_docs(module: str) -> dict[str, dict[str, str]]:
    """By class and attribute: the string that stands under the attribute."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    docs: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        entries = docs.setdefault(node.name, {})
        for before, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                entries[before.target.id] = " ".join(inspect.cleandoc(after.value.value).split())
    return docs
