"""Asking the running server, for commands like `tandem reload`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from pbx.adapters.control_socket import Answer, Question
from pbx.config.loader import examine

F = TypeVar("F", bound=Callable[..., Any])

SOCKET = Path("run/control.sock")
"""Below the data folder."""


def config_option(function: F) -> F:
    """`--config`, by which the data folder of the server is found."""
    option = click.option(
        "--config", "folder", default="config", show_default=True, type=Path, help="Folder of the configuration."
    )
    return option(function)


def ask(folder: Path, command: str, arguments: dict[str, str] | None = None, *, timeout: float = 60.0) -> Any:
    """The server's result. Raises ClickException with what the server, or the lack of one, says."""
    path = find_socket(folder)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(Question(command, arguments or {})) + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except TimeoutError:
        raise click.ClickException(f"the server at {path} does not answer") from None
    except OSError as error:
        raise click.ClickException(f"no server answers at {path}: {error.strerror}") from None
    if not line:
        raise click.ClickException(f"the server at {path} refuses to talk to this user")
    answer = msgspec.json.decode(line, type=Answer)
    if answer.error:
        raise click.ClickException(answer.error)
    return answer.result


def find_socket(folder: Path) -> Path:
    """Where the server of this configuration listens; errors do not matter as long as the data folder is clear."""
    examined = examine(folder)
    if examined.readable is None:
        raise click.ClickException(f"{folder} cannot be read: 'tandem check --config {folder}' says why")
    return examined.readable.data_folder() / SOCKET
