"""`tandem events`: read the event log."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from pbx.cli.database import database_option, open_database
from pbx.cli.event_lines import format_event
from pbx.events.catalogue import AnyEvent
from pbx.storage.log_reader import LogReader

KINDS = sorted(kind.__name__ for kind in AnyEvent.__args__)


@click.command()
@database_option
@click.option("--since", type=click.IntRange(min=0), help="After this number; without it: the last ones.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True)
@click.option("--call", metavar="ID", default="", help="All events of one call.")
@click.option(
    "--type", "kind", metavar="TYPE", type=click.Choice(KINDS), default=None, help="Only events of this type."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(folder: Path, since: int | None, limit: int, call: str, kind: str | None, as_json: bool) -> None:
    """Show the newest events of the log, those after a number, or all of one call.

    查看事件日志：最近的事件、某个序号之后的事件，或一次通话的全部事件。
    """
    with open_database(folder) as engine:
        reader = LogReader(engine)
        if call:
            lines = [line for line in reader.read_call(call) if kind in (None, line.type)]
            if not lines:
                raise click.ClickException(f"there is no event of a call {call!r}")
        else:
            lines = reader.read(since or 0, limit, kind=kind or "", newest=since is None)
    for line in lines:
        click.echo(line.json if as_json else format_event(msgspec.json.decode(line.json)))
