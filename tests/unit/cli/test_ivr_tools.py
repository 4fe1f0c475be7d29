"""`tandem ivr call`, `draw`, `stats`, `versions` and `rollback` as an administrator uses them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

from media.prompts.speech import Speaker
from pbx.adapters.flow_store import FlowStore
from pbx.cli import main
from pbx.events import catalogue as facts
from pbx.ivr.loader import load_flow
from pbx.storage.event_log import EventLog

ROOT = Path(__file__).parents[3]


def run(*arguments: str, keys: str = "") -> Result:
    return CliRunner().invoke(main, ["ivr", *arguments], input=keys)


def test_call_with_the_keyboard() -> None:
    keys = "2\n\nwhat\n1\nqueue completed\n\n"
    result = run("call", "main", "--flows", str(ROOT / "ivr_flows"), "--at", "2026-11-23T10:00:00", keys=keys)
    assert result.exit_code == 0
    assert "This call is recorded for quality purposes." in result.output
    assert "waits in queue sales" in result.output
    assert "ended: hangup" in result.output
    assert "wait five seconds" in result.output.split("what")[0]


def test_call_asks_for_answers_of_web_services_and_reads_the_database() -> None:
    keys = "2\n\n3\n1101000001\n1234\n" + '{"ticket": "77"}\n' + "\nq\n"
    result = run("call", "etc_service", "--flows", str(ROOT / "ivr_flows"), keys=keys)
    assert "POST http://127.0.0.1:8090/cards/1101000001/loss" in result.output
    assert "Your reference is seven seven" in result.output


def test_call_says_what_cannot_be_done() -> None:
    result = run("call", "main", "--flows", str(ROOT / "ivr_flows"), keys="dial busy\nq\n")
    assert "the flow does not wait for dial here" in result.output
    assert run("call", "nothing").exit_code == 1


def test_hear(tmp_path: Path) -> None:
    speaker = Speaker()
    clip = speaker.speak("operator", "en")
    speaker.close()
    soundfile.write(tmp_path / "said.wav", clip.audio, clip.rate)
    flows = ("--flows", str(ROOT / "ivr_flows"), "--language", "en")
    result = run("hear", "main", "main_menu", str(tmp_path / "said.wav"), *flows)
    assert "heard: operator" in result.output and "choice: 0" in result.output
    assert "no menu with speech" in run("hear", "main", "sales", str(tmp_path / "said.wav"), *flows).output
    (tmp_path / "no.wav").write_text("x")
    assert "not readable as audio" in run("hear", "main", "main_menu", str(tmp_path / "no.wav"), *flows).output
    chinese = run("hear", "main", "main_menu", str(tmp_path / "said.wav"), *flows[:2])
    assert "pocketsphinx has no model for zh" in chinese.output


def test_draw(tmp_path: Path) -> None:
    target = tmp_path / "x.svg"
    result = run("draw", "main", "--flows", str(ROOT / "ivr_flows"), "-o", str(target))
    assert result.exit_code == 0
    assert target.read_text("utf-8").startswith("<svg ")
    assert "<svg " in run("draw", "main", "--flows", str(ROOT / "ivr_flows"), "-o", "-").output
    assert run("draw", "nothing", "--flows", str(ROOT / "ivr_flows")).exit_code == 1


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample configuration with flows and data of its own."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "ivr_flows", tmp_path / "ivr_flows")
    monkeypatch.setenv("TANDEM_HOME", str(tmp_path / "var"))
    (tmp_path / "var").mkdir()
    return tmp_path


def test_versions_and_rollback(office: Path) -> None:
    config = str(office / "config")
    folder = office / "ivr_flows" / "survey"
    first, _ = load_flow(folder)
    assert first is not None
    assert f"* {first.version}" in run("versions", "survey", "--config", config).output
    text = (folder / "flow.yaml").read_text("utf-8")
    (folder / "flow.yaml").write_text(text.replace("Thank you.", "Thanks!"), "utf-8")
    second, _ = load_flow(folder)
    assert second is not None
    listed = run("versions", "survey", "--config", config).output
    assert f"* {second.version}" in listed and f"  {first.version}" in listed

    result = run("rollback", "survey", "--config", config)
    assert result.exit_code == 0
    assert f"{second.version} → {first.version}" in result.output
    assert (folder / "flow.yaml").read_text("utf-8") == text
    assert "is at" in run("rollback", "survey", first.version, "--config", config).output
    assert run("rollback", "survey", second.version[:6], "--config", config).exit_code == 0
    assert "Thanks!" in (folder / "flow.yaml").read_text("utf-8")
    assert run("rollback", "survey", "0000", "--config", config).exit_code == 1
    assert run("versions", "nothing", "--config", config).exit_code == 1


def test_an_announcement_is_no_version_to_go_back_to(office: Path) -> None:
    config = str(office / "config")
    folder = office / "ivr_flows" / "survey"
    store = FlowStore(office / "var" / "flows")

    def keep(at: float) -> str:
        flow, _ = load_flow(folder)
        assert flow is not None
        store.keep(flow, at)
        return flow.version

    first = keep(1.0)
    text = (folder / "flow.yaml").read_text("utf-8")
    (folder / "outage.yaml").write_text("text: Out of order.\n", "utf-8")
    keep(2.0)
    assert run("rollback", "survey", "--config", config).exit_code == 1, "it is the first one still"
    (folder / "outage.yaml").unlink()
    (folder / "flow.yaml").write_text(text.replace("Thank you.", "Thanks!"), "utf-8")
    keep(3.0)
    (folder / "outage.yaml").write_text("text: Out of order again.\n", "utf-8")
    keep(4.0)
    listed = run("versions", "survey", "--config", config).output
    assert listed.count("with an announcement") == 2
    assert f"→ {first};" in run("rollback", "survey", "--config", config).output
    assert (folder / "flow.yaml").read_text("utf-8") == text
    assert (folder / "outage.yaml").read_text("utf-8") == "text: Out of order again.\n", "it stays in force"


def test_kept_versions_never_change(office: Path) -> None:
    store = FlowStore(office / "store")
    flow, _ = load_flow(office / "ivr_flows" / "survey")
    assert flow is not None
    kept = store.keep(flow, 5.0)
    assert store.keep(flow, 9.0) == kept
    again = store.load(kept)
    assert again is not None and set(again.steps) == set(flow.steps)
    assert store.find("survey", "zz") is None


def test_stats_and_counts_from_the_log(office: Path) -> None:
    config = str(office / "config")
    assert "there is no event log yet" in run("stats", "--config", config).output
    write_log(office / "var" / "tandem.db")
    result = run("stats", "--config", config)
    assert "main: 2 calls" in result.output
    assert "hung up in it: 50.0%" in result.output
    assert "start → opening" in result.output
    plain = json.loads(run("stats", "main", "--config", config, "--format", "json").output)
    assert plain["main"]["dropped"] == {"opening": 1}
    assert run("stats", "--config", config, "--since", "2030-01-01").output == "no calls in flows in this period\n"
    picture = run(
        "draw", "main", "--flows", str(office / "ivr_flows"), "--counts", "--config", config, "-o", "-"
    ).output
    assert '<text class="count"' in picture


def write_log(path: Path) -> None:
    events: list[facts.Event] = []
    for call, end in (("a", "hung_up"), ("b", "hangup")):
        events.append(facts.FlowEntered(call=call, flow="main", version="1"))
        events += [facts.NodeEntered(call=call, flow="main", node=node) for node in ("start", "opening")]
        events.append(facts.FlowLeft(call=call, flow="main", reason=end))
    log = EventLog(f"sqlite:///{path}", journal=path.with_name("journal"))
    log.open()
    log.append([facts.Record(seq, 1_800_000_000.0 + seq, event) for seq, event in enumerate(events, 1)])  # type: ignore[arg-type]
    assert log.flush()
    log.close()
