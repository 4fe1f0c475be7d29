"""Hand the call over."""

from __future__ import annotations

from collections.abc import Iterator

from pbx.core.destination import parse_destination
from pbx.ivr.expressions import ExpressionError, Template
from pbx.ivr.messages import Transfer
from pbx.ivr.options import VerbOptions, described
from pbx.ivr.run import Finish, Outcome, Run
from pbx.ivr.verbs.base import Verb


class TransferOptions(VerbOptions):
    shorthand = "to"

    to: Template = described(
        ..., "Any destination: queue:…, flow:…, extension:…, number:…, voicemail:…", "任意目的地。"
    )


class TransferVerb(Verb[TransferOptions]):
    name = "transfer"
    options = TransferOptions
    summary = {"en": "Hand the call over for good; the flow ends here.", "zh": "转走来电，流程到此结束。"}
    example = """
start:
  - answer
  - transfer: extension:1001
"""
    ends = True

    def enter(self, run: Run, options: TransferOptions) -> Outcome:
        destination = run.text(options.to)
        try:
            parse_destination(destination)
        except ValueError as error:
            raise ExpressionError(str(error)) from None
        run.put(Transfer(destination, dict(run.state.data)))
        return Finish("transferred")

    def references(self, options: TransferOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        if options.to.is_plain:
            yield "destination", options.to.source, ("to",)
