"""`tandem explain`: the real ACD's decisions, through the log and back into words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pbx.acd.messages import Offer
from pbx.cli import main
from pbx.events import catalogue as facts
from pbx.storage.event_log import EventLog
from tests.unit.acd.centre import Centre, make_agent

CONFIG = str(Path(__file__).parents[3] / "config")


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--config", CONFIG, *arguments])


@pytest.fixture
def log(tandem_home: Path) -> Path:
    """A call offered to two agents, the second one by a version long gone, and one that nobody was offered."""
    arguments = ["user", "add", "somebody", "--config", CONFIG, "--role", "administrator", "--no-password"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    (database,) = tandem_home.rglob("*.db")
    centre = Centre(agents=(make_agent("ann"), make_agent("bob")))
    centre.do("set_state", "bob", "not_ready", "lunch")
    centre.call("c1")
    why = centre.one(Offer).why.to_data()
    event_log = EventLog(f"sqlite:///{database}", journal=tandem_home / "journal")
    event_log.open()
    offered = facts.AgentOffered(call="c1", item="c1", queue="support", agent="ann", offer="o1", why=why)
    missed = facts.OfferEnded(
        call="c1", item="c1", queue="support", agent="ann", offer="o1", result="no_answer", ringing_s=20.0
    )
    old = facts.AgentOffered(call="c1", item="c1", queue="support", agent="bob", offer="o2", why={"chosen": "bob"})
    events: list[facts.AnyEvent] = [
        offered,
        missed,
        old,
        facts.QueueLeft(call="c1", item="c1", queue="support", reason="abandoned", waited_s=31.0),
        facts.QueueLeft(call="c2", item="c2", queue="support", reason="answered", waited_s=1.0, agent="ann"),
    ]
    event_log.append([facts.Record(n, 1_700_000_000.0 + n, event) for n, event in enumerate(events, 1)])
    assert event_log.close()
    return database


def test_in_words(log: Path) -> None:
    text = explain("c1").output
    assert "ann was offered c1 of support" in text
    assert "bob: not_ready: lunch" in text
    assert "ann: no_answer (20.0 s)" in text
    assert "support: abandoned (31.0 s)" in text
    assert "kept by another version of Tandem" in text
    assert "队列中就绪 1 人" in explain("c1", "--language", "zh").output


def test_as_data(log: Path) -> None:
    first, second = (json.loads(line) for line in explain("c1", "--json").output.splitlines())
    assert (first["offer"], first["tie_break"], first["ready"]) == ("o1", "only one", 1)
    assert second["chosen"] == "bob"


def test_nothing_to_explain(log: Path) -> None:
    assert "no agent was offered this call" in explain("c2").output
    result = explain("c9")
    assert result.exit_code == 1 and "there is no event of a call 'c9'" in result.output
