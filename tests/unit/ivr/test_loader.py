# ruff: noqa: E501 (tables read better in long lines)
"""Wrong flows and what is said about them, with line and column."""

from pathlib import Path
from textwrap import dedent

import pytest

from pbx.core.references import References
from pbx.ivr import check_folder, load_folder
from pbx.ivr.loader import load_flow
from pbx.ivr.verbs import all_verbs

HEAD = "prompts: {welcome: Hi}\n"


def problems_of(text: str, tmp_path: Path, known: References | None = None) -> list[str]:
    folder = tmp_path / "flows" / "tried"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(dedent(text), "utf-8")
    found = check_folder(tmp_path / "flows", known)
    return [f"{p.line}:{p.column} {p.message}" + (f" [{p.expected}]" if p.expected else "") for p in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1 the file is empty [a flow with nodes]"]),
        ("nodes: [", None),
        ("title: x", ["1:1 the option 'nodes' is missing"]),
        ("nodes:\n  a: [hangup]\nnode: 1", ["3:1 there is no option 'node' here ['nodes']"]),
        ("nodes:\n  a: [answerr, hangup]", ["2:7 there is no verb 'answerr' ['answer']"]),
        ("nodes:\n  a:\n    - play: welcome\n      hangup: busy", ["3:7 2 verbs in one step [exactly one]"]),
        ("nodes:\n  a: []", ["2:6 the node 'a' is empty [at least one step]"]),
        ("nodes:\n  a:\n    - goto: b", ["3:13 there is no node 'b' [one of a]"]),
        ("nodes:\n  a: {hangup: busyy}", None),
        ("nodes:\n  a b: hangup", ["2:3 'a b' is not a proper name [letters, digits and _]"]),
        ("nodes:\n  a:\n    - set: {x: '{{ 1 + }}'}\n    - hangup", ["3:23 this is not an expression"]),
        ("nodes:\n  a:\n    - branch: {if: lenn(1) > 0, then: a}\n    - hangup", ["3:20 there is no function 'lenn': did you mean 'len'?"]),
        ("nodes:\n  a:\n    - pause: soon\n    - hangup", ["3:14 found 'soon' [a duration such as 5s, 500ms or 2m]"]),
        ("nodes:\n  a:\n    - menu: {prompt: x, choices: {z: a}}\n    - hangup", ["3:25 'z' cannot be dialled: expected digits, * or #"]),
        ("nodes:\n  a:\n    - sql: {source: b, query: 'DELETE FROM t', into: x, failed: a}\n    - hangup", ["3:31 found 'DELETE FROM t' [a SELECT: flows only read]"]),
        ("nodes:\n  a:\n    - collect: {prompt: w, into: x, pattern: '(a+)+', no_input: {then: a}, no_match: {then: a}}\n    - hangup",
         ["3:46 found '(a+)+' [a pattern without nested repetition and back references]"]),
        ("nodes:\n  a:\n    - http: {url: 'http://x'}\n    - hangup", ["3:7 the option 'failed' is missing"]),
        ("prompts:\n  hi: {en: Hi, zh: 你好}\nnodes:\n  a: hangup", ["2:16 the flow does not speak 'zh' [one of en]"]),
        ("languages: [zh]\nlanguage: en\nnodes:\n  a: hangup", ["2:11 the flow does not speak 'en' [one of zh]"]),
    ],
)  # fmt: skip
def test_schema_errors(text: str, expected: list[str] | None, tmp_path: Path) -> None:
    found = problems_of(text, tmp_path)
    assert found, "a wrong flow was taken"
    if expected is not None:
        assert found == expected


