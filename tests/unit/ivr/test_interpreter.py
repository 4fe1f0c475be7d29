"""The interpreter: the way from step to step, late answers, hang-up, errors, storing and taking up again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pbx.core.ids import SeededIds
from pbx.ivr import messages as m
from pbx.ivr.interpreter import MAX_AHEAD, Interpreter
from pbx.ivr.loader import link, load_flow
from tests.unit.ivr.flows import WALL, Driver, make_flow

MENU = """
start:
  - answer
  - menu:
      prompt: welcome
      choices: {1: [{say: one}, hangup], 2: [{queue: {queue: support, data: bye}}, hangup]}
      no_input: {prompt: sorry, then: bye}
      no_match: {prompt: sorry, then: bye}
bye:
  - play: bye
  - hangup: busy
"""
MENU = MENU.replace(", data: bye", "")


def test_outputs_come_in_order() -> None:
    d = Driver(MENU).start()
    assert [type(output) for output in d.last] == [m.NodeEntered, m.Answer, m.Play]
    assert d.find(m.Play).names == ("welcome",)
    assert d.find(m.Play).barge_in_digits == m.ALL_DIGITS
    d.press("1")
    assert [type(output) for output in d.last] == [m.StopPlay, m.DigitsCollected, m.Play]
    d.played()
    assert [type(output) for output in d.last] == [m.Hangup, m.FlowEnded]
    assert d.machine.ended == "hangup"


def test_nothing_happens_after_the_end() -> None:
    d = Driver(MENU).start().give(m.HungUp())
    assert d.last == [m.StopPlay(d.find(m.Play).request), m.FlowEnded("hung_up", "tried", "start")]
    for event in (m.Digit("1"), m.HungUp(), m.PlayFinished(d.find(m.Play).request)):
        assert d.give(event).last == []
    assert d.wait(1000).last == []
    assert d.machine.next_deadline() is None


def test_late_and_foreign_answers_are_ignored() -> None:
    d = Driver(MENU).start().press("2")
    queue = d.find(m.Queue).request
    assert d.give(m.PlayFinished(d.find(m.Play).request)).last == []
    assert d.give(m.QueueResult("other", "timeout")).last == []
    d.give(m.QueueResult(queue, "answered"))
    d.give(m.QueueResult(queue, "completed"))
    assert d.machine.ended == "hangup"
    assert d.give(m.QueueResult(queue, "completed")).last == []


def test_deadline_is_met_only_when_due() -> None:
    d = Driver(MENU).start().played()
    deadline = d.machine.next_deadline()
    assert deadline is not None
    assert deadline.at == pytest.approx(d.now + 5.0)
    assert deadline.reason == "ivr tried/start.2"
    assert d.machine.expire(deadline.at - 0.001) == []
    d.wait(5.0)
    assert d.find(m.Play).names == ("sorry", "welcome")


def test_prompt_whose_end_is_never_told_does_not_hang_the_call() -> None:
    d = Driver("start:\n  - play: welcome\n  - hangup\n").start()
    d.wait(899)
    assert d.machine.ended == ""
    d.wait(2)
    assert d.machine.ended == "hangup"


def test_hang_up_in_queue_is_an_abandonment() -> None:
    d = Driver(MENU).start().press("2").give(m.HungUp())
    assert d.last == [m.LeaveQueue(d.find(m.Queue).request, "abandoned"), m.FlowEnded("hung_up", "tried", "start")]


def test_digits_typed_ahead_are_bounded_and_kept_for_the_next_menu() -> None:
    d = Driver("start:\n  - pause: 5s\n" + MENU.replace("start:", "").replace("\n  - answer", "", 1)).start()
    d.press("1" * 100)
    assert len(d.machine.state()["ahead"]) == MAX_AHEAD
    d.wait(10)
    assert (d.words, d.machine.ended) == ([], "hangup")
    d = Driver("start:\n  - pause: 5s\n" + MENU.replace("start:", "").replace("\n  - answer", "", 1)).start()
    d.press("1").wait(10)
    assert d.words == ["one"]


def test_digits_nobody_asks_for_do_not_make_a_loop_of_prompts_spin() -> None:
    d = Driver("start:\n  - say: Hold\n  - say: on\n  - goto: start\n").start()
    d.press("1")
    assert d.machine.ended == ""
    assert d.words == ["Hold", "on"], "one round is skipped, then the digit is dropped"
    d.played()
    assert d.words == ["Hold", "on", "Hold"]


@pytest.mark.parametrize("digit", ["", "12", "x", "٣", "E"])
def test_what_is_no_digit_is_ignored(digit: str) -> None:
    d = Driver(MENU).start()
    assert d.give(m.Digit(digit)).last == []


def test_error_takes_the_error_branch_once() -> None:
    flow = make_flow(
        """
        start:
          - set: {x: "abc"}
          - say: "{{ x + 1 }}"
          - hangup
        rescue:
          - say: "{{ num(x) }}"
          - hangup
        """,
        "on_error: rescue",
    )
    d = Driver(flow).start()
    assert d.path == ["start", "rescue"]
    assert [fault.node for fault in d.every(m.Fault)] == ["start.2", "rescue"]
    assert d.last[-2:] == [m.Hangup(cause=41, status=500, reason="error"), m.FlowEnded("error", "tried", "rescue")]


def test_endless_steps_are_stopped() -> None:
    d = Driver("start:\n  - set: {x: 1}\n  - goto: start\n").start()
    assert "500 steps" in d.find(m.Fault).message
    assert d.machine.ended == "error"


def test_all_steps_of_a_call_are_bounded() -> None:
    d = Driver("start:\n  - pause: 1s\n  - goto: start\n").start()
    for _ in range(20_000):
        d.wait(1)
        if d.machine.ended:
            break
    assert d.machine.ended == "error"
    assert "20000 steps" in d.find(m.Fault).message


def make_pair(sub: str, top: str = "") -> Any:
    flow = make_flow(
        """
        start:
          - set: {card: "77"}
          - flow: {flow: sub, with: {card: "{{ card }}1", kind: x}, into: got}
          - say: "{{ got.answer }} {{ card }}"
          - hangup
        """,
        top,
    )
    part, problems = load_flow(Path("/nowhere/sub"), sub)
    assert part is not None, problems
    link([flow, part])
    return flow


def test_sub_flow_has_its_own_variables_and_a_result() -> None:
    flow = make_pair(
        "arguments: [card, kind]\nresults: [card]\nvariables: {answer: 0}\n"
        "nodes:\n  a:\n    - set: {answer: '{{ card }}-{{ kind }}', card: gone}\n"
        "    - return: {answer: '{{ answer }}'}\n"
    )
    d = Driver(flow).start()
    assert d.words == ["771-x 77"]
    assert d.machine.variables["got"] == {"answer": "771-x", "card": "gone"}
    assert [(n.flow, n.node) for n in d.every(m.NodeEntered)] == [("tried", "start"), ("sub", "a")]


def test_sub_flow_that_runs_off_its_end_returns() -> None:
    flow = make_pair("arguments: [card, kind]\nresults: [answer]\nvariables: {answer: 5}\nnodes:\n  a: [{pause: 1s}]\n")
    d = Driver(flow).start().wait(1)
    assert d.words == ["5 77"]


def test_flows_that_call_each_other_are_bounded() -> None:
    flow = make_flow("start:\n  - flow: tried\n  - hangup\n")
    d = Driver(flow).start()
    assert "more than 16 sub-flows" in d.find(m.Fault).message


def test_state_is_plain_and_taken_up_again_anywhere() -> None:
    """Store and restore after every input: the calls must go on exactly alike."""
    flow = make_flow(MENU)
    events: list[tuple[float, Any]] = [(1.0, None), (2.5, "9"), (1.0, "play"), (6.0, None), (0.5, "2")]
    plain, stored = Driver(flow).start(), Driver(flow).start()
    for after, event in events:
        for d in (plain, stored):
            if event is None:
                d.wait(after)
            elif event == "play":
                d.played()
            else:
                d.give(m.Digit(event), after)
        state = msgspec.json.decode(msgspec.json.encode(stored.machine.state()))
        stored.machine = Interpreter.resume(flow, state, stored.now, _same_ids(plain))
        assert [type(output) for output in plain.last] == [type(output) for output in stored.last]
        one, two = plain.machine.next_deadline(), stored.machine.next_deadline()
        assert (one and one.reason) == (two and two.reason)
        assert (one and one.at) == pytest.approx(two and two.at)
    assert stored.find(m.Queue).queue == "support"


def _same_ids(driver: Driver) -> SeededIds:
    return SeededIds(len(driver.all) + 1)


def test_taken_up_on_another_clock_keeps_the_rest_of_the_deadline() -> None:
    flow = make_flow("start:\n  - pause: 30s\n  - say: '{{ now.time }}'\n  - hangup\n")
    d = Driver(flow).start()
    d.wait(10)
    state = d.machine.state()
    assert state["remaining"] == pytest.approx(20.0)
    later = Interpreter.resume(flow, state, 5.0, SeededIds(1), wall=WALL + timedelta(seconds=25))
    due = later.next_deadline()
    assert due is not None
    assert due.at == pytest.approx(10.0)
    again = Interpreter.resume(flow, state, 5.0, SeededIds(1))
    deadline = again.next_deadline()
    assert deadline is not None
    assert deadline.at == pytest.approx(25.0)
    play = next(o for o in again.expire(deadline.at) if isinstance(o, m.Play))
    assert getattr(play.items[0], "text", "") == "14:05"


def test_taken_up_by_a_version_without_the_step_begins_again() -> None:
    d = Driver("start:\n  - say: old\n  - goto: gone\ngone:\n  - pause: 9s\n  - hangup\n").start().played()
    flow = make_flow("start:\n  - say: new\n  - hangup\n")
    again = Interpreter.resume(flow, d.machine.state(), 50.0, SeededIds(1))
    deadline = again.next_deadline()
    assert deadline is not None and deadline.at == 50.0
    assert again.handle(m.Digit("1"), 50.0) == []
    outputs = again.expire(50.0)
    assert [type(output) for output in outputs] == [m.NodeEntered, m.Hangup, m.FlowEnded], "typed ahead: no prompt"
    again = Interpreter.resume(flow, d.machine.state(), 50.0, SeededIds(1))
    assert [type(output) for output in again.expire(50.0)] == [m.NodeEntered, m.Play]


def test_language_of_the_caller_is_used_when_the_flow_speaks_it() -> None:
    nodes = "start:\n  - say: {en: hello, zh: 你好}\n  - hangup\n".replace("say: {", "say: {text: {").replace("}", "}}")
    flow = make_flow(nodes, "language: zh")
    assert Driver(flow).start().words == ["你好"]
    assert Driver(flow, language="en-GB").start().words == ["hello"]
    assert Driver(flow, language="fr").start().words == ["你好"]


def test_same_inputs_same_outputs() -> None:
    flow = make_flow(MENU)
    one, two = (Driver(flow).start().press("9").played().wait(6).press("2") for _ in range(2))
    assert one.all == two.all


def test_wall_clock_may_come_with_the_call() -> None:
    flow = make_flow("start:\n  - say: '{{ now.date }} {{ now.weekday }}'\n  - hangup\n")
    machine = Interpreter(flow, m.CallFacts(call="c", wall=WALL), SeededIds(1))
    play = machine.start(0.0)[1]
    assert isinstance(play, m.Play)
    assert getattr(play.items[0], "text", "") == "2026-11-23 1"
