"""`tandem ivr versions` and `tandem ivr rollback`: flows as they were."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click

from pbx.adapters.flow_store import FlowStore
from pbx.cli.report import render
from pbx.config.loader import examine
from pbx.ivr import load_folder
from pbx.ivr.loader import load_flows


def open_store(config: Path) -> tuple[FlowStore, Path]:
    """The store in the data folder, and the folder of the flows."""
    configuration = examine(config).configuration
    if configuration is None:
        raise click.ClickException(f"the configuration in {config} has errors: see `tandem check`")
    return FlowStore(configuration.data_folder() / "flows"), configuration.flows


@click.command("versions")
@click.argument("name", metavar="FLOW")
@click.option("--config", default="config", show_default=True, type=Path, help="Folder of the configuration.")
def versions(name: str, config: Path) -> None:
    """List the versions of a flow that were kept, newest first; the one in its folder is marked.

    列出流程的历史版本。
    """
    store, flows = open_store(config)
    current = load_flows(flows)[0].get(name)
    if current is not None:
        store.keep(current, time.time())
    kept = store.list(name)
    if not kept:
        raise click.ClickException(f"there is no flow {name}")
    for version in kept:
        moment = datetime.fromtimestamp(version.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        mark = "*" if current is not None and version.version == current.version else " "
        note = "  with an announcement" if version.announced else ""
        click.echo(f"{mark} {version.version}  {moment}{note}")


@click.command("rollback")
@click.argument("name", metavar="FLOW")
@click.argument("version", required=False)
@click.option("--config", default="config", show_default=True, type=Path, help="Folder of the configuration.")
def rollback(name: str, version: str | None, config: Path) -> None:
    """Put an earlier version of a flow back in its folder: the one named, or the one before the current.

    Calls under way finish with the version they began with; `tandem reload` puts it in force for new ones. An outage
    announcement stays as it is.

    恢复流程的旧版本；进行中的通话不受影响，执行 tandem reload 后对新来电生效；故障公告保持不变。
    """
    store, flows = open_store(config)
    current = load_flows(flows)[0].get(name)
    if current is not None:
        store.keep(current, time.time())
    now = current.version if current is not None else ""
    if version:
        kept = store.find(name, version)
    elif current is not None:
        kept = store.find_before(current)
    else:
        kept = next((entry for entry in store.list(name) if not entry.announced), None)
    if kept is None:
        raise click.ClickException(f"there is no {'version ' + version if version else 'earlier version'} of {name}")
    if kept.version == now:
        click.echo(f"{name} is at {now} already")
        return
    store.restore(kept, flows / name)
    _, problems = load_folder(flows)
    mine = [problem for problem in problems if Path(problem.file).parent.name == name]
    for problem in mine:
        click.echo(render(problem) + "\n")
    click.echo(f"{name}: {now or 'nothing'} → {kept.version}; `tandem reload` puts it in force")
    raise SystemExit(1 if any(problem.severity == "error" for problem in mine) else 0)
