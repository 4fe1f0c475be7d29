"""An announcement in front of a flow, put there and taken away by one command while something is out of order.

It stands in ``outage.yaml`` beside ``flow.yaml``, so the flow itself is not edited in a hurry; every call hears it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from pbx.core.problems import Problem
from pbx.core.yaml_tree import Mark, parse_yaml
from pbx.ivr.flow import Flow, Step
from pbx.ivr.options import OptionModel, Texts, described
from pbx.ivr.schema import tell_errors
from pbx.ivr.verbs import all_verbs

FILE = "outage.yaml"
NODE = "_outage"
"""No node an admin can name begins with ``_``."""


class Outage(OptionModel):
    """One ``outage.yaml``."""

    text: Texts = described(
        ..., "What every caller hears first, or one text per language.", "来电者首先听到的公告。", min_length=1
    )
    then: Literal["continue", "hangup"] = described("continue", "What follows.", "公告之后继续或挂机。")


def read_outage(folder: Path) -> tuple[Outage | None, list[Problem]]:
    """The announcement in force for the flow of a folder, if any."""
    file = folder / FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None, []
    except (OSError, UnicodeDecodeError) as error:
        return None, [Problem(str(file), 1, 1, f"the announcement cannot be read: {error}")]
    tree, problems = parse_yaml(text, str(file))
    if tree is None or problems:
        return None, problems or [Problem(str(file), 1, 1, "the file is empty", "a text")]
    try:
        return Outage.model_validate(tree.plain()), []
    except ValidationError as error:
        return None, tell_errors(error, tree, Outage.model_fields)


def put_in_front(flow: Flow, outage: Outage) -> Flow:
    """The flow with the announcement before its first step; it cannot be cut short."""
    mark = Mark(str(Path(flow.folder) / FILE), 1, 1)
    after = flow.start if outage.then == "continue" else f"{NODE}.3"
    wanted: list[tuple[str, str, dict[str, Any], str | None]] = [
        (NODE, "answer", {}, f"{NODE}.2"),
        (f"{NODE}.2", "say", {"text": outage.text, "barge_in": False}, after),
    ]
    if outage.then == "hangup":
        wanted.append((f"{NODE}.3", "hangup", {}, None))
    steps = {}
    for own, verb, options, following in wanted:
        made = all_verbs()[verb].options.model_construct(None, **options)
        steps[own] = Step(own, NODE, all_verbs()[verb], made, {}, following, mark)
    return replace(flow, steps={**steps, **flow.steps}, start=NODE, entry=flow.start)


def write_outage(folder: Path, texts: Mapping[str, str], then: str) -> None:
    """Put the announcement in place in one step. Raises OSError."""
    lines = [
        "# Put here by `tandem ivr announce`; `tandem ivr announce --off` takes it away.",
        f"then: {then}",
        "text:",
    ]
    lines += [f"  {tag}: {_quote(text)}" for tag, text in texts.items()]
    new = folder / f".{FILE}.new"
    new.write_text("\n".join(lines) + "\n", "utf-8")
    new.replace(folder / FILE)


def _quote(text: str) -> str:
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
