"""YAML as a person typed it: a tree of texts that know their place.

Scalars stay text (``0123``, ``on`` and ``12:30`` are not turned into 83, True and 750); only an empty or ``null``
plain scalar is None. What a text means is decided by the schema that reads it. Anchors, aliases and merge keys
(``<<``) work; tags do not, so nothing in a file can name a Python object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from pbx.core.problems import Problem

MAX_NODES = 1_000_000
"""Aliases multiply; a file that unfolds to more than this is refused."""
MAX_DEPTH = 50

_PLAIN_TAGS = {"!"} | {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value", "binary")
}
"""What the resolver gives to values without a tag (their text is kept all the same)."""

Path = Sequence[str | int]
"""Keys and list positions from the root."""


class Mark(NamedTuple):
    """Where something stands, counted from 1."""

    file: str
    line: int
    column: int
    length: int = 1

    def problem(self, message: str, expected: str = "", hint: str = "") -> Problem:
        return Problem(self.file, self.line, self.column, message, expected, hint, self.length)


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar (text or None), a mapping or a list, with its place."""

    value: str | None | dict[str, Node] | list[Node]
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)
    """Of a mapping: where each key stands."""

    def plain(self) -> Any:
        """The same as dictionaries, lists, texts and None."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: str | int) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def find(self, path: Path) -> Node | None:
        """The node at ``path``, or None."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node else None
        return node

    def mark_of(self, path: Path) -> Mark:
        """Where the value at ``path`` stands; where there is none, the key of the nearest thing around it."""
        node, mark = self, self.mark
        for step in path:
            inner = node.child(step)
            if inner is None:
                return mark
            mark = node.keys.get(str(step), inner.mark)
            node = inner
        return node.mark if isinstance(node.value, str) else mark

    def key_mark(self, path: Path) -> Mark:
        """Where the key that ends ``path`` stands (of a list item: the item)."""
        parent = self.find(path[:-1])
        if parent is not None and path and str(path[-1]) in parent.keys:
            return parent.keys[str(path[-1])]
        return self.mark_of(path)


class _Refusal(Exception):
    """Carries one problem out of the recursion."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse_yaml(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Read one document. Returns the tree (None if the file is empty or unreadable) and what is wrong with it.

    Never raises for any text. Syntax stops at the first error; duplicate keys and the like are all reported.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False  # YAML 1.2 section 3.2.2.2 allows it; a warning would go to stderr
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        return None, [_syntax_problem(error, file)]
    except (YAMLError, ValueError, RecursionError, AttributeError, TypeError, IndexError, AssertionError) as error:
        return None, [Problem(file, 1, 1, f"this is not YAML: {_first_line(error)}", "a YAML 1.2 document")]
    if root is None:
        return None, []
    reader = _Reader(file)
    try:
        return reader.convert(root, 0), reader.problems
    except _Refusal as refusal:
        return None, [*reader.problems, refusal.problem]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _syntax_problem(error: MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = " ".join(str(part) for part in (error.problem, error.context) if part) or "unreadable"
    hint = ""
    if "\\t" in what or "found character '\t'" in what:
        hint = "indent with spaces, not with tabs"
    elif "mapping values are not allowed" in what:
        hint = "quote the text if it holds ': ', or look at the indentation"
    return Problem(file, line, column, f"this is not YAML: {what}", "a YAML 1.2 document", hint)


class _Reader:
    """Turns ruamel's nodes into ours; counts what aliases unfold to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.count = 0

    def mark(self, node: Any) -> Mark:
        start, end = node.start_mark, node.end_mark
        same_line = isinstance(node, ScalarNode) and end.line == start.line
        return Mark(self.file, start.line + 1, start.column + 1, max(1, end.column - start.column) if same_line else 1)

    def convert(self, node: Any, depth: int) -> Node:
        mark = self.mark(node)
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise _Refusal(
                mark.problem("the file unfolds to too much", f"at most {MAX_NODES} values, {MAX_DEPTH} deep")
            )
        if node.tag is not None and str(node.tag) not in _PLAIN_TAGS:
            self.problems.append(mark.problem(f"the tag {str(node.tag)!r} means nothing here", "a value without a tag"))
        if isinstance(node, MappingNode):
            return self.convert_mapping(node, mark, depth)
        if isinstance(node, SequenceNode):
            return Node([self.convert(item, depth + 1) for item in node.value], mark)
        text = str(node.value)
        if node.style is None and text in ("", "~", "null", "Null", "NULL"):
            return Node(None, mark)
        return Node(text, mark)

    def convert_mapping(self, node: Any, mark: Mark, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key_mark = self.mark(key_node)
            if not isinstance(key_node, ScalarNode):
                self.problems.append(key_mark.problem("a list or mapping cannot be a key", "a word or number as key"))
                continue
            key = str(key_node.value)
            value = self.convert(value_node, depth + 1)
            if key == "<<" and key_node.style is None:
                merged += self.merge_sources(value)
            elif key in values:
                first = keys[key]
                self.problems.append(
                    key_mark.problem(
                        f"the key {key!r} is given twice", "each key once", f"first given on line {first.line}"
                    )
                )
            else:
                values[key], keys[key] = value, key_mark
        for source in merged:
            assert isinstance(source.value, dict)
            for key, value in source.value.items():
                if key not in values:
                    values[key], keys[key] = value, source.keys[key]
        return Node(values, mark, keys)

    def merge_sources(self, value: Node) -> list[Node]:
        sources = value.value if isinstance(value.value, list) else [value]
        good = [source for source in sources if isinstance(source.value, dict)]
        if len(good) != len(sources):
            self.problems.append(
                value.mark.problem("'<<' merges something that is no mapping", "an alias of a mapping")
            )
        return good
