"""`tandem kpi` on a database with a history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pbx.cli import main
from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history

CONFIG = str(Path(__file__).parents[3] / "config")


def kpi(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["kpi", "--config", CONFIG, *arguments])


@pytest.fixture
def history(tandem_home: Path) -> tuple[str, ...]:
    """A database with thirty calls, and the options of a span that holds them all."""
    arguments = ["user", "add", "somebody", "--config", CONFIG, "--role", "administrator", "--no-password"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    (database,) = tandem_home.rglob("*.db")
    log = EventLog(f"sqlite:///{database}", journal=tandem_home / "journal")
    log.open()
    log.append(make_history(30, agents=3))
    assert log.close()
    return "--from", "2000-01-01", "--to", "2100-01-01"


def test_figures_are_recomputed_from_the_log(history: tuple[str, ...]) -> None:
    figures = json.loads(kpi(*history, "--json").output)
    queues = figures["queues"].values()
    assert sum(queue["offered"] for queue in queues) == 30
    assert sum(queue["abandoned"] for queue in queues) == 4
    assert sum(agent["handled"] for agent in figures["agents"].values()) == 26
    assert len(figures["indicators"]) == 23
    assert 0 < figures["indicators"]["occupancy"] < 1
    assert figures == json.loads(kpi(*history, "--json").output)


def test_as_tables(history: tuple[str, ...]) -> None:
    text = kpi(*history).output
    assert "the 23 indicators" in text and "服务水平" in text
    other = json.loads(kpi(*history, "--json", "--service-level", "offered").output)
    assert other["service_level"] == "offered"


def test_nothing_happened_today(history: tuple[str, ...]) -> None:
    figures = json.loads(kpi("--json", "--from", "2001-01-01").output)
    assert figures["queues"] == {} and figures["agents"] == {}
    assert "–" in kpi("--from", "2001-01-01").output
    assert kpi("--json").exit_code == 0


def test_a_span_backwards(history: tuple[str, ...]) -> None:
    result = kpi("--from", "2001-01-02", "--to", "2001-01-01")
    assert result.exit_code == 1 and "ends before it begins" in result.output
