"""`tandem cti`: a small client of the CTI socket."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pbx.cli.event_lines import format_event, format_value
from pbx.cti.commands import COMMANDS

F = TypeVar("F", bound=Callable[..., Any])
RETRY_S = 1.0
FINAL_CODES = (4001, 4003, 4004)
"""Close codes after which coming back does not help."""


def socket_options(function: F) -> F:
    url = click.option("--url", envvar="TANDEM_CTI", default="ws://127.0.0.1:8080/cti", show_default=True)
    token = click.option(
        "--token", envvar="TANDEM_TOKEN", required=True, help="From 'tandem user token'; or TANDEM_TOKEN."
    )
    return url(token(function))


@click.group()
def command() -> None:
    """Follow events and give commands over the CTI socket.

    通过 CTI 接口跟踪事件、发送命令。
    """


@command.command()
@socket_options
@click.option("--since", type=click.IntRange(min=0), help="Last number you saw; without it: from now on.")
@click.option("--agent", "agents", multiple=True)
@click.option("--queue", "queues", multiple=True)
@click.option("--team", "teams", multiple=True)
@click.option("--type", "events", multiple=True, help="Only events of this type; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(
    url: str,
    token: str,
    since: int | None,
    agents: tuple[str, ...],
    queues: tuple[str, ...],
    teams: tuple[str, ...],
    events: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print events as they happen; comes back after a broken connection without a gap."""
    wanted = {"agents": agents, "queues": queues, "teams": teams, "events": events}
    while True:
        try:
            with open_socket(url, token) as socket:
                position = {} if since is None else {"since": since}
                send(socket, "Subscribe", {name: value for name, value in wanted.items() if value} | position)
                while True:
                    since = show(receive(socket), since, as_json)
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "connection lost")
            click.echo(f"closed by the server: {code} {reason}", err=True)
            if code in FINAL_CODES:
                raise SystemExit(1) from None
        except OSError as error:
            click.echo(f"no connection to {url}: {error.strerror or error}", err=True)
        time.sleep(RETRY_S)


@command.command("send")
@socket_options
@click.argument("method", type=click.Choice(list(COMMANDS)), metavar="COMMAND")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--id", "request", default="", help="Id of the command: the same one again only repeats the answer.")
def send_command(url: str, token: str, method: str, params: tuple[str, ...], request: str) -> None:
    """Give one COMMAND and print the answer: tandem cti send HoldCall call=c1"""
    values: dict[str, Any] = {}
    for param in params:
        name, sign, value = param.partition("=")
        if not sign:
            raise click.BadParameter(f"{param!r}: expected NAME=VALUE")
        values[name] = parse_value(method, name, value)
    try:
        with open_socket(url, token) as socket:
            id = send(socket, method, values, request)
            while (message := receive(socket)).get("id") != id:
                pass
    except ConnectionClosed as closed:
        raise click.ClickException(f"closed by the server: {closed}") from None
    except OSError as error:
        raise click.ClickException(f"no connection to {url}: {error.strerror or error}") from None
    if "error" in message:
        raise click.ClickException(f"{message['error']['message']} ({message['error']['data']['code']})")
    click.echo(msgspec.json.format(msgspec.json.encode(message["result"])).decode())


def parse_value(method: str, name: str, text: str) -> Any:
    """What the field of the command takes; text stays text, even if it looks like a number."""
    field = next((field for field in msgspec.structs.fields(COMMANDS[method]) if field.name == name), None)
    if field is None:
        known = ", ".join(COMMANDS[method].__struct_fields__)
        raise click.BadParameter(f"{method} has no {name!r}: expected {known}")
    for candidate in (text, *_try_json(text)):
        try:
            msgspec.convert(candidate, field.type)
            return candidate
        except msgspec.ValidationError as error:
            problem = error
    raise click.BadParameter(f"{name}: {problem}")


def _try_json(text: str) -> list[Any]:
    try:
        return [msgspec.json.decode(text)]
    except msgspec.DecodeError:
        return []


def open_socket(url: str, token: str) -> ClientConnection:
    try:
        return connect(url, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None)
    except InvalidStatus as error:
        body = (error.response.body or b"").decode(errors="replace").strip()
        raise click.ClickException(f"the server refused: {error.response.status_code} {body}") from None
    except InvalidHandshake as error:
        raise click.ClickException(f"{url} is no CTI socket: {error}") from None


def send(socket: ClientConnection, method: str, params: dict[str, Any], request: str = "") -> str:
    id = request or str(uuid.uuid4())
    socket.send(msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).decode())
    return id


def receive(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(socket.recv())
    return found


def show(message: dict[str, Any], since: int | None, as_json: bool) -> int | None:
    """Print a message; returns the number to go on from."""
    if "error" in message:
        raise click.ClickException(message["error"]["message"])
    if "result" in message:
        result = message["result"]
        if result.get("gap"):
            gap = result["gap"]
            click.echo(f"events {gap['first']} to {gap['last']} are not kept any more", err=True)
        return since if result["resumed"] else int(result["seq"])
    params = message["params"]
    if message["method"] == "event":
        click.echo(msgspec.json.encode(params) if as_json else format_event(params))
    elif message["method"] != "position" and not as_json:
        click.echo(f"          {message['method']}: {format_value(params)}")
    return int(params.get("seq", since)) if message["method"] in ("event", "position") else since
