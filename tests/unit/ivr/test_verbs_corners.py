# ruff: noqa: E501 (flows in one line)
"""What reaches a verb that waits for something else, what options are refused, and branches left out."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from media.protocol import File, Tone
from pbx.ivr import messages as m
from pbx.ivr.expressions import BASE_FUNCTIONS, MAX_TEXT, Expression, ExpressionError, Template
from pbx.ivr.loader import load_flow
from pbx.ivr.speech import language, speech_functions
from tests.unit.ivr.flows import Driver, make_flow

ASK = "no_input: {prompt: sorry, then: bye}, no_match: {prompt: sorry, then: bye}"
BYE = "\nbye:\n  - hangup\n"
SQL = "source: b, into: c, failed: bye"


@pytest.mark.parametrize(
    "step",
    [
        "callback: {queue: support}",
        "caller_class: {classes: {vip: bye}, else: bye}",
        "conference: '3000'",
        "hours: {calendar: office, closed: bye}",
        f"sql: {{{SQL}, query: SELECT 1}}",
        "http: {url: 'http://x.test/', into: c, failed: bye}",
        "mailbox: {mailbox: '1', into: box, refused: bye, failed: bye}",
        "queue: support",
        f"collect: {{prompt: welcome, into: x, {ASK}}}",
        "record: {prompt: welcome, into: r, nothing: bye}",
        "voicemail: {mailbox: '1', greeting: welcome}",
    ],
)
def test_an_answer_that_comes_late_does_not_end_the_wait(step: str) -> None:
    d = Driver(f"start:\n  - {step}\n  - say: over\n  - hangup{BYE}").start()
    assert d.give(m.Answered()).last == []
    assert d.machine.ended == ""
    assert "over" not in d.words


def test_answered_elsewhere_while_still_ringing() -> None:
    d = Driver("start:\n  - answer: {after: 3s}\n  - hangup\n").start().give(m.Answered())
    assert d.machine.ended == "hangup"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (f"sql: {{{SQL}, query: 'SELECT 1; SELECT 2'}}", "expected one statement"),
        (f"sql: {{{SQL}, query: 'DELETE FROM c'}}", "expected a SELECT"),
        (f"sql: {{{SQL}, query: 'SELECT {{{{ x }}}}'}}", "expected :parameters"),
        (f"sql: {{{SQL}, query: 'SELECT :a'}}", "no value for :a"),
        (f"sql: {{{SQL}, query: 'SELECT 1', params: {{a: '1'}}}}", "the statement has no :a"),
        (f"collect: {{prompt: welcome, into: x, min: 5, max: 2, {ASK}}}", "min is greater than max"),
        ("message: {mailbox: '1', message: '2', change: heard, to: '3'}", "expected `to` with forwarded"),
        ("message: {mailbox: '1', message: '2', change: forwarded}", "expected `to` with forwarded"),
        ("notice: {text: hello}", "expected exactly one of sms and email"),
        ("play: [{say: a, tone: busy}]", "expected exactly one of prompt"),
        ("play: [{country: cn}]", "expected exactly one of prompt"),
        ("callback: support", "expected options, one per line"),
        ("conference: {room: '1', failed: []}", "expected the name of a node"),
    ],
)
def test_options_that_are_refused(step: str, message: str) -> None:
    text = f"prompts: {{welcome: Hi, sorry: Sorry}}\nnodes:\n  start:\n    - {step}\n    - hangup\n  bye: hangup\n"
    _, problems = load_flow(Path("/nowhere/tried"), text)
    assert any(message in str(p) for p in problems), [str(p) for p in problems]


def test_branches_and_names_that_are_left_out() -> None:
    flow = make_flow(
        "start:\n  - branch: {if: 'False', else: bye}\n  - hangup\n"
        "away:\n  - conference: '{{ call.caller }}'\n  - callback: {queue: '{{ call.caller }}'}\n  - goto: over\n"
        "over:\n  - switch: {on: call.caller, cases: {a: bye}}\n  - transfer: '{{ call.caller }}'\nbye:\n  - hangup\n"
    )
    assert Driver(flow).start().path == ["start", "bye"]
    for step in flow.steps.values():
        assert list(step.verb.references(step.options)) == []


def test_secure_twice_is_said_once() -> None:
    d = Driver("start:\n  - secure: true\n  - secure: true\n  - pause: 1s\n  - hangup\n").start()
    assert d.every(m.Secure) == [m.Secure(on=True)]


def test_transfer_ends_secure() -> None:
    d = Driver("start:\n  - secure: true\n  - transfer: extension:1001\n").start()
    assert d.every(m.Secure) == [m.Secure(on=True), m.Secure(on=False)]
    assert d.machine.ended == "transferred"


def test_survey_without_a_variable() -> None:
    d = Driver("start:\n  - survey: {questions: [{name: a, prompt: welcome}]}\n  - say: thanks\n  - hangup\n").start()
    assert d.press("5").words[-1] == "thanks"
    assert d.machine.variables == {}


def collecting(options: str) -> Driver:
    return Driver(
        f"start:\n  - collect: {{prompt: welcome, into: got, {options}, {ASK}}}\n  - say: '<{{{{ got }}}}>'\n  - hangup{BYE}"
    ).start()


def test_a_prompt_that_cannot_be_cut_short_drops_digits() -> None:
    d = collecting("length: 2, barge_in: false").press("99").played().press("12")
    assert d.words[-1] == "<12>"


def test_speech_and_play_of_an_earlier_question_are_not_taken() -> None:
    d = collecting("length: 2, speech: true")
    assert d.give(m.Recognised("", "nine nine")).last == []
    assert d.give(m.PlayFinished("")).last == []
    d.played()
    assert d.give(m.Recognised(d.find(m.Listen).request, "one two")).words[-1] == "<12>"
    assert d.every(m.StopPlay) == []


def test_nothing_to_say_is_not_played() -> None:
    d = Driver("start:\n  - play: [{say: ' '}]\n  - pause: 1s\n  - hangup\n").start()
    assert d.every(m.Play) == []
    assert d.machine.ended == ""


def test_text_in_no_language_of_the_call() -> None:
    flow = make_flow("start:\n  - play: [{say: {fr: Salut, de: Hallo}}]\n  - hangup\n")
    assert Driver(flow).start().words == ["Salut"]


@pytest.mark.parametrize(
    ("source", "value"),
    [("None['a']", None), ("num(True) + 1", 2), ("num('1.5') * 2", 3.0)],
)
def test_value(source: str, value: object) -> None:
    assert Expression(source).evaluate({}, BASE_FUNCTIONS) == value


def test_expressions_that_are_refused() -> None:
    with pytest.raises(ExpressionError, match="longer than"):
        Template("x" * (MAX_TEXT + 1))
    with pytest.raises(ExpressionError, match="grew longer"):
        Template("{{ a }}{{ a }}").render({"a": "x" * MAX_TEXT}, BASE_FUNCTIONS)
    with pytest.raises(ExpressionError, match=r"\*\* is not part"):
        Expression("{**a}").evaluate({"a": {}}, BASE_FUNCTIONS)


def test_truth_in_a_text() -> None:
    assert Template("{{ a }}/{{ b }}").render({"a": True, "b": False}, BASE_FUNCTIONS) == "true/false"


PIECES = """
languages: [en]
prompts:
  tune: {en: {tone: busy, duration: 1s}}
