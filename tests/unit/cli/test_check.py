"""`tandem check`, `tandem schemas` and `tandem password` as somebody at a terminal sees them."""

import json
import re
from pathlib import Path

from argon2 import PasswordHasher
from click.testing import CliRunner

from pbx.cli import main

ROOT = Path(__file__).parents[3]


def make_folder(tmp_path: Path, extensions: str) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "ivr_flows").mkdir()
    (folder / "extensions.yaml").write_text(extensions, encoding="utf-8")
    return folder


def test_the_sample_lacks_nothing_but_a_recogniser() -> None:
    result = CliRunner().invoke(main, ["check", "--config", str(ROOT / "config"), "--format", "json"])
    problems = json.loads(result.output)
    assert {(p["severity"], p["message"]) for p in problems} == {
        ("warning", "callers may answer by speaking, and no recogniser understands zh, en")
    }
    assert result.exit_code == 0


def test_a_caret_below_the_place(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "extensions:\n  1001: {name: 李娜, max_contacts: lots}\n")
    result = CliRunner().invoke(main, ["check", "--config", str(folder)])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{folder}/extensions.yaml:2:34: error: extensions.1001.max_contacts is 'lots'",
        " 2 |   1001: {name: 李娜, max_contacts: lots}",
        "   |                                    ^^^^",
        "   expected: a whole number",
        "",
        f"{folder}: 1 error",
    ]


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "extensions:\n  1001: {name: A, secret: hunter2}\n")
    for form in ("text", "json"):
        result = CliRunner().invoke(main, ["check", "--config", str(folder), "--format", form])
        assert result.exit_code == 1
        assert "plain text" in result.output
        assert "hunter2" not in result.output


def test_json(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "extensions:\n  1001: {}\n")
    result = CliRunner().invoke(main, ["check", "--config", str(folder), "--format", "json"])
    (problem,) = json.loads(result.output)
    assert (problem["line"], problem["column"], problem["message"]) == (2, 3, "extensions.1001 lacks 'name'")


def test_strict_fails_on_warnings(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "extensions: {}\n")
    (folder / "agents.yaml").write_text("agents: {1: {name: A}}\n")
    (folder / "queues.yaml").write_text("queues: {q: {}}\n")
    assert CliRunner().invoke(main, ["check", "--config", str(folder)]).exit_code == 0
    assert CliRunner().invoke(main, ["check", "--config", str(folder), "--strict"]).exit_code == 1


def test_problems_of_flows_are_told_too(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "extensions: {1001: {}}\n")
    (tmp_path / "ivr_flows" / "a").mkdir()
    (tmp_path / "ivr_flows" / "a" / "flow.yaml").write_text("start: [\n")
    result = CliRunner().invoke(main, ["check", "--config", str(folder), "--format", "json"])
    files = {Path(problem["file"]).name for problem in json.loads(result.output)}
    assert {"extensions.yaml", "flow.yaml"} <= files


def test_schemas(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["schemas", str(tmp_path / "out")])
    assert result.exit_code == 0
    written = json.loads((tmp_path / "out" / "queues.schema.json").read_text("utf-8"))
    assert written["$defs"]["Queue"]["properties"]["max_wait"]["description"].startswith("Longest wait; 0: for ever.")
    assert "name" not in written["$defs"]["Queue"]["properties"]


def test_password() -> None:
    result = CliRunner().invoke(main, ["password"], input="s3cret\ns3cret\n")
    found = re.search(r"^password_hash: (\$argon2id\$\S+)$", result.output, re.MULTILINE)
    assert found is not None
    assert PasswordHasher().verify(found[1], "s3cret")


def test_password_of_an_extension() -> None:
    result = CliRunner().invoke(main, ["password", "--extension", "1001", "--realm", "r"], input="x\nx\n")
    # printf 1001:r:x | md5sum
    assert "md5: d30b041e399c91c7ce87ff736db5da04" in result.output
