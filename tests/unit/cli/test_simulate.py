"""`tandem simulate` as somebody at a terminal sees it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pbx.cli import main
from pbx.events import catalogue as facts

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / "config")


def simulate(*options: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *options])


def test_beside_erlang() -> None:
    result = simulate("--agents", "14", "--patience", "300", "--runs", "3", "--hours", "1")
    assert result.exit_code == 0
    assert "beside Erlang A" in result.output
    assert "14 agents" in result.output
    assert "service level 服务水平" in result.output


def test_figures_as_json_are_the_same_for_the_same_seed() -> None:
    options = (
        "--agents",
        "5",
        "--calls-per-hour",
        "80",
        "--runs",
        "2",
        "--hours",
        "1",
        "--format",
        "json",
        "--seed",
        "9",
    )
    (first,), (second,) = json.loads(simulate(*options).output), json.loads(simulate(*options).output)
    assert first["queues"] == second["queues"]
    assert first["theory"] == "Erlang C"
    assert first["queues"]["queue"]["service_level"]["runs"] == 2


def test_a_target_finds_the_agents() -> None:
    result = simulate("--target", "80", "--patience", "300", "--runs", "2", "--hours", "2")
    assert result.exit_code == 0
    assert "13 agents" in result.output
    assert "target 目标 80 %" in result.output


def test_the_configured_centre_and_its_strategies(tmp_path: Path) -> None:
    scenario = tmp_path / "monday.yaml"
    scenario.write_text(
        """
hours: 2
warm_up_hours: 0
streams:
  - queue: support
    arrivals: {kind: profile, points: [{at: 0, per_hour: 10}, {at: 3600, per_hour: 40}]}
    handling: {kind: lognormal, mean: 240, sd: 180}
    patience: {kind: exponential, mean: 90}
    after_call: {kind: uniform, low: 5, high: 20}
shifts:
  - {agents: ["8002"], start_s: 600, end_s: 6000, breaks: [[3000, 3600]]}
manners: {answer: {kind: uniform, low: 2, high: 6}, miss_share: 0.05}
""",
        encoding="utf-8",
    )
    result = simulate(
        "--config", CONFIG, "--scenario", str(scenario), "--runs", "2", "--strategy", "longest_idle",
        "--strategy", "least_calls", "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    reports = json.loads(result.output)
    assert [report["strategy"] for report in reports] == ["longest_idle", "least_calls"]
    assert all(report["queues"]["support"]["offered"]["mean"] > 10 for report in reports)
    assert all(report["theory"] == "" for report in reports)


def test_a_day_is_replayed(tmp_path: Path) -> None:
    log = tmp_path / "day.jsonl"
    events = [
        facts.Queued(call=f"c{n}", item=f"c{n}", queue="support", priority=0, position=1, entry=f"c{n}#1")
        for n in range(30)
    ]
    lines = [facts.encode_record(facts.Record(n, 1000.0 + 20 * n, event)) for n, event in enumerate(events)]
    log.write_bytes(b"\n".join(lines))
    result = simulate("--config", CONFIG, "--replay", str(log), "--runs", "1", "--format", "json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.output)
    assert report["calls"] == 30
    assert report["queues"]["support"]["offered"]["mean"] + report["still_waiting"] == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "streams: [{queue: nowhere, arrivals: {kind: poisson, per_hour: 1}}]",
            "not in the configuration: queue nowhere",
        ),
        ("shifts: [{agents: [nobody], start_s: 0, end_s: 1}]", "agent nobody"),
        ("streams: [{queue: support}]", "missing required field `arrivals`"),
        ("streams: [{queue: support, arrivals: {kind: poisson, per_hour: 1}, handlings: 3}]", "handlings"),
        ("manners: {answer: {kind: exponential, mean: -1}}", "mean of an exponential time is positive"),
        ("streams: [", "while parsing"),
    ],
)
def test_wrong_scenarios(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    result = simulate("--config", CONFIG, "--scenario", str(path), "--runs", "1")
    assert result.exit_code == 1
    assert message in result.output


def test_what_is_missing(tmp_path: Path) -> None:
    assert "one of --config, --agents and --target" in simulate().output
    assert simulate("--agents", "3", "--replay", "x.jsonl").exit_code == 2
    broken = tmp_path / "config"
    broken.mkdir()
    (broken / "queues.yaml").write_text("queues: {support: {strategy: guess}}", encoding="utf-8")
    result = simulate("--config", str(broken))
    assert result.exit_code == 1
    assert "queues.yaml:1:" in result.output
