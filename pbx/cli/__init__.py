"""The command `tandem`: a click group whose subcommands are imported only when they are called.

A subcommand is a module `pbx/cli/<name>.py` that exports a click command named `command`, and one row of `COMMANDS`.
The row carries the line shown by `tandem --help`, so that neither help nor completion imports the server.
"""

from importlib import import_module

import click

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module, one line for --help)
    "bans": ("pbx.cli.bans", "Who is shut out, and for how long."),
    "cdr": ("pbx.cli.cdr", "Search call records; show one call from ring to wrap-up."),
    "check": ("pbx.cli.check", "Say everything that is wrong with configuration and flows."),
    "cti": ("pbx.cli.cti", "Follow events and give commands over the CTI socket."),
    "events": ("pbx.cli.events", "Read the event log."),
    "explain": ("pbx.cli.explain", "Why each agent was offered a call."),
    "ivr": ("pbx.cli.ivr", "Flows: test, call, draw, compare versions."),
    "kpi": ("pbx.cli.kpi", "Key figures of queues and agents, recomputed from the log."),
    "password": ("pbx.cli.password", "Hash a password for the configuration."),
    "prompts": ("pbx.cli.prompts", "What flows say: list, script, recordings, rendering."),
    "reload": ("pbx.cli.reload", "Let the running server take over a changed configuration."),
    "schemas": ("pbx.cli.schemas", "Write the JSON Schemas of the configuration for editors."),
    "serve": ("pbx.cli.serve", "Run the server."),
    "simulate": ("pbx.cli.simulate", "Simulate queues and agents with the real ACD, beside Erlang."),
    "status": ("pbx.cli.status", "Show how the running server does."),
    "trace": ("pbx.cli.trace", "The SIP messages of a call as a ladder, or for Wireshark."),
    "user": ("pbx.cli.users", "Users of the HTTP API and the CTI socket, and their tokens."),
}
"""The subcommands, in the order of the alphabet."""


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = import_module(module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tandem-pbx", prog_name="tandem")
def main() -> None:
    """Tandem, a call centre in software."""
