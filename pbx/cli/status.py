"""`tandem status`: how the running server does."""

from __future__ import annotations

from pathlib import Path

import click

from pbx.cli.control import ask, config_option


@click.command()
@config_option
def command(folder: Path) -> None:
    """Show how the running server does: calls, gateways, trunks, storage.

    显示运行中的服务器状态：通话、网关、中继、存储。
    """
    result: dict[str, object] = ask(folder, "status")
    width = max(map(len, result), default=0)
    for name, value in result.items():
        click.echo(f"{name:<{width}}  {value}")
