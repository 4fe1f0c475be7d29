"""The real server: `tandem status`, and `tandem reload` that applies a configuration whole or not at all."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pbx.server import Server

TANDEM = """\
flows: flows
sip:
  listeners:
    udp: {transport: udp, address: 127.0.0.1, port: 0}
rtp: {address: 127.0.0.1, port_min: 33000, port_max: 33099}
http: {port: 0}
logging: {level: error}
"""
EXTENSIONS = "extensions:\n  1001: {name: A}\n"


class Result(NamedTuple):
    """What a command came to."""

    exit_code: int
    output: str
    errors: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "flows").mkdir(parents=True)
    (folder / "tandem.yaml").write_text(TANDEM)
    (folder / "extensions.yaml").write_text(EXTENSIONS)
    return folder


@pytest.fixture
async def server(folder: Path, tandem_home: Path) -> AsyncIterator[Server]:
    made: list[str] = []
    server = Server(folder, show_secret=lambda name, value: made.append(name))
    await server.start()
    assert made == ["extension-1001"]
    yield server
    await server.stop()


async def tandem(*arguments: str | Path) -> Result:
    """The command in a process of its own, as an operator runs it."""
    words = [str(argument) for argument in arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pbx", *words, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, output.decode(), errors.decode())


async def test_status_names_every_part(server: Server, folder: Path) -> None:
    result = await tandem("status", "--config", folder)
    assert result.exit_code == 0
    lines = dict(line.split(None, 1) for line in result.output.splitlines())
    assert lines["calls"] == "0"
    assert "sip/udp 127.0.0.1:" in lines["server"]
    assert lines["gateway"].startswith("local")


async def test_reload_tells_what_changed(server: Server, folder: Path) -> None:
    (folder / "extensions.yaml").write_text(EXTENSIONS + "  1002: {name: B}\n")
    (folder / "queues.yaml").write_text("queues: {support: {}}\n")
    result = await tandem("reload", "--config", folder)
    assert result.output.splitlines() == ["extensions.1002: added", "queues.support: added", "applied"]
    assert set(server.configuration.extensions) == {"1001", "1002"}
    assert (await tandem("reload", "--config", folder)).output == "applied; nothing changed\n"


async def test_reload_tells_which_flows_changed(server: Server, folder: Path) -> None:
    flow = server.configuration.flows / "new" / "flow.yaml"
    flow.parent.mkdir(parents=True)
    flow.write_text("nodes:\n  start: [answer, hangup]\n")
    assert (await tandem("reload", "--config", folder)).output.splitlines() == ["flows.new: added", "applied"]
    flow.write_text("nodes:\n  start: [answer, {pause: 1s}, hangup]\n")
    (changed, applied) = (await tandem("reload", "--config", folder)).output.splitlines()
    assert changed.startswith("flows.new: version ") and applied == "applied"
    flow.unlink()
    assert (await tandem("reload", "--config", folder)).output.splitlines() == ["flows.new: removed", "applied"]


async def test_a_wrong_configuration_is_refused_whole(server: Server, folder: Path) -> None:
    before = server.configuration
    (folder / "extensions.yaml").write_text(EXTENSIONS + "  1002: {name: B}\n")
    (folder / "queues.yaml").write_text("queues: {support: {max_wait: soon}}\n")
    result = await tandem("reload", "--config", folder)
    assert result.exit_code == 1
    assert "queues.yaml:1:30: error: queues.support.max_wait is 'soon'" in result.errors
    assert result.errors.endswith("refused: 1 error; the old configuration stays\n")
    assert server.configuration is before


async def test_a_configuration_whose_secrets_are_missing_is_refused(server: Server, folder: Path) -> None:
    before = server.configuration
    (folder / "extensions.yaml").write_text("extensions:\n  1001: {name: A, secret: {env: NOT_SET_ANYWHERE}}\n")
    result = await tandem("reload", "--config", folder)
    assert result.exit_code == 1
    assert "the environment variable NOT_SET_ANYWHERE is not set" in result.errors
    assert server.configuration is before


async def test_without_a_server(folder: Path, tandem_home: Path) -> None:
    result = await tandem("status", "--config", folder)
    assert result.exit_code == 1
    assert f"no server answers at {tandem_home}/run/control.sock" in result.errors
