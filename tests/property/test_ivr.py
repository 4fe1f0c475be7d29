# ruff: noqa: E501 (flows and answers in one line)
"""Random flows and callers: every call ends when the caller hangs up, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.core.ids import SeededIds
from pbx.ivr import messages as m
from pbx.ivr.drawing import draw_flow
from pbx.ivr.expressions import BASE_FUNCTIONS, Expression, ExpressionError, Template
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter
from pbx.ivr.lint import check_flow
from pbx.ivr.loader import link, load_flow
from pbx.ivr.schema import FlowModel
from tests.unit.ivr.flows import WALL

NODES = ("a", "b", "c", "d")
target = st.sampled_from(NODES)
failing = st.fixed_dictionaries(
    {"no_input": target.map(lambda t: f"{{then: {t}}}"), "no_match": target.map(lambda t: f"{{then: {t}}}")}
)
STEPS = {
    "play": st.just("play: [hi, {tone: beep}]"),
    "say": st.sampled_from(["say: '{{ x }}'", "say: '{{ x | num(0) | money }}'", "say: '{{ nope }}'", "say: '{{ x.y + 1 }}'"]),
    "pause": st.integers(0, 5).map(lambda s: f"pause: {s}s"),
    "set": st.sampled_from(["set: {x: 5}", "set: {x: '{{ x }}1'}", "set: {x: '{{ call.caller }}'}"]),
    "menu": st.builds(lambda a, b, f: f"menu: {{prompt: hi, choices: {{1: {a}, 12: {b}}}, speech: {{1: [one]}}, no_input: {f['no_input']}, no_match: {f['no_match']}}}", target, target, failing),
    "collect": st.builds(lambda s, f: f"collect: {{prompt: hi, into: x, max: 3, secure: {s}, confirm: {{prompt: hi}}, no_input: {f['no_input']}, no_match: {f['no_match']}}}", st.sampled_from(["on", "off"]), failing),
    "branch": st.builds(lambda a, b: f"branch: {{if: len(text(x)) > 1, then: {a}, else: {b}}}", target, target),
    "queue": st.builds(lambda a, b: f"queue: {{queue: q, keys: {{9: {a}}}, timeout: {b}}}", target, target),
    "dial": target.map(lambda t: f"dial: {{to: 'extension:1', busy: {t}}}"),
    "hours": st.builds(lambda a, b: f"hours: {{calendar: o, closed: {a}, open: {b}}}", target, target),
    "http": target.map(lambda t: f"http: {{url: 'http://h/{{{{ x }}}}', into: x, failed: {t}}}"),
    "sql": target.map(lambda t: f"sql: {{source: s, query: 'select :x', params: {{x: '{{{{ x }}}}'}}, into: x, first: on, failed: {t}}}"),
    "record": target.map(lambda t: f"record: {{prompt: hi, into: x, nothing: {t}}}"),
    "voicemail": target.map(lambda t: f"voicemail: {{mailbox: '1', greeting: hi, saved: hi, nothing: {t}}}"),
    "directory": failing.map(lambda f: f"directory: {{prompt: hi, into: x, no_input: {f['no_input']}, no_match: {f['no_match']}}}"),
    "survey": st.just("survey: {questions: [{name: a, prompt: hi}, {name: b, prompt: hi}], into: x}"),
    "callback": target.map(lambda t: f"callback: {{queue: q, refused: {t}}}"),
    "conference": st.just("conference: '3000'"),
    "loop": target.map(lambda t: f"loop: {{times: 2, again: {t}}}"),
    "secure": st.sampled_from(["secure: on", "secure: off"]),
    "language": st.sampled_from(["language: zh", "language: '{{ x }}'"]),
    "flow": st.just("flow: {flow: f, into: x}"),
    "caller_class": target.map(lambda t: f"caller_class: {{classes: {{vip: {t}}}}}"),
    "goto": target.map(lambda t: f"goto: {t}"),
    "return": st.just("return: {x: '{{ x }}'}"),
    "transfer": st.just("transfer: 'queue:q'"),
    "hangup": st.just("hangup: busy"),
}  # fmt: skip
steps = st.sampled_from(sorted(STEPS)).flatmap(lambda name: STEPS[name])
flows = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=len(NODES), max_size=len(NODES))


def build(nodes: list[list[str]]) -> Flow:
    lines = [
        f"  {name}:\n" + "".join(f"    - {step}\n" for step in items) for name, items in zip(NODES, nodes, strict=True)
    ]
    text = "languages: [en, zh]\nvariables: {x: 1}\nresults: [x]\nprompts: {hi: Hi}\non_error: d\nnodes:\n" + "".join(
        lines
    )
    flow, problems = load_flow(Path("/nowhere/f"), text)
    assert flow is not None, [str(p) for p in problems]
    link([flow])
    return flow


def answer(kind: str, request: str, how: int) -> m.Input:
    """One of several answers to a request."""
    choices: dict[str, list[m.Input]] = {
        "play": [m.PlayFinished(request), m.PlayFinished(request, "failed"), m.PlayFinished(request, "digit")],
        "listen": [m.Recognised(request, "one"), m.Recognised(request), m.Recognised(request, failure="none")],
        "calendar": [m.CalendarChecked(request, "open"), m.CalendarChecked(request, "closed"), m.CalendarChecked(request, "holiday", "x")],
        "queue": [m.QueueResult(request, "answered"), m.QueueResult(request, "completed"), m.QueueResult(request, "timeout")],
        "dial": [m.DialResult(request, "answered"), m.DialResult(request, "busy"), m.DialResult(request, "completed")],
        "fetch": [m.Fetched(request, 200, {"y": 1}), m.Fetched(request, 200, "garbage"), m.Fetched(request, failure="timeout")],
        "query": [m.QueryResult(request, ({"y": None},)), m.QueryResult(request), m.QueryResult(request, failure="error")],
        "record": [m.RecordFinished(request, "/r.wav", 5.0), m.RecordFinished(request, "", 0.0, "silence"), m.RecordFinished(request, reason="failed")],
        "lookup": [m.LookupResult(request, ({"name": "{{", "destination": "extension:1", "class": "vip"},)), m.LookupResult(request), m.LookupResult(request)],
        "callback": [m.CallbackRegistered(request, True), m.CallbackRegistered(request, False), m.CallbackRegistered(request, True)],
        "conference": [m.ConferenceLeft(request), m.ConferenceLeft(request, "full"), m.ConferenceLeft(request)],
    }  # fmt: skip
    return choices.get(kind, [m.Answered(request)] * 3)[how]


ANSWERED = (
    m.Play,
    m.Listen,
    m.CheckCalendar,
    m.Queue,
    m.Dial,
    m.Fetch,
    m.Query,
    m.Record,
    m.Lookup,
    m.Callback,
    m.Conference,
    m.ReadMailbox,
)
TAKES_BACK = (m.StopPlay, m.StopListening, m.LeaveQueue, m.CancelDial, m.StopRecord, m.Cancel)
NEVER_TAKEN_BACK = {m.CheckCalendar, m.Callback}
"""Answered at once, or a fact that stands; the answer is ignored."""


class Ledger:
    """Which requests the switch would still be working on."""

    def __init__(self) -> None:
        self.open: dict[str, type] = {}

    def take(self, outputs: list[m.Output]) -> None:
        for output in outputs:
            if isinstance(output, ANSWERED):
                assert output.request not in self.open, "a request id is used once"
                self.open[output.request] = type(output)
            elif isinstance(output, TAKES_BACK):
                self.open.pop(output.request, None)

    def answered(self, event: m.Input) -> None:
        news = getattr(event, "result", getattr(event, "status", "")) == "answered"
        if not news:
            self.open.pop(getattr(event, "request", ""), None)


events = st.lists(
    st.one_of(
        st.sampled_from("0123456789*#").map(lambda d: ("digit", d)),
        st.tuples(st.just("answer"), st.integers(0, 2)),
        st.tuples(st.just("answer"), st.integers(0, 2)),
        st.sampled_from([0.5, 3.0, 6.0, 1000.0]).map(lambda s: ("wait", s)),
        st.just(("store", 0)),
        st.just(("late", 0)),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(flows, events)
def test_hang_up_anywhere_leaves_nothing_behind(nodes: list[list[str]], happenings: list[tuple[str, Any]]) -> None:
    flow = build(nodes)
    machine = Interpreter(flow, m.CallFacts(call="c", caller="13800138000", spoken=("*",)), SeededIds(3))
    ledger, now, old = Ledger(), 10.0, ""
    ledger.take(machine.start(now, WALL))
    for number, (what, value) in enumerate(happenings):
        now += 0.1
        if what == "digit":
            ledger.take(machine.handle(m.Digit(value), now))
        elif what == "wait":
            now += value
            ledger.take(machine.expire(now))
        elif what == "answer":
            pending = machine.state()["open"]
            if pending:
                request = next(reversed(pending))
                event = answer(pending[request], request, value)
                old = request
                ledger.answered(event)
                ledger.take(machine.handle(event, now))
        elif what == "late" and old and old not in machine.state()["open"]:
            assert machine.handle(m.PlayFinished(old), now) == []
        elif what == "store" and not machine.ended:
            state = msgspec.json.decode(msgspec.json.encode(machine.state()))
            machine = Interpreter.resume(flow, state, now, SeededIds(1000 + number))
        assert bool(machine.ended) or machine.state()["open"] or machine.next_deadline() is not None, (
            "nothing would ever wake it"
        )
    ledger.take(machine.handle(m.HungUp(), now))
    deadline = machine.next_deadline()
    if not machine.ended:
        assert deadline is not None, "a recording that is being closed is waited for, but not for ever"
        ledger.take(machine.expire(deadline.at))
    assert machine.ended
    assert machine.next_deadline() is None
    assert machine.state()["open"] == {}
    assert {kind for kind in ledger.open.values()} <= NEVER_TAKEN_BACK
    assert machine.handle(m.Digit("1"), now + 1) == machine.expire(now + 9999) == []


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    for read in (Expression, Template):
        try:
            made = read(text)
        except ExpressionError as error:
            assert 0 <= error.offset <= len(text)
            continue
        assert made.source == text


fragments = st.sampled_from(["x", "y.z", "1", "'a'", "2.5", "(", ")", "+", "*", "|", "len", "num", "==", " and ", "not ", "[0]", ",", "text(x)", "-", "%", "/", "None"])  # fmt: skip


@given(st.lists(fragments, max_size=12).map("".join), st.recursive(st.none() | st.integers() | st.text() | st.floats(), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8))  # fmt: skip
def test_an_expression_gives_a_value_or_one_kind_of_error(source: str, value: Any) -> None:
    try:
        Expression(source).evaluate({"x": value, "y": {"z": value}}, BASE_FUNCTIONS)
    except ExpressionError:
        return


yaml_pieces = st.sampled_from(["nodes:", "\n", "  ", "a", ": ", "- ", "hangup", "{", "}", "[", "]", "menu", "'", '"', "{{ x }}", "&a ", "*a", "1", "prompts:", "goto", "#", "null", "\t", "|", ">"])  # fmt: skip


@given(st.lists(yaml_pieces, max_size=40).map("".join))
def test_any_file_is_a_flow_or_has_problems_with_places(text: str) -> None:
    flow, problems = load_flow(Path("/nowhere/f"), text)
    assert (flow is None) == bool(problems)
    lines = text.count("\n") + 1
    assert all(1 <= problem.line <= lines + 1 and problem.column >= 1 for problem in problems)


def test_model_has_a_description_in_both_languages_for_every_field() -> None:
    for name, field in FlowModel.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict) and field.json_schema_extra["zh"], name


@settings(max_examples=30, deadline=None)
@given(flows)
def test_any_flow_can_be_checked_drawn_and_described(nodes: list[list[str]]) -> None:
    """Lint tells problems with places and never fails; it says the same twice; pictures are sound XML."""
    flow = build(nodes)
    problems = check_flow(flow)
    assert problems == check_flow(flow)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    picture = ET.fromstring(draw_flow(flow, {"a": 1}, {("a", "b"): 2}))
    names = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert set(NODES) <= names


@settings(max_examples=60, deadline=None)
@given(flows, events)
def test_a_flow_that_lint_passes_never_faults_for_want_of_a_variable_or_a_way_out(
    nodes: list[list[str]], happenings: list[tuple[str, Any]]
) -> None:
    """What lint promises holds at run time: no unset variable is read, and no step spins."""
    flow = build(nodes)
    told = " ".join(problem.message for problem in check_flow(flow))
    if any(
        word in told for word in ("is never set", "is not set on every way", "without ever waiting", "no way leads")
    ):
        return
    machine = Interpreter(flow, m.CallFacts(call="c", caller="13800138000", spoken=("*",)), SeededIds(5))
    outputs, now = machine.start(0.0, WALL), 0.0
    for what, value in happenings:
        now += 0.1
        pending = machine.state()["open"]
        if what == "digit":
            outputs += machine.handle(m.Digit(value), now)
        elif what == "wait":
            now += value
            outputs += machine.expire(now)
        elif pending:
            request = next(reversed(pending))
            outputs += machine.handle(answer(pending[request], request, value % 3), now)
    faults = [output.message for output in outputs if isinstance(output, m.Fault)]
    assert not [fault for fault in faults if "is not defined" in fault or "without waiting" in fault]
