"""`tandem ivr`: test, check, call and draw flows without a telephone."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS: dict[str, str] = {
    # name: module that exports ``command``
    "test": "pbx.cli.ivr_test",
}


class IvrGroup(click.Group):
    """Imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command


@click.group(cls=IvrGroup)
def command() -> None:
    """Flows of the IVR: test, call, draw, compare versions.

    IVR 流程：测试、试呼、绘图、版本管理。
    """
