"""tandem events, cdr, user and cti."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pbx.cli import main
from pbx.cli.event_lines import format_event
from pbx.cti.commands import GenerateDigits, HoldCall, SetQueueOpen
from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history
from tests.unit.web.desk_harness import Desk, run_desk

ROOT = Path(__file__).parents[3]
Run = Callable[..., Result]


@pytest.fixture
def run(tandem_home: Path) -> Run:
    """Runs a command with the sample configuration and a database of its own; fails unless it ends as expected."""

    def invoke(*arguments: str, fails: bool = False, input: str | None = None) -> Result:
        result = CliRunner().invoke(main, list(arguments), input=input, catch_exceptions=False)
        assert (result.exit_code != 0) == fails, result.output
        return result

    return invoke


@pytest.fixture
def history(tandem_home: Path, run: Run) -> Path:
    """A database with thirty calls."""
    run("user", "add", "nobody", "--config", str(ROOT / "config"), "--role", "administrator", "--no-password")
    (database,) = tandem_home.rglob("*.db")
    log = EventLog(f"sqlite:///{database}", journal=tandem_home / "journal")
    log.open()
    log.append(make_history(30, agents=3))
    assert log.close()
    return ROOT / "config"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with run_desk(tmp_path) as found:
        yield found


def test_nothing_to_read_is_said_so(run: Run) -> None:
    for command in ("events", "cdr"):
        assert "there is no database yet" in run(command, "--config", str(ROOT / "config"), fails=True).output
    assert "has errors" in run("events", "--config", "/nonexistent", fails=True).output


def test_events(run: Run, history: Path) -> None:
    newest = run("events", "--config", str(history), "--limit", "5").output.splitlines()
    assert len(newest) == 5 and newest[-1].split()[3] == "AgentReady"
    first = run("events", "--config", str(history), "--since", "0", "--limit", "3", "--json").output.splitlines()
    assert [json.loads(line)["seq"] for line in first] == [1, 2, 3]
    call = run("events", "--config", str(history), "--call", "c1-4", "--type", "Established").output.splitlines()
    assert len(call) == 2 and all("call=c1-4" in line for line in call)
    run("events", "--config", str(history), "--call", "none", fails=True)


def test_cdr(run: Run, history: Path) -> None:
    table = run("cdr", "--config", str(history), "--limit", "100").output
    assert table.count("\n") == 31 and "(solved)" in table
    rows = run("cdr", "--config", str(history), "--outcome", "abandoned", "--json").output.splitlines()
    assert len(rows) == 4 and {json.loads(row)["outcome"] for row in rows} == {"abandoned"}
    one = run("cdr", "c1-1", "--config", str(history)).output
    assert "talk 6.0 s from, 9.0 s to (40% from); silence " in one and "cross-talk 0.5 s in 1" in one
    assert "queue:sales" in one and "extension:1002" in one and "c1-1-r 0-" in one
    assert json.loads(run("cdr", "c1-1", "--config", str(history), "--json").output)["detail"]["call"] == "c1-1"
    assert "does it still run?" in run("cdr", "none", "--config", str(history), fails=True).output


def test_users_and_tokens(run: Run) -> None:
    at = ["--config", str(ROOT / "config")]
    run("user", "add", "lea", *at, "--role", "agent", "--agent", "1002", input="long enough\nlong enough\n")
    assert (
        "needs the agent it is" in run("user", "add", "x", *at, "--role", "agent", "--no-password", fails=True).output
    )
    short = run("user", "add", "x", *at, "--role", "quality", "--password", "short", fails=True)
    assert "at least 8 characters" in short.output
    run("user", "add", "sue", *at, "--role", "supervisor", "--team", "red", "--team", "blue", "--no-password")
    listed = run("user", "list", *at).output
    assert "agent 1002" in listed and "team red, team blue, no password" in listed
    token = run("user", "token", "lea", *at, "--label", "phone", "--days", "30").output.strip()
    known = run("user", "tokens", "lea", *at).output
    assert token.startswith("tdm_") and token not in known and "phone" in known and "until" in known
    run("user", "token", "nobody", *at, fails=True)
    run("user", "revoke", known.split()[0], *at)
    assert run("user", "tokens", "lea", *at).output == ""
    run("user", "revoke", token, *at, fails=True)
    run("user", "remove", "lea", *at)
    run("user", "remove", "lea", *at, fails=True)


async def tandem(desk: Desk, user: str, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pbx", "cti", *arguments, "--url", desk.ws_url, "--token", desk.tokens[user]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, out.decode(), err.decode()


async def test_cti_send(desk: Desk) -> None:
    assert await tandem(desk, "anna", "send", "HoldCall", "call=12345678") == (0, '{\n  "done": true\n}\n', "")
    await tandem(desk, "anna", "send", "GenerateDigits", "call=c1", "digits=123", "duration_ms=80")
    await tandem(desk, "susan", "send", "SetQueueOpen", "queue=support", "open=false")
    assert [command for _, command, _ in desk.commands] == [
        HoldCall(call="12345678"),
        GenerateDigits(call="c1", digits="123", duration_ms=80),
        SetQueueOpen(queue="support", open=False),
    ]
    for user, arguments, told in (
        ("anna", ("TakeOver", "agent=1001"), "(forbidden)"),
        ("anna", ("HoldCall", "cal=1"), "HoldCall has no 'cal': expected call, leg"),
        ("anna", ("HoldCall", "call"), "expected NAME=VALUE"),
        ("anna", ("GenerateDigits", "call=c", "digits=1", "duration_ms=x"), "duration_ms"),
    ):
        code, _, error = await tandem(desk, user, "send", *arguments)
        assert code != 0 and told in error
    desk.tokens["mallory"] = "x" * 20
    code, _, error = await tandem(desk, "mallory", "send", "HoldCall", "call=1")
    assert code != 0 and "401 this token is not valid" in error


async def test_cti_tail(desk: Desk) -> None:
    history = make_history(5, agents=3)
    desk.replay(history)
    await desk.settle()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pbx", "cti", "tail", "--url", desk.ws_url, "--token", desk.tokens["root"]),
        *("--since", "0", "--type", "CallCleared"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None
    lines = [(await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in range(5)]
    assert all(" CallCleared " in line and "outcome=answered" in line for line in lines)
    process.terminate()
    await process.wait()


def test_a_line_quotes_what_needs_it() -> None:
    record = {"seq": 7, "at": 0.0, "event": {"type": "Held", "leg": "l", "call": "c", "note": "a b", "n": 3, "x": ""}}
    assert format_event(record).endswith('Held                   call=c leg=l note="a b" n=3 x=""')


def test_help_names_the_commands() -> None:
    context = click.Context(main)
    assert {"cdr", "cti", "events", "user"} <= set(main.list_commands(context))
