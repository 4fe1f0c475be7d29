"""The flows that ship: sound, each with its own cases, all of them passing, every branch taken."""

import sqlite3
from pathlib import Path

import pytest

from pbx.cli.ivr_database import make_database, open_databases
from pbx.ivr import load_folder
from pbx.ivr.cases import PlacedCase, read_cases
from pbx.ivr.coverage import measure
from pbx.ivr.testing import run_case

ROOT = Path(__file__).parents[3] / "ivr_flows"
FLOWS, PROBLEMS = load_folder(ROOT)
ASK = open_databases(ROOT)
FOLDERS = sorted(file.parent for file in ROOT.glob("*/flow.yaml"))
CASES = [placed for folder in FOLDERS for placed in read_cases(folder)[0]]


def test_no_problems() -> None:
    assert [str(problem) for problem in PROBLEMS] == []
    assert [str(problem) for folder in FOLDERS for problem in read_cases(folder)[1]] == []
    assert sorted(FLOWS) == [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("placed", CASES, ids=lambda placed: f"{placed.flow}: {placed.case.name}")
def test_case(placed: PlacedCase) -> None:
    result = run_case(FLOWS[placed.flow], placed, ASK)
    assert result.failures == [], "\n".join(result.record.story)


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_cases_take_every_branch(name: str) -> None:
    """The flow's own cases; what other flows' cases pass in it does not count."""
    steps = [s for placed in CASES if placed.flow == name for s in run_case(FLOWS[name], placed, ASK).record.steps]
    (coverage,) = (c for c in measure(FLOWS, steps) if c.flow == name)
    assert coverage.missed == ()


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_speaks_both_languages(name: str) -> None:
    flow = FLOWS[name]
    assert {"en", "zh"} <= set(flow.languages)
    assert set(flow.title) == {"en", "zh"}


def test_shipped_database_is_made_from_its_script(tmp_path: Path) -> None:
    script = tmp_path / "business.sql"
    script.write_text((ROOT / "etc_service" / "business.sql").read_text("utf-8"), "utf-8")
    made = make_database(script)

    def dump(file: Path) -> list[str]:
        connection = sqlite3.connect(file)
        try:
            return list(connection.iterdump())
        finally:
            connection.close()

    assert dump(made) == dump(ROOT / "etc_service" / "business.sqlite")
