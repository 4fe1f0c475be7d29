"""`tandem explain`: why each agent was offered a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from pbx.acd.explain import Decision, decision_from_data, render
from pbx.cli.database import database_option, open_database
from pbx.cli.event_lines import format_time
from pbx.events.catalogue import AgentOffered, OfferEnded, QueueLeft, Record
from pbx.events.line import parse_line
from pbx.storage.log_reader import LogReader


@click.command()
@database_option
@click.argument("call")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The kept decisions, one JSON object an offer.")
def command(folder: Path, call: str, language: str, as_json: bool) -> None:
    """For every offer of CALL: the candidates, who fell out and why, the order, and what came of it.

    说明一次通话的每次派发：候选坐席、被排除者及原因、排序依据与结果。
    """
    with open_database(folder) as engine:
        records = [parse_line(line) for line in LogReader(engine).read_call(call)]
    if not records:
        raise click.ClickException(f"there is no event of a call {call!r}")
    offered = [record for record in records if isinstance(record.event, AgentOffered)]
    if as_json:
        for record in offered:
            click.echo(msgspec.json.encode({"at": record.at, "offer": _event(record).offer, **_event(record).why}))
        return
    if not offered:
        click.echo("no agent was offered this call 该通话未派给任何坐席")
    for record in records:
        text = describe_record(record, language)
        if text:
            click.echo(text)


def describe_record(record: Record, language: str) -> str:
    """An offer with its decision, or what came of it; empty for anything else."""
    event, time = record.event, format_time(record.at)
    if isinstance(event, AgentOffered):
        return f"{time}  {_describe_decision(event.why, language)}"
    if isinstance(event, OfferEnded):
        return f"{time}  {event.agent}: {event.result} ({event.ringing_s:.1f} s)\n"
    if isinstance(event, QueueLeft) and not event.agent:
        return f"{time}  {event.queue}: {event.reason} ({event.waited_s:.1f} s)\n"
    return ""


def _describe_decision(why: dict[str, Any], language: str) -> str:
    try:
        decision: Decision = decision_from_data(why)
    except msgspec.ValidationError:
        return "the decision was kept by another version of Tandem"
    return render(decision, language).replace("\n", "\n    ")


def _event(record: Record) -> AgentOffered:
    assert isinstance(record.event, AgentOffered)
    return record.event
