"""Rare things a script does to a flow: recordings, databases, rooms, directories and what it says of them."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pbx.ivr import load_folder
from pbx.ivr.cases import read_cases
from pbx.ivr.junit import write_junit
from pbx.ivr.testing import Result, run_cases


def run(root: Path, nodes: str, case: str) -> Result:
    (root / "shop" / "tests").mkdir(parents=True)
    (root / "shop" / "flow.yaml").write_text("prompts: {bye: Goodbye, hi: Hi}\nnodes:\n" + nodes)
    (root / "shop" / "tests" / "a.yaml").write_text(f"cases:\n  - {{name: n, {case}}}\n")
    flows, problems = load_folder(root)
    cases, wrong = read_cases(root / "shop")
    assert [str(p) for p in [*problems, *wrong] if p.severity == "error"] == []
    return run_cases(flows, cases)[0]


RECORD = (
    "  start:\n    - record: {into: note, prompt: hi, nothing: none}\n    - say: kept\n    - hangup\n  none: [hangup]\n"
)
SQL = (
    "  start:\n    - sql: {source: crm, query: 'SELECT a FROM t WHERE n = :n', params: {n: '5'}, "
    "into: rows, failed: bad}\n    - hangup\n  bad: [hangup]\n"
)
WAIT = "  start:\n    - answer\n    - play: hi\n    - conference: '3000'\n    - say: left\n    - hangup\n"
DIALLED = "  start:\n    - answer\n    - set: {picked: '7'}\n    - queue: {queue: sales, priority: 2}\n    - hangup\n"
ASK = (
    "    - collect: {prompt: hi, into: x, max: 2, no_input: {then: no}, no_match: {then: no}}\n"
    "    - hangup\n  no: [hangup]\n"
)


@pytest.mark.parametrize(
    ("nodes", "case"),
    [
        (RECORD, "steps: [{hear: hi}, {press: '#'}], expect: {heard: [hi, kept], ended: hangup}"),
        (RECORD, "steps: [{speak: 4s}], expect: {heard: [hi, kept], ended: hangup}"),
        (WAIT, "expect: {heard: [hi, left], ended: hangup}"),
        (SQL, "sql: [{rows: [{a: 1}], params: {n: '5'}}], expect: {variables: {rows: [{a: 1}]}}"),
        (SQL, "sql: [{failure: timeout}], expect: {path: [start, bad]}"),
        (DIALLED, "expect: {variables: {picked: 7}, queue: sales, priority: 2}"),
    ],
)
def test_passes(tmp_path: Path, nodes: str, case: str) -> None:
    assert run(tmp_path, nodes, case).failures == []


@pytest.mark.parametrize(
    ("nodes", "case", "failure"),
    [
        (SQL, "steps: []", "the flow asks the source 'crm', but the case has no answer for it under `sql`"),
        (SQL, "sql: [{params: {n: '6'}}]", "the statement binds {'n': 5}, expected {'n': 6}"),
        (DIALLED, "expect: {priority: 3}", "priority: expected 3, found 2"),
        (DIALLED, "expect: {variables: {picked: [7]}}", "variables: expected picked = [7], found 7"),
        (DIALLED, "steps: [prompt_fails]", "no prompt is playing"),
        (DIALLED, "steps: [{hear: hi}]", "waited to hear 'hi', but heard: nothing"),
    ],
)
def test_fails_saying_why(tmp_path: Path, nodes: str, case: str, failure: str) -> None:
    assert run(tmp_path, nodes, case).failures == [failure]


def test_a_prompt_that_fails_after_a_wait(tmp_path: Path) -> None:
    nodes = "  start:\n    - answer\n    - pause: 2s\n    - play: hi\n    - hangup\n"
    result = run(tmp_path, nodes, "steps: [prompt_fails]")
    assert result.record.heard == [(("hi",), "Hi")]
    assert result.seconds == pytest.approx(2.0), "the prompt was cut where it failed"


def test_a_digit_waits_for_a_prompt_that_takes_none(tmp_path: Path) -> None:
    nodes = "  start:\n    - answer\n    - play: {prompt: hi, barge_in: false}\n" + ASK
    result = run(tmp_path, nodes, "steps: [{press: '12'}], expect: {variables: {x: '12'}}")
    assert result.failures == []


def test_a_report_lists_what_passed_without_a_failure(tmp_path: Path) -> None:
    suite = ET.fromstring(write_junit([run(tmp_path, WAIT, "expect: {ended: hangup}")]))[0]
    assert suite.attrib["failures"] == "0"
    assert suite[0].find("failure") is None


def test_a_file_of_cases_that_is_no_yaml_does_not_hide_the_others(tmp_path: Path) -> None:
    tests = tmp_path / "shop" / "tests"
    tests.mkdir(parents=True)
    (tests / "a.yaml").write_text("cases: [")
    (tests / "b.yaml").write_text("cases:\n  - name: good\n")
    cases, problems = read_cases(tmp_path / "shop")
    assert [placed.case.name for placed in cases] == ["good"]
    assert {Path(p.file).name for p in problems} == {"a.yaml"}
