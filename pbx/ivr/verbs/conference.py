"""Join a conference room."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Conference, ConferenceLeft, Input
from pbx.ivr.options import TargetField, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


class ConferenceOptions(VerbOptions):
    shorthand = "room"

    room: Template = described(..., "Number of the room.", "会议室号码。")
    announce: bool = described(True, "Announce who comes and goes.", "播报进出。")
    failed: TargetField | None = described(None, "Where to go when the room cannot be joined.", "无法加入时的去向。")


class ConferenceVerb(Verb[ConferenceOptions]):
    name = "conference"
    options = ConferenceOptions
    summary = {
        "en": "Join a conference room until it ends or the caller leaves it.",
        "zh": "加入会议室，直到结束或离开。",
    }
    example = """
start:
  - answer
  - conference: "3000"
  - hangup
"""
    waits = True

    def enter(self, run: Run, options: ConferenceOptions) -> Outcome:
        run.put(Conference(run.request("conference"), run.text(options.room), options.announce))
        return None

    def resume(self, run: Run, options: ConferenceOptions, event: Input) -> Outcome:
        if not isinstance(event, ConferenceLeft):
            return None
        return "failed" if event.failure else "next"

    def branches(self, options: ConferenceOptions) -> Iterator[Branch]:
        if options.failed is not None:
            yield "failed", ("failed",), options.failed

    def references(self, options: ConferenceOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.room.is_plain:
            yield "conference", options.room.source, ("room",)
