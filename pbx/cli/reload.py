"""`tandem reload`: let the running server take over a changed configuration."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from pbx.cli.control import ask, config_option
from pbx.cli.report import render, summarise
from pbx.config.diff import ReloadReport


@click.command()
@config_option
def command(folder: Path) -> None:
    """Apply the changed configuration as a whole, or refuse it; exit with 1 if it was refused.

    让运行中的服务器整体应用新配置，或整体拒绝。
    """
    report = msgspec.convert(ask(folder, "reload"), ReloadReport)
    for problem in report.problems:
        click.echo(render(problem) + "\n", err=True)
    if not report.applied:
        click.echo(f"refused: {report.reason or summarise(report.problems)}; the old configuration stays", err=True)
        raise SystemExit(1)
    for change in report.changes:
        click.echo(change)
    click.echo("applied" if report.changes else "applied; nothing changed")
