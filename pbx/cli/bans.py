"""`tandem bans`: who is shut out, and changing it by hand."""

from __future__ import annotations

from pathlib import Path

import click

from pbx.cli.control import ask, config_option


@click.command()
@config_option
@click.option("--ban", metavar="ADDRESS", help="Shut this address out.")
@click.option("--seconds", type=click.FloatRange(min=1), help="For so long; default: the configured time.")
@click.option("--reason", help="Why, for the list and the event log.")
@click.option("--lift", metavar="ADDRESS", help="Let this address in again.")
def command(folder: Path, ban: str | None, seconds: float | None, reason: str | None, lift: str | None) -> None:
    """List the sources that are banned, after banning or lifting one.

    列出被封禁的来源；也可手工封禁或解封。
    """
    wanted = {"ban": ban, "seconds": f"{seconds:g}" if seconds else None, "reason": reason, "lift": lift}
    bans: list[dict[str, str]] = ask(folder, "bans", {name: value for name, value in wanted.items() if value})
    if not bans:
        click.echo("nobody is banned")
    for entry in bans:
        click.echo(f"{entry['source']:<40} {entry['seconds']:>7} s  {entry['reason']}")
