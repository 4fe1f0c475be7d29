"""The state of one running flow: plain data that can be stored and taken up again."""

from __future__ import annotations

from typing import Any

import msgspec


class Frame(msgspec.Struct):
    """A flow that waits for its sub-flow."""

    flow: str
    step: str
    variables: dict[str, Any]
    visits: dict[str, int]


class State(msgspec.Struct):
    """Everything about the flow of one call."""

    flow: str
    version: str
    step: str
    language: str
    variables: dict[str, Any] = {}
    secrets: list[str] = []
    """Names of variables that hold card data: masked in outputs and left out when the state is stored."""
    stack: list[Frame] = []
    visits: dict[str, int] = {}
    """Times a ``loop`` was passed, by step."""
    data: dict[str, Any] = {}
    """What agents will see."""
    local: dict[str, Any] = {}
    """Of the step that is waiting."""
    open: dict[str, str] = {}
    """Requests without an answer yet: id to kind."""
    ahead: str = ""
    """Digits typed ahead of their menu."""
    skipped: list[str] = []
    """Steps whose prompt was left out because of digits typed ahead."""
    secure: bool = False
    gone: bool = False
    """The caller hung up and a recording is still being closed."""
    astray: bool = False
    """Taken up by a version of the flow that lacks the step: to begin again as soon as time passes."""
    deaf: bool = False
    """The recogniser failed once: this call goes on with digits alone."""
    failing: bool = False
    """The flow's error branch is running."""
    ended: str = ""
    steps: int = 0
    wall: str = ""
    """Local time when the flow started, ISO 8601 with offset."""
    elapsed: float = 0.0
    """Seconds since then, at the last input."""
    remaining: float | None = None
    """Seconds to the deadline of the waiting step, at the last input."""
