"""`tandem ivr stats`: what callers did in a flow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import msgspec

from pbx.cli.ivr_log import read_statistics
from pbx.ivr.statistics import FlowNumbers


@click.command("stats")
@click.argument("names", nargs=-1, metavar="[FLOW…]")
@click.option("--config", default="config", show_default=True, type=Path, help="Folder of the configuration.")
@click.option("--since", type=click.DateTime(), help="From this local time.")
@click.option("--until", type=click.DateTime(), help="Up to this local time.")
@click.option("--paths", "most", default=5, show_default=True, help="So many of the commonest paths.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    names: tuple[str, ...], config: Path, since: datetime | None, until: datetime | None, most: int, form: str
) -> None:
    """Calls, ends, drop-outs, containment, tags and paths of flows, from the event log.

    流程统计：来电数、结束方式、放弃节点、自助完成率、标记与路径。
    """
    flows = {n: f for n, f in read_statistics(config, since, until).flows.items() if not names or n in names}
    if form == "json":
        click.echo(msgspec.json.encode({name: to_plain(numbers, most) for name, numbers in flows.items()}).decode())
        return
    for name, numbers in sorted(flows.items()):
        show(name, numbers, most)
    if not flows:
        click.echo("no calls in flows in this period")


def to_plain(numbers: FlowNumbers, most: int) -> dict[str, object]:
    """For JSON."""
    return {
        "calls": numbers.calls,
        "containment": numbers.containment,
        "drop_out_rate": numbers.drop_out_rate,
        "reasons": dict(numbers.reasons),
        "visits": dict(numbers.visits),
        "dropped": dict(numbers.dropped),
        "tags": dict(numbers.tags),
        "paths": [{"path": list(path), "calls": count} for path, count in numbers.paths.most_common(most)],
    }


def show(name: str, numbers: FlowNumbers, most: int) -> None:
    click.secho(f"{name}: {numbers.calls} calls", bold=True)
    for label, share in (("contained", numbers.containment), ("hung up in it", numbers.drop_out_rate)):
        if share is not None:
            click.echo(f"  {label}: {share:.1%}")
    for label, counter in (
        ("ends", numbers.reasons),
        ("tags", numbers.tags),
        ("drop-outs", numbers.dropped),
        ("nodes", numbers.visits),
    ):
        if counter:
            click.echo(f"  {label}: " + ", ".join(f"{key} {count}" for key, count in counter.most_common(12)))
    for path, count in numbers.paths.most_common(most):
        click.echo(f"  {count:6}  {' → '.join(path)}")
