"""The operator's door: a Unix socket in the data folder, for `tandem reload`, `tandem status` and the like.

One line of JSON asks, one line answers. Only the user who runs the server, and root, may ask: the file's mode says so
and the kernel tells who is on the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

MAX_LINE = 64 * 1024
_PEER = struct.Struct("3i")

Handler = Callable[[Mapping[str, str]], Awaitable[Any]]


class CommandFailed(Exception):
    """The command cannot be carried out; the text is for the operator."""


class Question(msgspec.Struct, frozen=True):
    """What an operator asks."""

    command: str
    arguments: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What he is told: a result, or an error."""

    result: Any = None
    error: str = ""


class ControlSocket:
    """Serves ``handlers`` by name at ``path``."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Raises OSError if another server answers there, or the place cannot be used."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if await _answers(self._path):
            raise OSError(f"another server uses {self._path.parent.parent}")
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            os.chmod(self._path, 0o600)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)
        except OSError:
            listener.close()
            raise

    async def stop(self) -> None:
        """Close the door; whoever is inside is cut off."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not _is_ours(writer.get_extra_info("socket")):
                return
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ValueError, OSError):
            return  # a line beyond the limit, or the asker went away
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> Answer:
        try:
            question = msgspec.json.decode(line, type=Question)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return Answer(error=f"this is no command: {error}")
        handler = self._handlers.get(question.command)
        if handler is None:
            return Answer(
                error=f"there is no command {question.command!r}; there are {', '.join(sorted(self._handlers))}"
            )
        try:
            return Answer(result=await handler(question.arguments))
        except CommandFailed as error:
            return Answer(error=str(error))


async def _answers(path: Path) -> bool:
    """Whether a living server listens there."""
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True


def _is_ours(peer: socket.socket) -> bool:
    """Whether the other end runs as our user or as root."""
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in (0, os.geteuid())
