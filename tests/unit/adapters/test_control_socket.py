"""The operator's door: questions, answers, and who may not come in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from pbx.adapters.control_socket import MAX_LINE, CommandFailed, ControlSocket


async def add(arguments: Mapping[str, str]) -> int:
    try:
        return int(arguments["a"]) + int(arguments["b"])
    except (KeyError, ValueError):
        raise CommandFailed("a and b have to be numbers") from None


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "run" / "control.sock"
    control = ControlSocket(path, {"add": add})
    await control.start()
    yield path
    await control.stop()
    assert not path.exists()


async def say(path: Path, *lines: bytes) -> list[object]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.writelines(lines)
    answers = [msgspec.json.decode(await reader.readline()) for _ in lines]
    writer.close()
    await writer.wait_closed()
    return answers


async def test_questions_are_answered_in_order(door: Path) -> None:
    assert await say(
        door,
        b'{"command": "add", "arguments": {"a": "1", "b": "2"}}\n',
        b'{"command": "add", "arguments": {"a": "x"}}\n',
        b'{"command": "subtract"}\n',
        b"{1, 2\n",
        b'{"arguments": {}}\n',
        b'{"command": "add", "arguments": {"a": "5", "b": "2"}}\n',
    ) == [
        {"result": 3},
        {"error": "a and b have to be numbers"},
        {"error": "there is no command 'subtract'; there are add"},
        {"error": "this is no command: JSON is malformed: object keys must be strings (byte 1)"},
        {"error": "this is no command: Object missing required field `command`"},
        {"result": 7},
    ]


async def test_only_the_owner_may_open_it(door: Path) -> None:
    status = await asyncio.to_thread(door.stat)
    assert status.st_mode & 0o777 == 0o600


async def test_a_line_without_end_closes_the_door(door: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(door))
    writer.write(b"x" * (MAX_LINE * 3))
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert await say(door, b'{"command": "add", "arguments": {"a": "1", "b": "1"}}\n') == [{"result": 2}]


async def test_two_servers_do_not_share_a_door(door: Path) -> None:
    with pytest.raises(OSError, match="another server uses"):
        await ControlSocket(door, {}).start()
    assert await say(door, b'{"command": "add", "arguments": {"a": "1", "b": "1"}}\n') == [{"result": 2}]


async def test_the_door_of_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    path.parent.mkdir()
    dead = await asyncio.start_unix_server(lambda reader, writer: None, path)
    dead.close()
    await dead.wait_closed()
    path.touch()
    control = ControlSocket(path, {"add": add})
    await control.start()
    assert await say(path, b'{"command": "add", "arguments": {"a": "1", "b": "1"}}\n') == [{"result": 2}]
    await control.stop()
