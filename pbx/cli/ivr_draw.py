"""`tandem ivr draw`: a flow as a picture."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from pbx.cli.ivr_log import read_statistics
from pbx.ivr.drawing import draw_flow
from pbx.ivr.loader import load_flows


@click.command("draw")
@click.argument("name", metavar="FLOW")
@click.option("--flows", default="ivr_flows", show_default=True, type=Path, help="Folder of the flows.")
@click.option("-o", "--output", type=Path, help="File to write; otherwise FLOW.svg here. - writes to the terminal.")
@click.option("--counts", is_flag=True, help="Show how many callers took each way, from the event log.")
@click.option("--config", default="config", show_default=True, type=Path, help="With --counts: the configuration.")
@click.option("--since", type=click.DateTime(), help="With --counts: from this local time.")
@click.option("--until", type=click.DateTime(), help="With --counts: up to this local time.")
def command(
    name: str,
    flows: Path,
    output: Path | None,
    counts: bool,
    config: Path,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Draw a flow as SVG, with the number of callers per branch when asked.

    将流程绘制为 SVG 图，可显示各分支的来电人数。
    """
    flow = load_flows(flows)[0].get(name)
    if flow is None:
        raise click.ClickException(f"there is no flow {name} without errors in {flows}: see `tandem check`")
    if counts or since or until:
        numbers = read_statistics(config, since, until).numbers(name)
        picture = draw_flow(flow, numbers.visits, numbers.taken)
    else:
        picture = draw_flow(flow)
    if str(output) == "-":
        click.echo(picture, nl=False)
        return
    file = output or Path(f"{name}.svg")
    file.write_text(picture, "utf-8")
    click.echo(f"{file}: {len(flow.steps)} steps of flow {name}, version {flow.version}")
