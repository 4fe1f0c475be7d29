"""`tandem user`: who may use the HTTP API and the CTI socket."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pbx.cli.database import database_option, open_database
from pbx.cli.event_lines import format_time
from pbx.cti.actor import ROLES, Role
from pbx.storage.users import UserError, Users


@click.group("user")
def command() -> None:
    """Users and their tokens; a running server takes changes over within seconds.

    管理用户与令牌。
    """


@command.command()
@database_option
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--agent", default="", help="The agent this user is.")
@click.option("--team", "teams", multiple=True, help="Team a supervisor or quality user sees; may be repeated.")
@click.option("--password", help="Asked for if not given; better so, as others can see command lines.")
@click.option("--no-password", is_flag=True, help="Tokens only.")
def add(
    folder: Path, name: str, role: Role, agent: str, teams: tuple[str, ...], password: str | None, no_password: bool
) -> None:
    """Add a user, or change one."""
    if password is None and not no_password:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    with open_database(folder, create=True) as engine:
        try:
            user = Users(engine).put_user(name, role, wall=time.time(), agent=agent, teams=teams, password=password)
        except UserError as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{user.name}: {user.role}" + (f", agent {user.agent}" if user.agent else ""))


@command.command("list")
@database_option
def list_users(folder: Path) -> None:
    """Show all users."""
    with open_database(folder) as engine:
        for user in Users(engine).list_users():
            more = [f"agent {user.agent}" if user.agent else "", *(f"team {team}" for team in user.teams)]
            more += ["" if user.has_password else "no password", "" if user.enabled else "off", f"by {user.origin}"]
            click.echo(f"{user.name:<20} {user.role:<14} {', '.join(filter(None, more))}")


@command.command()
@database_option
@click.argument("name")
def remove(folder: Path, name: str) -> None:
    """Remove a user and all its tokens."""
    with open_database(folder) as engine:
        if not Users(engine).remove_user(name):
            raise click.ClickException(f"there is no user {name!r}")


@command.command()
@database_option
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), help="How long it is valid; for ever if not given."
)
def token(folder: Path, name: str, label: str, days: float | None) -> None:
    """Make a token for a user and print it: it is shown this once."""
    with open_database(folder) as engine:
        try:
            made = Users(engine).create_token(
                name, wall=time.time(), label=label, lifetime_s=None if days is None else days * 86_400
            )
        except UserError as error:
            raise click.ClickException(str(error)) from None
    click.echo(made)


@command.command()
@database_option
@click.argument("name", default="")
def tokens(folder: Path, name: str) -> None:
    """List tokens (not the tokens themselves: nobody knows them any more)."""
    with open_database(folder) as engine:
        for known in Users(engine).list_tokens(name):
            until = f"until {format_time(known.expires_at)[:19]}" if known.expires_at else "for ever"
            click.echo(f"{known.id}  {known.user:<20} {until:<26} {known.label}".rstrip())


@command.command()
@database_option
@click.argument("token_id")
def revoke(folder: Path, token_id: str) -> None:
    """Make a token worthless: by its id, or the token itself."""
    with open_database(folder) as engine:
        if not Users(engine).revoke_token(token_id):
            raise click.ClickException("there is no such token")
