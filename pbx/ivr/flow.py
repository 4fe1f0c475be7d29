"""A flow as the interpreter runs it: frozen steps with their branches resolved, made by ``pbx.ivr.loader``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pbx.core.yaml_tree import Mark
from pbx.ivr.expressions import Template
from pbx.ivr.options import PromptItem, VerbOptions

if TYPE_CHECKING:
    from pbx.ivr.verbs.base import AnyVerb


@dataclass(frozen=True, slots=True)
class Step:
    """One verb at one place of a flow."""

    id: str
    """The node's name for its first step, ``node.2`` for its second, ``node/branch`` for steps written in a branch."""
    node: str
    """The node it belongs to."""
    verb: AnyVerb
    options: Any
    """The verb's own options model."""
    branches: Mapping[str, str | None]
    """Branch to step id; None goes on with ``next``."""
    next: str | None
    """None: the flow ends here."""
    mark: Mark
    branch_marks: Mapping[str, Mark] = field(default_factory=dict)

    def target(self, branch: str) -> str | None:
        """The step that follows when the verb leaves by ``branch``."""
        return self.branches.get(branch) or self.next


@dataclass(frozen=True, slots=True)
class Flow:
    """One version of one flow."""

    name: str
    version: str
    """Hash of the content of its files: what a running call says it started with."""
    folder: str
    title: Mapping[str, str]
    languages: tuple[str, ...]
    language: str
    """The default language."""
    variables: Mapping[str, Template]
    """Initial values."""
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    """Variables a sub-flow gives back."""
    prompts: Mapping[str, Mapping[str, tuple[PromptItem, ...]]]
    """Prompt name to language (empty for all) to pieces."""
    recordings: Mapping[tuple[str, str], str]
    """(language, prompt name) to the path of a recording that replaces the synthesised text."""
    steps: Mapping[str, Step]
    start: str
    on_error: str | None
    entry: str = ""
    """The flow's own first step where an announcement was put in front of it; otherwise empty."""
    library: Mapping[str, Flow] = field(default_factory=dict, repr=False)
    """All flows that were loaded together, this one too."""


__all__ = ["Flow", "Step", "VerbOptions"]


def compare_flows(before: Mapping[str, Flow], after: Mapping[str, Flow]) -> list[str]:
    """What changes for callers when the flows ``after`` come into force, one line a flow."""
    changes = []
    for name in sorted({*before, *after}):
        old, new = (flows[name].version if name in flows else "" for flows in (before, after))
        if not old or not new:
            changes.append(f"flows.{name}: {'added' if new else 'removed'}")
        elif old != new:
            changes.append(f"flows.{name}: version {old} → {new}")
    return changes
