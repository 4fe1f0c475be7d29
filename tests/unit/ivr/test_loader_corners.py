"""Rare ways a flow is written: ``next``, missing steps, too many, files of prompts; and the list of its prompts."""

from pathlib import Path

import pytest

from pbx.ivr import check_folder
from pbx.ivr.loader import MAX_STEPS, load_flow, load_flows
from pbx.ivr.prompt_list import list_prompts
from pbx.ivr.statistics import MAX_PATH, FlowStatistics, Mark


def tell(text: str) -> list[str]:
    flow, problems = load_flow(Path("/nowhere/tried"), text)
    assert (flow is None) == bool(problems)
    return [f"{p.line}:{p.column} {p.message}" for p in problems]


def test_next_leads_elsewhere_than_the_following_step() -> None:
    flow, problems = load_flow(
        Path("/nowhere/tried"),
        "nodes:\n  a:\n    - tag: {tag: t, value: v}\n      next: b\n    - hangup\n  b: [hangup]\n",
    )
    assert problems == []
    assert flow is not None
    assert flow.steps["a"].next == "b"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nodes:\n  a:\n    - tag: {tag: t, value: v}\n      next: c\n    - hangup\n", ["4:13 there is no node 'c'"]),
        ("nodes:\n  a:\n    - [hangup]\n    - hangup\n", ["3:7 a step is missing here"]),
    ],
)
def test_wrong_steps(text: str, found: list[str]) -> None:
    assert tell(text) == found


def test_steps_are_bounded_and_it_is_said_once() -> None:
    text = "nodes:\n  a:\n" + "    - answer\n" * MAX_STEPS + "    - answer\n    - hangup\n"
    assert f"{MAX_STEPS + 3}:7 the flow has too many steps" in tell(text)


def make(root: Path, text: str, *files: str) -> Path:
    folder = root / "flows" / "tried"
    for name in files:
        (folder / "prompts" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "prompts" / name).write_bytes(b"RIFF")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow.yaml").write_text(text, "utf-8")
    return folder


PLAYED = "languages: [en, zh]\nnodes:\n  a:\n    - answer\n    - play: [{file: '{language}/x.wav'}]\n    - hangup\n"


def test_a_file_must_be_there_in_every_language(tmp_path: Path) -> None:
    make(tmp_path, PLAYED, "en/x.wav")
    (problem,) = check_folder(tmp_path / "flows")
    assert problem.message.endswith("prompts/zh/x.wav")
    make(tmp_path, PLAYED, "zh/x.wav")
    assert check_folder(tmp_path / "flows") == []


def test_a_wrong_flow_leaves_the_others(tmp_path: Path) -> None:
    make(tmp_path, "nodes:\n  a: [hangup]\n")
    (tmp_path / "flows" / "broken").mkdir()
    (tmp_path / "flows" / "broken" / "flow.yaml").write_text("nodes:\n  a: [hangupp]\n")
    flows, problems = load_flows(tmp_path / "flows")
    assert set(flows) == {"tried"}
    assert flows["tried"].library is flows
    assert [Path(p.file).parent.name for p in problems] == ["broken"]


def test_list_of_prompts(tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        "languages: [en, zh]\nprompts:\n  hi: {en: Hello, zh: 你好}\n  you: {en: 'Hi {{ call.caller }}', zh: 您好}\n"
        "  ring: [{music: waiting}]\nnodes:\n  a: [hangup]\n",
        "zh/hi.wav",
    )
    flow, problems = load_flow(folder)
    assert problems == []
    assert flow is not None
    entries = {(e.name, e.language): (e.kind, e.text) for e in list_prompts([flow])}
    assert entries == {
        ("hi", "en"): ("synthesised", "Hello"),
        ("hi", "zh"): ("recorded", "你好"),
        ("you", "en"): ("composed", "Hi {{ call.caller }}"),
        ("you", "zh"): ("synthesised", "您好"),
        ("ring", "en"): ("sound", ""),
        ("ring", "zh"): ("sound", ""),
    }
    (recorded,) = [e.recording for e in list_prompts([flow]) if e.recording]
    assert Path(recorded) == folder / "prompts" / "zh" / "hi.wav"


def test_a_prompt_without_a_text_in_one_language_is_warned_of(tmp_path: Path) -> None:
    text = (
        "languages: [en, zh]\nprompts:\n  hi: {en: Hello}\nnodes:\n  a:\n    - answer\n    - play: hi\n    - hangup\n"
    )
    make(tmp_path, text)
    (warning,) = [p for p in check_folder(tmp_path / "flows") if "no text" in p.message]
    assert (warning.severity, warning.message) == ("warning", "the prompt 'hi' has no text in zh")


def test_the_path_of_a_call_that_goes_round_and_round_is_bounded() -> None:
    statistics = FlowStatistics()
    statistics.add(Mark("c", "entered", "m"))
    for _ in range(MAX_PATH + 5):
        statistics.add(Mark("c", "node", "m", "again"))
    statistics.add(Mark("c", "left", "m", "hangup"))
    numbers = statistics.flows["m"]
    assert numbers.visits == {"again": MAX_PATH + 5}
    assert numbers.paths == {("again",) * MAX_PATH: 1}
