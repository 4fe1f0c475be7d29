"""Flows that offer what the configuration does not give are warned of."""

from pathlib import Path
from textwrap import indent

import pytest

from pbx.config.loader import examine
from pbx.core.references import References
from pbx.ivr import check_folder

CALLBACK = "callers are offered a callback, and the queue '{}' takes none"


def warnings_of(tmp_path: Path, nodes: str, known: References) -> list[tuple[int, str]]:
    folder = tmp_path / "flows" / "tried"
    folder.mkdir(parents=True)
    text = "languages: [en, zh]\nprompts: {hi: Hi}\nnodes:\n" + indent(nodes, "  ")
    (folder / "flow.yaml").write_text(text, "utf-8")
    problems = check_folder(tmp_path / "flows", known)
    assert {problem.severity for problem in problems} <= {"warning"}, problems
    return [(problem.line, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("a: [{callback: {queue: silent}}, hangup]\n", [(4, CALLBACK.format("silent"))]),
        ("a: [{callback: {queue: kind}}, hangup]\n", []),
        ("a: [{callback: {queue: '{{ call.caller }}'}}, hangup]\n", []),
        ("a: [{callback: {}}, hangup]\n", []),
        (
            "a: [{queue: {queue: silent, keys: {5: later}}}, hangup]\nlater: [{callback: {}}, hangup]\n",
            [(5, CALLBACK.format("silent"))],
        ),
        (
            "a: [{queue: {queue: silent}}, {queue: {queue: kind, keys: {5: later}}}, hangup]\n"
            "later: [{callback: {}}, hangup]\n",
            [],
        ),
        ("a: [{queue: {queue: silent}}, hangup]\n", []),
    ],
)
def test_callbacks(nodes: str, expected: list[tuple[int, str]], tmp_path: Path) -> None:
    known = References(queues=frozenset({"silent", "kind"}), callback_queues=frozenset({"kind"}))
    assert warnings_of(tmp_path, nodes, known) == expected


def test_a_flow_behind_a_key_of_queues(tmp_path: Path) -> None:
    known = References(
        queues=frozenset({"silent", "kind", "other"}),
        callback_queues=frozenset({"kind"}),
        queue_keys=frozenset({("silent", "flow:tried"), ("kind", "flow:tried"), ("other", "flow:survey")}),
    )
    assert warnings_of(tmp_path, "a: [{callback: {}}, hangup]\n", known) == [(4, CALLBACK.format("silent"))]


@pytest.mark.parametrize(
    ("recognisers", "mute"), [((), "en, zh"), (("en",), "zh"), (("en", "zh"), ""), (("zh-HK", "en"), "zh")]
)
def test_speech(recognisers: tuple[str, ...], mute: str, tmp_path: Path) -> None:
    menu = "menu: {prompt: hi, choices: {1: b}, speech: {1: [one]}, no_input: {then: b}, no_match: {then: b}}"
    found = warnings_of(tmp_path, f"a: [{{{menu}}}]\nb: [hangup]\n", References(recognisers=frozenset(recognisers)))
    text = f"callers may answer by speaking, and no recogniser understands {mute}"
    assert found == ([(4, text)] if mute else [])


def test_what_the_configuration_gives_is_known(tmp_path: Path) -> None:
    queues = "queues: {kind: {callback: {}}, silent: {keys: {5: 'flow:x'}}, plain: {callback: no}}\n"
    (tmp_path / "queues.yaml").write_text(queues)
    (tmp_path / "tandem.yaml").write_text("speech: {recognisers: {zh: {kind: http, url: 'http://127.0.0.1:9/'}}}\n")
    known = examine(tmp_path).references
    assert (known.callback_queues, known.recognisers) == (frozenset({"kind"}), frozenset({"zh"}))
    assert known.queue_keys == {("silent", "flow:x")}
