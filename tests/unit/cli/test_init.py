"""The command group: version, help without imports, subcommands on demand."""

import sys
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from pbx import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    @click.command()
    def command() -> None:
        click.echo("hello")

    module = ModuleType("tests_cli_hello")
    module.__dict__["command"] = command
    monkeypatch.setitem(sys.modules, "tests_cli_hello", module)
    monkeypatch.setitem(cli.COMMANDS, "hello", ("tests_cli_hello", "Says hello."))
    monkeypatch.setitem(cli.COMMANDS, "absent", ("tests_cli_absent", "Its module cannot be imported."))
    return CliRunner()


def test_version(run: CliRunner) -> None:
    result = run.invoke(cli.main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("tandem, version ")


def test_help_imports_no_subcommand(run: CliRunner) -> None:
    result = run.invoke(cli.main, ["--help"])
    assert result.exit_code == 0, result.exception
    assert "Says hello." in result.output
    assert "Its module cannot be imported." in result.output


def test_subcommand_runs(run: CliRunner) -> None:
    assert run.invoke(cli.main, ["hello"]).output == "hello\n"


def test_unknown_subcommand_is_an_error(run: CliRunner) -> None:
    result = run.invoke(cli.main, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command" in result.output