def test_all_errors_at_once(tmp_path: Path) -> None:
    found = problems_of(
        """\
        languages: [en]
        prompts:
          welcome: "Hi {{ name"
        nodes:
          a:
            - ansver
            - pause: x
            - goto: nowhere
        """,
        tmp_path,
    )
    assert [line.split()[0] for line in found] == ["3:16", "6:7", "7:14", "8:13"]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("a: [{play: welcome}]", ["4:8 the flow ends behind this play without a hangup [a next step, hangup, transfer or return]"]),
        ("a: [hangup]\n  b: [hangup]", ["5:3 the node 'b' is never reached [a way to it]"]),
        ("a: [hangup, {play: welcome}, hangup]", ["4:16 this step is never reached"]),
        ("a: [{play: welcome}, {goto: a}]", ["4:8 from here no way leads out of the flow [a loop with an exit]"]),
        ("a: [{set: {x: 1}}, {branch: {if: x > now.hour, then: a}}, hangup]", ["4:8 this goes round without ever waiting [a loop with an exit]"]),
        ("a:\n   - menu: {prompt: welcome, choices: {1: b}, no_input: {then: a}, no_match: {then: a}}\n  b: [hangup]",
         ["5:6 a caller who does nothing goes round here for ever [a loop with an exit]"]),
        ("a:\n   - menu: {prompt: welcome, choices: {1: b}, no_input: {then: b}}\n  b: [hangup]",
         ["5:6 the flow ends behind this menu without a hangup [a next step, hangup, transfer or return]",
          "5:6 this menu does not say what happens when the caller answers something else [no_match: {then: …}]"]),
        ("a: [{play: welcom}, hangup]", ["4:14 there is no prompt 'welcom' ['welcome']"]),
        ("a: [{play: [{file: no.wav}]}, hangup]", None),
        ("a: [{say: '{{ name }}'}, hangup]", ["4:8 the variable 'name' is never set [a variable of this flow]"]),
        ("a: [{branch: {if: now.hour > 3, then: [{set: {x: 1}}]}}, {say: '{{ x }}'}, hangup]",
         ["4:61 the variable 'x' is not set on every way to here [a value on all ways]"]),
        ("a: [{branch: {if: 1 > 2, then: [{pause: 1s}]}}, hangup]", ["4:8 this condition never holds [an expression with variables]"]),
        ("a: [{collect: {prompt: welcome, into: c, secure: on, no_input: {then: b}, no_match: {then: b}}}, {data: {card: '{{ c }}'}}, hangup]\n  b: [hangup]",
         ["4:101 this data tells of the card data 'c' [other variables]"]),
        ("a: [{flow: nowhere}, hangup]", ["4:14 there is no flow 'nowhere' ['tried']"]),
        ("a: [{flow: other}, hangup]", ["4:14 there is no flow 'other' ['tried']"]),
        ("a: [{language: fr}, hangup]", ["4:8 the flow does not speak 'fr' [one of en, zh]"]),
        ("a: [{queue: supports}, hangup]", ["4:15 there is no queue 'supports' ['support']"]),
        ("a: [{hours: {calendar: offices}}, hangup]", ["4:26 there is no calendar 'offices' ['office']"]),
        ("a: [{transfer: 'extension:9999'}]", ["4:18 there is no extension '9999' [one of 1001]"]),
        ("a: [{transfer: 'exten:9999'}]", None),
        ("a: [{dial: {to: 'group:sale'}}, hangup]", ["4:19 there is no group 'sale' ['sales']"]),
        ("a: [{play: [{music: jazz}]}, hangup]", ["4:15 there is no music class 'jazz' [one of default]"]),
    ],
)  # fmt: skip
def test_lint(nodes: str, expected: list[str] | None, tmp_path: Path) -> None:
    known = References(
        queues=frozenset({"support"}),
        calendars=frozenset({"office"}),
        extensions=frozenset({"1001"}),
        ring_groups=frozenset({"sales"}),
        music=frozenset({"default"}),
    )
    found = problems_of(f"languages: [en, zh]\nprompts: {{welcome: Hi}}\nnodes:\n  {nodes}\n", tmp_path, known)
    assert found, "a wrong flow was taken"
    if expected is not None:
        if "other" in nodes or "nowhere" in nodes:
            found = [line.split(" [")[0] for line in found]
            expected = [line.split(" [")[0] for line in expected]
        assert found == expected


def test_a_flow_with_errors_takes_its_callers_out_too(tmp_path: Path) -> None:
    for name, nodes in (
        ("top", "[{flow: middle}, hangup]"),
        ("middle", "[{flow: broken}, return]"),
        ("broken", "[nonsense]"),
        ("fine", "[hangup]"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flow.yaml").write_text(f"nodes:\n  a: {nodes}\n")
    flows, problems = load_folder(tmp_path)
    assert set(flows) == {"fine"}
    assert [Path(problem.file).parent.name for problem in problems] == ["broken"]


def test_sub_flow_arguments_are_checked(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "flow.yaml").write_text(
        "arguments: [card, kind]\nvariables: {kind: a}\nnodes:\n  a: [return]\n"
    )
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "flow.yaml").write_text("nodes:\n  a: [{flow: {flow: sub, with: {cart: 1}}}, hangup]\n")
    assert [p.message for p in check_folder(tmp_path)] == [
        "the flow 'sub' wants the argument 'card'",
        "the flow 'sub' takes no argument 'cart'",
    ]


def test_recording_replaces_text_and_changes_the_version(tmp_path: Path) -> None:
    folder = tmp_path / "tried"
    folder.mkdir()
    (folder / "flow.yaml").write_text(HEAD + "nodes:\n  a: [{play: welcome}, hangup]\n")
    before, _ = load_flow(folder)
    (folder / "prompts" / "en").mkdir(parents=True)
    (folder / "prompts" / "en" / "welcome.wav").write_bytes(b"RIFF")
    after, _ = load_flow(folder)
    assert before and after
    assert before.version != after.version
    assert after.recordings == {("en", "welcome"): str(folder / "prompts" / "en" / "welcome.wav")}


def test_a_huge_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tried"
    folder.mkdir()
    file = folder / "flow.yaml"
    file.write_bytes(b"a: \xff\xfe")
    assert "cannot be read" in load_flow(folder)[1][0].message
    file.write_text("#" * 1_048_577)
    assert "too large" in load_flow(folder)[1][0].message
    file.unlink()
    assert "cannot be read" in load_flow(folder)[1][0].message


@pytest.mark.parametrize("name", sorted(all_verbs()))
def test_example_of_every_verb_is_sound(name: str, tmp_path: Path) -> None:
    verb = all_verbs()[name]
    found = problems_of(
        "languages: [en, zh]\nprompts: {welcome: Hi}\nnodes:\n"
        + "\n".join("  " + line for line in verb.example.splitlines()),
        tmp_path,
    )
    allowed = "there is no flow 'sub'"
    assert [line for line in found if allowed not in line] == []
    assert name in verb.example


def test_template_without_quotes_is_hinted_at(tmp_path: Path) -> None:
    flow, problems = load_flow(tmp_path / "x", "prompts:\n  hi: {en: Hello {{ name }}\nnodes:\n  a: hangup\n")
    assert flow is None
    assert problems[0].hint == "put a text with {{ … }} in quotes"
