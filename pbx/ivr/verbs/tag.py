"""Mark the call for reports."""

from __future__ import annotations

from pbx.ivr.expressions import Template, to_text
from pbx.ivr.messages import Tag
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Verb


class TagOptions(VerbOptions):
    shorthand = "tag"

    tag: str = described(..., "Name of the mark.", "标记名称。", min_length=1, max_length=64)
    value: Template | None = described(None, "A value beside it.", "标记的取值。")


class TagVerb(Verb[TagOptions]):
    name = "tag"
    options = TagOptions
    summary = {"en": "Mark the call for reports.", "zh": "为报表打标记。"}
    example = """
start:
  - tag: {tag: topic, value: billing}
  - hangup
"""

    def enter(self, run: Run, options: TagOptions) -> Outcome:
        value = "" if options.value is None else to_text(run.shown(options.value))
        run.put(Tag(options.tag, value))
        return "next"
