"""The generated parts of docs/cti.md, and docs/cti-asyncapi.json."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pbx.cti import actor, commands, permissions, protocol
from pbx.cti.asyncapi import make_asyncapi, read_summary
from pbx.events import catalogue

ROOT = Path(__file__).parents[1]
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read_field_docs(module: Any) -> dict[tuple[str, str], str]:
    """(class, field) to the docstring under the field: Python forgets those, the source does not."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for one, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and _is_text(after):
                    assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    found[node.name, one.target.id] = clean(str(after.value.value))
    return found


def clean(text: str) -> str:
    """A docstring as one line of Markdown."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def find_doc(docs: dict[tuple[str, str], str], kind: type[Any], field: str) -> str:
    return next((docs[base.__name__, field] for base in kind.__mro__ if (base.__name__, field) in docs), "")


def format_type(kind: Any) -> str:
    """A type as a reader of JSON understands it."""
    if kind in (str, int, float, bool):
        return {str: "text", int: "integer", float: "number", bool: "true/false"}[kind]
    if kind is type(None):
        return "null"
    if hasattr(kind, "__metadata__"):
        return format_type(kind.__origin__)
    arguments: tuple[Any, ...] = getattr(kind, "__args__", ())
    origin = str(getattr(kind, "__origin__", ""))
    if "Literal" in str(kind)[:16]:
        return " \\| ".join(f"`{value}`" for value in arguments)
    if "dict" in origin:
        return "object"
    if "tuple" in origin or "list" in origin:
        return f"list of {format_type(arguments[0])}"
    if arguments:
        return " or ".join(format_type(argument) for argument in arguments)
    return str(getattr(kind, "__name__", kind))


def format_fields(kind: type[Any], docs: dict[tuple[str, str], str]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        needed = "" if field.required else "?"
        doc = find_doc(docs, kind, field.name)
        yield f"`{field.name}`{needed} {format_type(field.type)}" + (f": {doc.rstrip('.')}" if doc else "")


def write_commands() -> str:
    docs = read_field_docs(commands)
    lines = ["| command | does | params (`?`: may be left out) | roles |", "|---|---|---|---|"]
    for name, kind in commands.COMMANDS.items():
        fields = "<br>".join(format_fields(kind, docs))
        roles = format_roles(permissions.COMMAND_ROLES[kind])
        lines.append(f"| `{name}` | {clean(read_summary(kind))} | {fields} | {roles} |")
    return "\n".join(lines) + "\n"


def write_events() -> str:
    docs = read_field_docs(catalogue)
    lines = ["| event | says | fields | roles |", "|---|---|---|---|"]
    for kind in catalogue.AnyEvent.__args__:
        fields = "<br>".join(format_fields(kind, docs))
        summary = clean(read_summary(kind))
        lines.append(
            f"| `{kind.__name__}` | {summary} | {fields} | {format_roles(permissions.EVENT_ROLES[kind.__name__])} |"
        )
    return "\n".join(lines) + "\n"


def format_roles(roles: frozenset[Any]) -> str:
    return "all" if len(roles) == len(actor.ROLES) else ", ".join(role for role in actor.ROLES if role in roles)


def write_requests() -> str:
    docs = read_field_docs(protocol)
    lines = ["| request | does | params |", "|---|---|---|"]
    for name, kind in protocol.REQUESTS.items():
        lines.append(f"| `{name}` | {clean(read_summary(kind))} | {'<br>'.join(format_fields(kind, docs))} |")
    return "\n".join(lines) + "\n"


def write_notifications() -> str:
    docs = read_field_docs(protocol)
    lines = ["| method | says | params |", "|---|---|---|"]
    for name, kind in protocol.NOTIFICATIONS.items():
        summary = clean(read_summary(kind)).partition(": ")[2]
        lines.append(f"| `{name}` | {summary} | {'<br>'.join(format_fields(kind, docs))} |")
    return "\n".join(lines) + "\n"


def write_errors() -> str:
    numbers = protocol.ERROR_NUMBERS
    lines = ["| `data.code` | `code` |", "|---|---|"]
    return "\n".join(lines + [f"| `{code}` | {number} |" for code, number in numbers.items()]) + "\n"


def write_closes() -> str:
    lines = ["| code | name |", "|---|---|"]
    for name, value in vars(protocol).items():
        if name.startswith("CLOSE_"):
            lines.append(f"| {value} | {name.removeprefix('CLOSE_').replace('_', ' ').lower()} |")
    return "\n".join(lines) + "\n"


def write_example(name: str, language: str) -> str:
    text = (ROOT / "docs" / "examples" / name).read_text("utf-8")
    return f"```{language}\n{text}```\n"


PARTS: dict[str, Callable[[], str]] = {
    "requests": write_requests,
    "notifications": write_notifications,
    "commands": write_commands,
    "events": write_events,
    "errors": write_errors,
    "closes": write_closes,
    "python": lambda: write_example("cti_client.py", "python"),
    "javascript": lambda: write_example("cti_client.mjs", "javascript"),
}


def write_page(path: Path) -> str:
    """The page with its generated parts made anew."""
    return _PART.sub(lambda match: match[1] + PARTS[match[2]]() + match[3], path.read_text("utf-8"))


def write_asyncapi(_: Path) -> str:
    return json.dumps(make_asyncapi(), indent=1, ensure_ascii=False) + "\n"
