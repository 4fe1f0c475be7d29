"""`tandem cdr`: search call records, and show one call from ring to wrap-up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from pbx.cli.database import database_option, open_database
from pbx.cli.event_lines import format_time
from pbx.storage.records import CdrFilter, Records

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])

RIGHT = (False, False, False, False, False, False, True, True, False)
"""Which columns are numbers."""


@click.command()
@database_option
@click.argument("call", default="")
@click.option("--from", "start", type=_DAY, help="Calls that began then or later (local time).")
@click.option("--to", "end", type=_DAY, help="Calls that began before.")
@click.option("--caller", default="", help="Beginning of the number; *123 finds it anywhere.")
@click.option("--called", default="", help="Beginning of the number.")
@click.option("--agent", default="", help="Calls this agent was offered or took.")
@click.option("--queue", default="", help="Calls that were in this queue.")
@click.option("--outcome", default="", help="answered, abandoned, busy ...")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a call.")
def command(
    folder: Path,
    call: str,
    start: datetime | None,
    end: datetime | None,
    caller: str,
    called: str,
    agent: str,
    queue: str,
    outcome: str,
    limit: int,
    as_json: bool,
) -> None:
    """List calls that ended, newest first; with CALL: everything about that one.

    查询通话记录；给出通话编号则显示该通话的全过程。
    """
    wanted = CdrFilter(
        from_at=start.timestamp() if start else None,
        to_at=end.timestamp() if end else None,
        caller=caller,
        called=called,
        agent=agent,
        queue=queue,
        outcome=outcome,
    )
    with open_database(folder) as engine:
        records = Records(engine)
        if call:
            found = records.read_call(call)
            if found is None:
                raise click.ClickException(f"there is no record of a call {call!r}: does it still run?")
            show_call(found, as_json)
            return
        rows = records.search(wanted, limit=limit).rows
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
        return
    lines = [("call", "began", "caller", "called", "queue", "agent", "waited", "talked", "outcome")]
    for row in rows:
        lines.append(
            (
                row["call_id"],
                format_time(row["started_at"])[:19],
                row["caller"],
                row["called"],
                row["queue"],
                row["agent"],
                format_seconds(row["wait_s"]),
                format_seconds(row["talk_s"]),
                row["outcome"] + (f" ({row['disposition']})" if row["disposition"] else ""),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, RIGHT, strict=True)
        click.echo(
            "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()
        )


def show_call(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    click.echo(f"call      {found['call_id']}  {found['direction']}  {found['device']}")
    click.echo(f"parties   {found['caller']} → {found['called']}")
    click.echo(f"times     {format_time(found['started_at'])} to {format_time(found['ended_at'])}")
    click.echo(f"outcome   {found['outcome']} {found['reason']}".rstrip())
    for segment in found["segments"]:
        seconds = format_seconds(segment["to_at"] - segment["from_at"])
        who = " ".join(filter(None, (segment["party"], segment["agent"], segment["queue"])))
        heard = segment["ended_by"]
        if segment["recording"]:
            heard += f"  {segment['recording']} {segment['recording_from_ms']}-{segment['recording_to_ms']} ms"
        click.echo(f"{segment['kind']:<9} {format_time(segment['from_at'])[11:]}  {seconds:>8}  {who}  {heard}")
    for recording in found["detail"].get("recordings", []):
        click.echo(f"recording {recording['recording']}  {recording.get('state', 'recording')}  {recording['path']}")
        if heard := recording.get("conversation"):
            click.echo(f"          {format_conversation(heard)}")
    if data := found["detail"].get("data"):
        click.echo("data      " + " ".join(f"{key}={value}" for key, value in data.items()))


def format_conversation(heard: dict[str, Any]) -> str:
    """Who spoke how much in a recording; ``from`` and ``to`` are seen from the recorded leg."""
    ratio = "" if heard["talk_ratio"] is None else f" ({heard['talk_ratio']:.0%} from)"
    talk, to, silence, longest, crosstalk = (
        f"{heard[name] / 1000:.1f}"
        for name in ("talk_from_ms", "talk_to_ms", "silence_ms", "longest_silence_ms", "crosstalk_ms")
    )
    return (
        f"talk {talk} s from, {to} s to{ratio}; silence {silence} s, longest {longest} s; "
        f"cross-talk {crosstalk} s in {heard['crosstalk_count']}"
    )


def format_seconds(seconds: float) -> str:
    """``75`` as ``1:15``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
