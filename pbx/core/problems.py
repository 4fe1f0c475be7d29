"""What is wrong in a file that a person wrote: a value with its place, collected so that all are told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple


class Problem(NamedTuple):
    """One finding in one file."""

    file: str
    """As the reader would name it: the path that was given, plus the name inside it."""
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    message: str
    """What was found, in one sentence without a full stop."""
    expected: str = ""
    """What would have been right; empty where the message says it."""
    hint: str = ""
    """What to do about it."""
    length: int = 1
    """Characters to underline."""
    severity: Literal["error", "warning"] = "error"
    """A warning does not stop the configuration from going live."""
    secret: bool = False
    """The place holds a secret: the source line must not be shown."""

    def __str__(self) -> str:
        tail = f" (expected {self.expected})" if self.expected else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{tail}"


class ConfigurationErrors(Exception):
    """Configuration or flows that cannot be used, with everything that is wrong about them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = sort_problems(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def sort_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In the order of file, line and column, without repetitions."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.column, p.message)))


def has_errors(problems: Sequence[Problem]) -> bool:
    """False when there are only warnings."""
    return any(problem.severity == "error" for problem in problems)
