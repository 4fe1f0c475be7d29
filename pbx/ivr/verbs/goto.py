"""Go to another node."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class GotoOptions(VerbOptions):
    shorthand = "node"

    node: TargetField = described(..., "The node to go on with.", "接下来的节点。")


class GotoVerb(Verb[GotoOptions]):
    name = "goto"
    options = GotoOptions
    summary = {"en": "Go on with another node.", "zh": "转到另一个节点。"}
    example = """
start:
  - goto: bye
bye:
  - hangup
"""

    def enter(self, run: Run, options: GotoOptions) -> Outcome:
        return "to"

    def branches(self, options: GotoOptions) -> Iterator[Branch]:
        yield "to", ("node",), options.node

    def goes_on(self, options: GotoOptions) -> bool:
        return False
