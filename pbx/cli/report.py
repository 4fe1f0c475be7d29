"""Problems as a compiler shows them: place, what is wrong, the line with a caret, what was expected; or as JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import click
import msgspec

from pbx.core.problems import Problem

TAB = "    "


def render(problem: Problem) -> str:
    """Several lines, coloured; click takes the colours out where they do not belong."""
    colour = "red" if problem.severity == "error" else "yellow"
    place = f"{shorten(problem.file)}:{problem.line}:{problem.column}:"
    parts = [
        f"{click.style(place, bold=True)} {click.style(problem.severity + ':', fg=colour, bold=True)} {problem.message}"
    ]
    source = _read_line(problem.file, problem.line)
    if source.strip():
        start = problem.column - 1
        shown = source[:start] + "********" if problem.secret else source
        length = 8 if problem.secret else max(1, min(problem.length, len(source) - start))
        margin = " " * len(str(problem.line))
        caret = " " * _width(shown[:start]) + "^" * max(1, _width(shown[start : start + length]))
        parts.append(f" {problem.line} | {shown.replace(chr(9), TAB)}")
        parts.append(f" {margin} | {click.style(caret, fg=colour)}")
    if problem.expected:
        parts.append(f"   expected: {problem.expected}")
    if problem.hint:
        parts.append(f"   hint: {problem.hint}")
    return "\n".join(parts)


def shorten(file: str) -> str:
    """Relative to the working directory for what lies below it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else file


def to_json(problems: Iterable[Problem]) -> str:
    """An array of objects, one per problem."""
    entries = [problem._asdict() for problem in problems]
    return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode()


def summarise(problems: Iterable[Problem]) -> str:
    """``2 errors and 1 warning``"""
    severities = [problem.severity for problem in problems]
    counts = [(severities.count("error"), "error"), (severities.count("warning"), "warning")]
    return " and ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count) or "no problems"


def _width(text: str) -> int:
    """Columns in a terminal: Chinese characters take two."""
    columns = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    return columns + text.count("\t") * (len(TAB) - 1)


@lru_cache(maxsize=32)
def _read_lines(file: str) -> tuple[str, ...]:
    try:
        return tuple(Path(file).read_text("utf-8", "replace").splitlines())
    except OSError:
        return ()


def _read_line(file: str, line: int) -> str:
    lines = _read_lines(file)
    return lines[line - 1][:300] if 0 < line <= len(lines) else ""
