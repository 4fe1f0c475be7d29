# ruff: noqa: E501 (cases in one line)
"""The runner of flow tests: what it finds wrong, how it says so, coverage, JUnit and the command."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pbx.cli.ivr_test import command
from pbx.ivr import load_folder
from pbx.ivr.cases import read_cases
from pbx.ivr.coverage import measure
from pbx.ivr.testing import Result, run_cases

FLOW = """
languages: [en]
prompts: {welcome: Welcome to us, sorry: Sorry, bye: Goodbye}
nodes:
  start:
    - answer
    - menu:
        prompt: welcome
        choices: {1: ask, 2: [{tag: {tag: t, value: two}}, {queue: support}, hangup]}
        no_input: {prompt: sorry, then: bye}
        no_match: {prompt: sorry, then: bye}
  ask:
    - http: {url: "http://h/x", method: POST, json: {a: 1}, into: got, failed: bye}
    - set: {balance: "{{ got.balance }}"}
    - say: "{{ balance | money }}"
    - hangup
  bye:
    - play: bye
    - hangup: busy
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop" / "tests").mkdir(parents=True)
    (tmp_path / "shop" / "flow.yaml").write_text(FLOW)
    return tmp_path


def run(folder: Path, case: str) -> Result:
    (folder / "shop" / "tests" / "a.yaml").write_text(f"cases:\n  - {{name: n, {case}}}\n")
    flows, problems = load_folder(folder)
    cases, wrong = read_cases(folder / "shop")
    assert problems == wrong == []
    return run_cases(flows, cases)[0]


@pytest.mark.parametrize(
    "case",
    [
        "steps: [{press: '2'}], expect: {path: [start], queue: support, tags: {t: two}, ended: waiting, collected: '2'}",
        "steps: [{silence: 60s}], expect: {path: [start, bye], cause: busy, heard: [welcome, sorry, Goodbye]}",
        "steps: [{press: '1'}], http: [{json: {balance: 3.5}, expect: {a: 1}}], expect: {heard: [three yuan], variables: {balance: 3.5}}",
        "steps: [{press: '1'}], http: [{failure: timeout}], expect: {passes: [ask, bye]}",
        "steps: [{press: '9'}, {hear: sorry}, {press: '1'}], http: [{status: 500}, {status: 200}], expect: {passes: [bye]}",
        "steps: [hang_up], expect: {ended: hung_up, not_heard: sorry}",
    ],
)
def test_passes(folder: Path, case: str) -> None:
    result = run(folder, case)
    assert result.failures == []


@pytest.mark.parametrize(
    ("case", "failure"),
    [
        ("steps: [{press: '2'}], expect: {path: [start, bye]}", "path: expected start → bye\n          found start"),
        ("steps: [{press: '2'}], expect: {passes: [start, bye]}", "passes: 'bye' is not passed in this order; the way was start"),
        ("steps: [{press: '2'}], expect: {queue: sales}", "queue: expected sales, found support"),
        ("expect: {queue: sales}", "queue: expected sales, found none"),
        ("expect: {heard: [welcome, sorry]}", "heard: 'sorry' was not heard in this order; heard: welcome"),
        ("expect: {not_heard: [Welcome to]}", "not_heard: 'Welcome to' was heard"),
        ("expect: {ended: hangup}", "ended: expected hangup, found waiting"),
        ("steps: [{silence: 60s}], expect: {cause: normal}", "cause: expected normal of normal, busy, no_answer, rejected, forbidden, unknown_number, congestion, unavailable, out_of_order, found busy"),
        ("steps: [{press: '2'}], expect: {tags: {t: one}}", "tags: expected t = 'one', found 'two'"),
        ("expect: {tags: {t: one}}", "tags: t is not there"),
        ("expect: {transferred: queue:x}", "transferred: expected queue:x, found no transfer"),
        ("expect: {language: zh}", "language: expected zh, found en"),
        ("expect: {dialled: extension:1}", "dialled: expected extension:1; found none"),
        ("expect: {notices: hello}", "notices: 'hello' was not sent; sent: none"),
        ("steps: [{hear: nonsense}]", "waited to hear 'nonsense', but heard: welcome (Welcome to us); sorry+welcome (Sorry Welcome to us); sorry+welcome (Sorry Welcome to us); bye (Goodbye)"),
        ("steps: [{press: '1'}]", "the flow fetches POST http://h/x, but the case has no answer for it under `http`"),
        ("steps: [{press: '1'}], http: [{json: {}, expect: {a: 2}}]", "POST http://h/x sends {'a': 1}, expected {'a': 2}"),
        ("steps: [{press: '1'}], http: [{json: {balance: many}}]", "fault: shop/ask.3: balance | money: this is not a number"),
        ("steps: [{dial: busy}]", "the flow does not wait for dial here but is at shop/start"),
        ("steps: [{silence: 90s}, {press: '1'}]", "the flow has ended (hangup) before `press: 1`"),
    ],
)  # fmt: skip
def test_fails_saying_why(folder: Path, case: str, failure: str) -> None:
    assert run(folder, case).failures == [failure]