nodes:
  start:
    - play: tune
    - hangup
"""


def test_a_prompt_that_is_one_piece() -> None:
    flow, problems = load_flow(Path("/nowhere/tried"), PIECES)
    assert flow is not None, [str(p) for p in problems]
    assert Driver(flow).start().find(m.Play).items == (Tone(name="busy", country="cn", duration_ms=1000),)


@pytest.mark.parametrize(
    ("form", "value", "same"),
    [
        ("date", datetime(2026, 11, 22, 14, 5, tzinfo=UTC), "2026-11-22"),
        ("date", date(2026, 11, 22), "2026-11-22"),
        ("time", datetime(2026, 11, 22, 14, 5, tzinfo=UTC), "14:05"),
        ("time", time(14, 5), "14:05"),
    ],
)
@pytest.mark.parametrize("tag", ["en", "zh"])
def test_dates_and_times_are_said_as_their_texts(form: str, value: object, same: str, tag: str) -> None:
    say = speech_functions(tag)[form]
    assert say(value) == say(same)


def test_a_telephone_number_never_ends_in_a_lone_digit() -> None:
    assert language("en").phone("5551234567") == "five five five, one two three, four five six seven"


@pytest.mark.parametrize("value", ["1.5", -1])
def test_only_whole_numbers_have_an_ordinal(value: object) -> None:
    with pytest.raises(ValueError, match="only whole numbers"):
        language("en").ordinal(value)


def test_directory_waits_for_its_answer_and_passes_over_others() -> None:
    d = Driver(f"start:\n  - directory: {{prompt: welcome, into: who, {ASK}}}\n  - say: over\n  - hangup{BYE}").start()
    d.press("564#")
    lookup = d.find(m.Lookup)
    assert d.give(m.Answered()).last == []
    d.give(m.LookupResult(lookup.request, ({"name": "John", "destination": "1001"},)))
    assert "John" in d.words[-1]


@pytest.mark.parametrize(("keys", "pause"), [("99#", 0), ("99", 3.5)])
def test_directory_takes_initials_that_end_early(keys: str, pause: float) -> None:
    d = Driver(f"start:\n  - directory: {{prompt: welcome, into: who, {ASK}}}\n  - say: over\n  - hangup{BYE}").start()
    d.press(keys)
    if pause:
        d.wait(pause)
    assert d.find(m.Lookup).key == "99"


def test_an_http_body_keeps_its_numbers_and_lists() -> None:
    d = Driver(
        "start:\n  - http: {url: 'http://x.test/', method: POST, json: {n: 5, all: [true, '{{ call.caller }}']}, into: c, failed: bye}\n"
        f"  - hangup{BYE}"
    ).start()
    assert d.find(m.Fetch).body == {"n": 5, "all": [True, "13800138000"]}


def test_a_caller_who_left_is_waited_for_until_the_recording_is_over() -> None:
    d = Driver("start:\n  - voicemail: {mailbox: '1', greeting: welcome}\n  - hangup\n").start()
    d.give(m.LookupResult(d.find(m.Lookup).request, ({"number": "1"},))).played()
    d.give(m.HungUp())
    assert d.machine.ended == ""
    d.give(m.Answered())
    d.give(m.RecordFinished(d.find(m.Record).request, reason="failed"))
    assert d.machine.ended == "hung_up"


def test_prompts_that_name_each_other_end_the_call_with_an_error() -> None:
    text = "languages: [en]\nprompts: {a: {en: [{prompt: b}]}, b: {en: [{prompt: a}]}}\nnodes:\n  start: [play: a, hangup]\n"
    flow, problems = load_flow(Path("/nowhere/tried"), text)
    assert flow is not None, [str(p) for p in problems]
    d = Driver(flow).start()
    assert "without end" in d.find(m.Fault).message
    assert d.machine.ended == "error"


def test_a_recorded_prompt_is_played_instead_of_its_text(tmp_path: Path) -> None:
    recorded = tmp_path / "tried" / "prompts" / "en" / "welcome.wav"
    recorded.parent.mkdir(parents=True)
    recorded.write_bytes(b"RIFF")
    d = Driver(make_flow("start:\n  - play: welcome\n  - hangup\n", folder=tmp_path)).start()
    assert d.find(m.Play).items == (File(path=str(recorded)),)


def test_a_question_without_words_waits_at_once() -> None:
    d = Driver(
        f"start:\n  - collect: {{prompt: [{{say: ' '}}], into: got, length: 1, timeout: 4s, {ASK}}}\n  - hangup{BYE}"
    ).start()
    assert d.every(m.Play) == []
    d.wait(4)
    assert d.find(m.Play).names[0] == "sorry"


def test_directory_offers_again_when_no_key_was_pressed() -> None:
    d = Driver(f"start:\n  - directory: {{prompt: welcome, into: who, {ASK}}}\n  - say: over\n  - hangup{BYE}").start()
    d.press("564#")
    people = ({"name": "John", "destination": "1001"}, {"name": "Joan", "destination": "1002"})
    d.give(m.LookupResult(d.find(m.Lookup).request, people)).played()
    d.wait(60)
    assert d.find(m.Play).names[0] == "sorry"
    assert "over" not in d.words
