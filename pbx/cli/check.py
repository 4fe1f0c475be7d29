"""`tandem check`: everything that is wrong with configuration and flows, all at once."""

from __future__ import annotations

from pathlib import Path

import click

import pbx.ivr
from pbx.cli.report import render, summarise, to_json
from pbx.config.loader import examine
from pbx.core.problems import Problem, has_errors, sort_problems


@click.command()
@click.option("--config", "folder", default="config", show_default=True, type=Path, help="Folder of the configuration.")
@click.option("--flows", type=Path, help="Folder of the flows, instead of the configured one.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
def command(folder: Path, flows: Path | None, form: str, strict: bool) -> None:
    """Check configuration and flows; exit with 1 if there is any error.

    检查配置与流程，一次列出全部错误（文件、行、列）。
    """
    problems = find_problems(folder, flows)
    if form == "json":
        click.echo(to_json(problems))
    else:
        for problem in problems:
            click.echo(render(problem) + "\n")
        click.echo(f"{folder}: {summarise(problems)}")
    raise SystemExit(1 if has_errors(problems) or (strict and problems) else 0)


def find_problems(folder: Path, flows: Path | None) -> tuple[Problem, ...]:
    """Of the configuration and of its flows, in the order of the files."""
    examined = examine(folder, flows=flows)
    where = examined.flows
    found = pbx.ivr.check_folder(where, examined.references) if where is not None and where.is_dir() else []
    return sort_problems([*examined.problems, *found])
