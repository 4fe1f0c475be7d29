"""The announcement in front of a flow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pbx.cli import main
from pbx.ivr import load_folder
from pbx.ivr import messages as m
from pbx.ivr.loader import load_flow
from pbx.ivr.outage import write_outage
from tests.unit.ivr.flows import Driver

ROOT = Path(__file__).parents[3]
FLOW = "languages: [en, zh]\nnodes:\n  a:\n    - answer\n    - say: Hello\n    - hangup\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "flow.yaml").write_text(FLOW)
    return tmp_path / "shop"


def test_heard_first_and_not_cut_short(folder: Path) -> None:
    plain, _ = load_flow(folder)
    write_outage(folder, {"en": "It's down: {{ now.time | time }}", "zh": "系统故障"}, "continue")
    flow, problems = load_flow(folder)
    assert problems == [] and plain is not None and flow is not None
    assert flow.version != plain.version
    d = Driver(flow).start().press("1")
    assert d.words == ["It's down: two oh five p.m."]
    d.played()
    assert d.path == ["_outage", "a"]
    assert d.words[-1] == "Hello"
    assert Driver(flow, language="zh").start().words == ["系统故障"]
    assert load_folder(folder.parent)[1] == []


def test_hangs_up_when_told_so(folder: Path) -> None:
    write_outage(folder, {"en": "Closed"}, "hangup")
    flows, problems = load_folder(folder.parent)
    assert problems == [], "the flow behind it is not lost, only not reached today"
    d = Driver(flows["shop"]).start().played()
    assert d.path == ["_outage"]
    assert d.every(m.Hangup)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("text: [", "this is not YAML"),
        ("then: wait\ntext: x", "found 'wait'"),
        ("text: '{{ 1 + }}'", "this is not an expression"),
        ("text: '{{ name }}'", "the variable 'name' is never set"),
    ],
)
def test_wrong_announcements_never_go_live(folder: Path, text: str, message: str) -> None:
    (folder / "outage.yaml").write_text(text)
    flows, problems = load_folder(folder.parent)
    assert flows == {}
    assert message in problems[0].message
    assert problems[0].file.endswith("outage.yaml")


def run(office: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["ivr", "announce", "--config", str(office / "config"), *arguments])


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "ivr_flows", tmp_path / "ivr_flows")
    monkeypatch.setenv("TANDEM_HOME", str(tmp_path / "var"))
    file = tmp_path / "ivr_flows" / "main" / "outage.yaml"
    result = run(tmp_path, "main", "survey", "--text", "en=We have a fault", "--text", "zh=系统故障")
    assert result.exit_code == 0, result.output
    assert "main: announcement in front" in result.output
    assert "the server is not running here" in result.output
    assert "系统故障" in file.read_text("utf-8")
    assert run(tmp_path, "main", "--text", "en={{ nope }}").exit_code == 1
    assert "系统故障" in file.read_text("utf-8"), "a wrong one does not replace the one in force"
    wrong = run(tmp_path, "main", "--text", "zh=故障", "--text", "cn=故障")
    assert wrong.exit_code == 1
    assert "the flow main does not speak 'cn'" in wrong.output
    assert "no text in en" in run(tmp_path, "main", "--text", "zh=故障").output
    assert run(tmp_path, "main", "survey", "--off").exit_code == 0
    assert not file.exists()
    assert run(tmp_path, "main").exit_code == 1
    assert run(tmp_path, "nothing", "--off").exit_code == 1
