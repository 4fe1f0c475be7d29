"""`tandem ivr`: test, check, call and draw flows without a telephone."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (module, its command, one line for --help)
    "announce": ("pbx.cli.ivr_announce", "command", "Put an outage announcement in front of flows, at once."),
    "call": ("pbx.cli.ivr_call", "command", "Call a flow in the terminal with the keyboard."),
    "draw": ("pbx.cli.ivr_draw", "command", "Draw a flow as SVG, with counts of callers."),
    "hear": ("pbx.cli.ivr_hear", "command", "Try the speech of a menu with a sound file."),
    "rollback": ("pbx.cli.ivr_versions", "rollback", "Put an earlier version of a flow back."),
    "stats": ("pbx.cli.ivr_stats", "command", "Paths, drop-outs and containment from the event log."),
    "test": ("pbx.cli.ivr_test", "command", "Run the test cases of flows on a virtual clock."),
    "versions": ("pbx.cli.ivr_versions", "versions", "List the versions of a flow."),
}


class IvrGroup(click.Group):
    """Imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=IvrGroup)
def command() -> None:
    """Flows of the IVR: test, call, draw, compare versions.

    IVR 流程：测试、试呼、绘图、版本管理。
    """