def test_wrong_case_files_are_told_with_their_place(folder: Path) -> None:
    (folder / "shop" / "tests" / "a.yaml").write_text(
        "cases:\n  - name: x\n    steps: [{preß: '1'}]\n  - steps: [{press: '1', hear: x}]\n  - name: y\n    at: soon\n  - 5\n"
    )
    (folder / "shop" / "tests" / "b.yaml").write_text("case: []\n")
    (folder / "shop" / "tests" / "c.yaml").write_bytes(b"\xff")
    cases, problems = read_cases(folder / "shop")
    assert cases == []
    assert [(Path(p.file).name, p.line) for p in problems] == [("a.yaml", 3), ("a.yaml", 4), ("a.yaml", 4), ("a.yaml", 6), ("a.yaml", 7), ("b.yaml", 1), ("c.yaml", 1)]  # fmt: skip


def test_coverage_names_the_branches_left_out(folder: Path) -> None:
    result = run(folder, "steps: [{press: '2'}]")
    flows, _ = load_folder(folder)
    (coverage,) = measure(flows, result.record.steps)
    assert (coverage.nodes, coverage.nodes_passed) == (3, 1)
    assert "line 7: menu, no_input" in coverage.missed
    assert "line 7: menu, choice 2" not in coverage.missed
    assert 0 < coverage.percent < 50


def test_command(folder: Path, tmp_path: Path) -> None:
    run(folder, "steps: [{press: '2'}], expect: {queue: sales}")
    report = tmp_path / "junit.xml"
    result = CliRunner().invoke(command, ["--flows", str(folder), "--junit", str(report), "shop"])
    assert result.exit_code == 1
    assert "FAIL shop: n" in result.output
    assert "queue: expected sales, found support" in result.output
    assert "node shop/start" in result.output, "the story of the call helps to see why"
    assert "1 cases, 1 failed" in result.output
    suite = ET.parse(report).getroot()[0]
    assert suite.attrib["failures"] == "1"
    failure = suite[0][0]
    assert failure.attrib["message"] == "queue: expected sales, found support"

    run(folder, "steps: [{press: '2'}]")
    assert CliRunner().invoke(command, ["--flows", str(folder)]).exit_code == 0
    assert CliRunner().invoke(command, ["--flows", str(folder), "--min-coverage", "90"]).exit_code == 1
    assert "no flow nothing" in CliRunner().invoke(command, ["--flows", str(folder), "nothing"]).output
    assert CliRunner().invoke(command, ["--flows", str(folder / "none")]).exit_code == 1


def test_command_fails_for_a_flow_with_errors(folder: Path) -> None:
    run(folder, "steps: []")
    (folder / "shop" / "flow.yaml").write_text(FLOW.replace("play: bye", "play: by"))
    result = CliRunner().invoke(command, ["--flows", str(folder)])
    assert result.exit_code == 1
    assert "there is no prompt 'by'" in result.output
    assert "the flow 'shop' has errors" in result.output
