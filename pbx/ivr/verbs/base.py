"""What a verb is: options with a schema, branches, and what it does on entering and on each input while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

from pbx.ivr.messages import Input
from pbx.ivr.options import Target, VerbOptions
from pbx.ivr.run import Outcome, Run

O = TypeVar("O", bound=VerbOptions)  # noqa: E741
Branch = tuple[str, tuple[str | int, ...], Target]
"""Name of the branch, where its target stands below the verb, and the target."""


class Verb(Generic[O]):
    """Base of all verbs; one instance serves every flow, so it keeps nothing."""

    name: ClassVar[str]
    options: ClassVar[type[VerbOptions]]
    summary: ClassVar[dict[str, str]]
    """One sentence per language, for the manual."""
    example: ClassVar[str]
    """A node in YAML that loads and runs; part of the manual and tried by a test."""
    takes_digits: ClassVar[bool] = False
    """Digits come to ``resume`` while the verb waits; otherwise they are kept for the next menu."""
    ends: ClassVar[bool] = False
    """The flow never goes on after this verb."""
    waits: ClassVar[bool] = False
    """The verb always waits for the world, so a loop through it cannot spin."""

    def enter(self, run: Run, options: O) -> Outcome:
        """Begin. Returns the branch to leave by (``next`` for the way straight on), or None to wait."""
        return "next"

    def resume(self, run: Run, options: O, event: Input) -> Outcome:
        """An input came while waiting."""
        return None

    def hold_on(self, run: Run, options: O) -> bool:
        """The caller hung up: True to wait a moment for the answer of an open request (a recording)."""
        return False

    def hung_up(self, run: Run, options: O) -> None:
        """The caller is gone and nothing is waited for: what is still to be put out."""

    def branches(self, options: O) -> Iterator[Branch]:
        """The branches that have a target of their own."""
        return iter(())

    def goes_on(self, options: O) -> bool:
        """Whether the verb can leave by ``next``."""
        return not self.ends

    def silent_branches(self, options: O) -> frozenset[str] | None:
        """The ways taken when the caller does nothing, for the search of endless loops; None: any of them."""
        return None

    def reads(self, options: O) -> frozenset[str]:
        """Variables read, beyond those found in templates and expressions."""
        return frozenset()

    def gives(self, options: O) -> frozenset[str]:
        """Variables the verb itself sets for its own prompts."""
        return frozenset()

    def writes(self, options: O) -> frozenset[str]:
        """Variables set on the way out."""
        return frozenset()

    def secret_writes(self, options: O) -> frozenset[str]:
        """Of these, the ones that hold card data."""
        return frozenset()

    def references(self, options: O) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        """Names of things outside the flow: kind (queue, calendar, flow, destination …), name, place."""
        return iter(())


AnyVerb = Verb[Any]
