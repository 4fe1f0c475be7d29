# ruff: noqa: E501 (flows in one line)
"""What each verb does, beyond what the shipped flows' own cases show."""

from typing import Any

import pytest

from media.protocol import File, Music, Silence, Speech, Tone
from pbx.ivr import messages as m
from pbx.ivr.verbs import all_verbs
from pbx.ivr.verbs.collect import is_luhn
from tests.unit.ivr.flows import Driver, make_flow

ASK = "no_input: {prompt: sorry, then: bye}, no_match: {prompt: sorry, then: bye}"
BYE = "\nbye:\n  - play: bye\n  - hangup\n"


def collecting(options: str) -> Driver:
    return Driver(
        f"start:\n  - collect: {{prompt: welcome, into: got, {options}, {ASK}}}\n  - say: '<{{{{ got }}}}>'\n  - hangup{BYE}"
    ).start()


def test_answer_after_ringing() -> None:
    d = Driver("start:\n  - answer: {after: 3s}\n  - hangup\n").start()
    assert d.every(m.Answer) == []
    d.wait(3)
    assert len(d.every(m.Answer)) == 1
    assert d.machine.ended == "hangup"


def test_play_renders_every_kind_of_piece() -> None:
    flow = make_flow(
        "start:\n  - play: [welcome, {say: {en: Hi, zh: 嗨}}, {silence: 300ms}, {tone: busy, duration: 2s}, {music: quiet}, {file: '{language}/x.wav'}]\n  - hangup\n"
    )
    play = Driver(flow, language="zh").start().find(m.Play)
    assert play.items == (
        Speech(text="Welcome", language="zh"),
        Speech(text="嗨", language="zh"),
        Silence(duration_ms=300),
        Tone(name="busy", country="cn", duration_ms=2000),
        Music(folder="quiet"),
        File(path="/nowhere/tried/prompts/zh/x.wav"),
    )


def test_play_that_cannot_be_cut_short_ignores_digits() -> None:
    d = Driver(
        f"start:\n  - play: {{prompt: welcome, barge_in: false}}\n  - collect: {{prompt: sorry, into: x, {ASK}}}\n  - hangup{BYE}"
    ).start()
    d.press("5")
    assert d.find(m.Play).barge_in_digits == ""
    d.played()
    assert d.find(m.Play).names == ("sorry",)


def test_say_is_not_said_when_the_caller_has_typed_ahead() -> None:
    d = Driver(
        f"start:\n  - pause: 1s\n  - say: long\n  - collect: {{prompt: sorry, into: x, length: 2, {ASK}}}\n  - hangup{BYE}"
    ).start()
    d.press("12").wait(1)
    assert d.words == []
    assert d.find(m.DigitsCollected) == m.DigitsCollected("start", "12")


@pytest.mark.parametrize(
    ("options", "typed", "taken"),
    [
        ("length: 4", "1234", "1234"),
        ("max: 6", "123#", "123"),
        ("max: 6, terminators: '*'", "12#*", "12#"),
        ("min: 2, max: 3", "123", "123"),
        ("length: 16, luhn: true", "4111111111111111", "4111111111111111"),
        ("length: 11, pattern: '1[3-9][0-9]+'", "13800138000", "13800138000"),
    ],
)
def test_collect(options: str, typed: str, taken: str) -> None:
    assert collecting(options).press(typed).words[-1] == f"<{taken}>"


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        ("length: 16, luhn: true", "4111111111111112"),
        ("length: 11, pattern: '1[3-9][0-9]+'", "12800138000"),
        ("min: 3", "12#"),
        ("min: 1", "#"),
    ],
)
def test_collect_refuses_and_asks_again_three_times(options: str, typed: str) -> None:
    d = collecting(options)
    d.press(typed)
    assert d.find(m.Play).names == ("sorry", "welcome")
    d.press(typed).press(typed)
    assert d.path == ["start", "bye"]


def test_collect_ends_when_the_caller_stops_typing() -> None:
    d = collecting("min: 2, max: 6").press("12")
    d.wait(2.9)
    assert d.words[-1] == "Welcome"
    d.wait(0.2)
    assert d.words[-1] == "<12>"


def test_collect_silence_goes_by_no_input() -> None:
    d = collecting("length: 4")
    for _ in range(3):
        d.played().wait(5)
    assert d.path == ["start", "bye"]


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("one two oh four", "1204"),
        ("double five zero 1", "5501"),
        ("幺二零四", "1204"),
        ("12 04", "1204"),
        ("1-2-0-4", "1204"),
    ],
)
def test_collect_spoken_digits(said: str, taken: str) -> None:
    d = collecting("length: 4, speech: on")
    assert d.find(m.Listen).digits
    d.give(m.Recognised(d.find(m.Listen).request, said))
    assert d.words[-1] == f"<{taken}>"


@pytest.mark.parametrize("said", ["one two", "one two three four five", "hello", "one two banana four", "²²²²"])
def test_collect_asks_again_for_other_words(said: str) -> None:
    d = collecting("length: 4, speech: on")
    d.give(m.Recognised(d.find(m.Listen).request, said))
    assert d.find(m.Play).names == ("sorry", "welcome")


def test_card_digits_are_never_listened_to() -> None:
    assert collecting("length: 4, speech: on, secure: on").every(m.Listen) == []


def test_collect_confirmation() -> None:
    d = collecting("length: 2, confirm: {prompt: [{say: '{{ entered | digits }}'}]}").press("12")
    assert d.words[-1] == "one two"
    d.press("2")
    assert d.words[-1] == "Welcome"
    d.press("34").press("1")
    assert d.words[-1] == "<34>"
    assert "entered" not in d.machine.variables


def test_collect_confirmation_in_silence_counts_as_an_attempt() -> None:
    d = collecting("length: 2, confirm: {prompt: sorry}")
    for _ in range(3):
        d.press("12").played().wait(5)
    assert d.path == ["start", "bye"]


def test_card_digits_are_nowhere_to_be_seen() -> None:
    card = "4111111111111111"
    d = Driver(
        f"""
start:
  - secure: on
  - collect: {{prompt: welcome, into: card, length: 16, {ASK}}}
  - set: {{copy: "{{{{ card }}}}"}}
  - data: {{card: "{{{{ copy }}}}"}}
  - tag: {{tag: card, value: "{{{{ card }}}}"}}
  - say: "{{{{ copy }}}}"
  - notice: {{sms: "1", text: "{{{{ copy }}}}"}}
  - http: {{url: "http://pay/x", method: POST, json: {{card: "{{{{ card }}}}"}}, failed: bye}}
  - secure: off
  - hangup{BYE}"""
    ).start()
    d.press("4111")
    assert "4111" not in repr(d.machine.state())
    d.press(card[4:]).played()
    fetch = d.find(m.Fetch)
    assert (fetch.secret, fetch.body) == (True, {"card": card})
    shown = [output for output in d.all if not isinstance(output, m.Fetch)]
    assert card not in repr(shown)
    assert "411" not in repr(d.machine.state())
    assert d.machine.variables["copy"] == "***"
    assert [s.on for s in d.every(m.Secure)] == [True]
    d.give(m.Fetched(fetch.request, 200, {}))
    assert [s.on for s in d.every(m.Secure)] == [True, False]


@pytest.mark.parametrize(
    ("number", "right"),
    [("4111111111111111", True), ("79927398713", True), ("79927398710", False), ("", False), ("12a", False)],
)
def test_luhn(number: str, right: bool) -> None:
    assert is_luhn(number) is right


def test_menu_with_keys_that_begin_alike() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {1: a, 12: b}, "
        + ASK
        + "}\na:\n  - hangup\nb:\n  - hangup: busy"
        + BYE
    )
    d = Driver(menu).start().press("1")
    assert d.path == ["start"]
    d.wait(3)
    assert d.path == ["start", "a"]
    assert Driver(menu).start().press("12").path == ["start", "b"]
    assert Driver(menu).start().press("13").find(m.Play).names == ("sorry", "welcome")


def test_menu_by_speech() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {1: a}, speech: {1: [Sales Team, 销售]}, "
        + ASK
        + "}\na:\n  - hangup"
        + BYE
    )
    d = Driver(menu).start()
    listen = d.find(m.Listen)
    assert listen.phrases == ("Sales Team", "销售")
    assert d.find(m.Play).stop_on_speech
    assert Driver(menu).start().give(m.Recognised(listen.request, "the sales team please")).path == ["start", "a"]
    assert Driver(menu).start().give(m.Recognised(listen.request, "我找销售")).path == ["start", "a"]
    d.give(m.Recognised(listen.request, "music"))
    assert d.find(m.Play).names == ("sorry", "welcome")


def spoken_menu(more: str = "") -> Driver:
    return Driver(
        "start:\n  - menu: {prompt: welcome, choices: {1: a}, speech: {1: [sales]}, "
        + more
        + ASK
        + "}\na:\n  - hangup"
        + BYE
    )


def test_one_who_speaks_is_let_finish() -> None:
    """The clock for somebody who does nothing stands still until the recogniser has answered, or should have."""
    d = spoken_menu("max_speech: 8s, ").start()
    listen = d.find(m.Listen)
    assert (listen.pause, listen.most) == (1.0, 8.0)
    d.give(m.PlayFinished(d.find(m.Play).request, "speech")).give(m.SpeechStarted(listen.request))
    assert d.wait(7.0).last == []
    assert d.give(m.Recognised(listen.request, "sales", 0.8)).path == ["start", "a"]
    assert d.find(m.SpeechHeard) == m.SpeechHeard("start", "sales", 0.8)
    lost = spoken_menu("max_speech: 8s, ").start()
    lost.give(m.SpeechStarted(lost.find(m.Listen).request))
    assert lost.wait(19.9).last == []
    assert m.StopListening(lost.every(m.Listen)[0].request) in lost.wait(0.1).last


def test_speech_stops_the_prompt_only_where_it_may() -> None:
    d = spoken_menu().start()
    d.give(m.SpeechStarted(d.find(m.Listen).request))
    assert m.StopPlay(d.find(m.Play).request) in d.last
    closed = spoken_menu("barge_in: off, ").start()
    assert closed.every(m.Listen) == [] and not closed.find(m.Play).stop_on_speech
    assert len(closed.played().every(m.Listen)) == 1


def test_speech_that_is_not_understood_is_no_match() -> None:
    d = spoken_menu().start()
    request = d.find(m.Listen).request
    d.give(m.SpeechStarted(request)).give(m.Recognised(request, "", 0.1))
    assert d.find(m.Play).names == ("sorry", "welcome")
    assert len(d.every(m.Listen)) == 2


def test_in_a_language_without_recogniser_nothing_is_listened_for() -> None:
    d = Driver(spoken_menu().flow, spoken=("zh",)).start()
    assert d.every(m.Listen) == []
    assert len(Driver(spoken_menu().flow, spoken=("en",), language="en-GB").start().every(m.Listen)) == 1


def test_menu_listens_no_more_once_a_digit_came() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {12: a}, speech: {12: [sales]}, "
        + ASK
        + "}\na:\n  - hangup"
        + BYE
    )
    d = Driver(menu).start().press("1")
    listen = d.find(m.Listen).request
    assert m.StopListening(listen) in d.last
    assert d.give(m.Recognised(listen, "sales")).last == []


def test_without_a_recogniser_noise_does_not_cut_prompts() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {1: a}, speech: {1: [sales]}, " + ASK + "}\na:\n  - hangup" + BYE
    )
    d = Driver(make_flow(menu), spoken=()).start()
    assert d.every(m.Listen) == []
    assert not d.find(m.Play).stop_on_speech


def test_recogniser_that_failed_is_not_asked_again() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {1: a}, speech: {1: [sales]}, " + ASK + "}\na:\n  - hangup" + BYE
    )
    d = Driver(menu).start()
    d.give(m.Recognised(d.find(m.Listen).request, failure="away")).played().wait(5)
    assert d.every(m.SpeechHeard) == []
    assert d.find(m.Play).names == ("sorry", "welcome")
    assert not d.find(m.Play).stop_on_speech
    assert len(d.every(m.Listen)) == 1


def test_menu_goes_on_with_digits_when_recognition_fails() -> None:
    menu = (
        "start:\n  - menu: {prompt: welcome, choices: {1: a}, speech: {1: [sales]}, " + ASK + "}\na:\n  - hangup" + BYE
    )
    d = Driver(menu).start()
    d.give(m.Recognised(d.find(m.Listen).request, failure="no engine"))
    assert d.press("1").path == ["start", "a"]


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (m.CalendarChecked("r", "open"), ["start"]),
        (m.CalendarChecked("r", "closed"), ["start", "shut"]),
        (m.CalendarChecked("r", "holiday", "National Day"), ["start", "shut"]),
        (None, ["start"]),
    ],
)
def test_hours(answer: m.CalendarChecked | None, path: list[str]) -> None:
    d = Driver(
        "start:\n  - hours: {calendar: office, closed: shut}\n  - say: open\n  - hangup\nshut:\n  - say: 'closed {{ holiday }}'\n  - hangup\n"
    ).start()
    if answer is None:
        d.wait(5)
    else:
        d.give(m.CalendarChecked(d.find(m.CheckCalendar).request, answer.state, answer.holiday))
    assert d.path == path
    if answer and answer.holiday:
        assert d.words == ["closed National Day"]


@pytest.mark.parametrize("result", ["overflow", "timeout", "full", "closed", "no_agents", "failed", "completed"])
def test_queue_results(result: Any) -> None:
    d = Driver(
        "start:\n  - data: {card: 7}\n  - queue: {queue: support, priority: 3, agent: li, "
        + result
        + ": x}\n  - hangup\nx:\n  - hangup: busy\n"
    ).start()
    queue = d.find(m.Queue)
    assert (queue.queue, queue.priority, queue.agent, queue.language, queue.data) == (
        "support",
        3,
        "li",
        "en",
        {"card": 7},
    )
    assert d.give(m.QueueResult(queue.request, result)).path == ["start", "x"]


def test_queue_key_leads_out_only_while_waiting() -> None:
    nodes = "start:\n  - queue: {queue: support, keys: {9: x}}\n  - hangup\nx:\n  - hangup: busy\n"
    d = Driver(nodes).start().press("1")
    assert d.last == []
    d.press("9")
    assert d.path == ["start", "x"]
    assert d.every(m.LeaveQueue) == [m.LeaveQueue(d.find(m.Queue).request, "exit_key")]
    d = Driver(nodes).start()
    d.give(m.QueueResult(d.find(m.Queue).request, "answered")).press("9")
    assert d.path == ["start"]


def test_dial_with_confirmation_and_results() -> None:
    nodes = "start:\n  - dial: {to: 'number:{{ call.caller }}', timeout: 20s, caller_id: '4008', confirm: welcome, busy: x}\n  - say: '{{ dial_status }}'\n  - hangup\nx:\n  - hangup\n"
    d = Driver(nodes).start()
    dial = d.find(m.Dial)
    assert (dial.destination, dial.timeout, dial.caller_id, dial.confirm_digit) == (
        "number:13800138000",
        20.0,
        "4008",
        "1",
    )
    assert dial.confirm_items == (Speech(text="Welcome", language="en"),)
    d.give(m.DialResult(dial.request, "answered"))
    assert d.last == []
    assert d.give(m.DialResult(dial.request, "no_answer")).words == ["no_answer"]
    d = Driver(nodes).start()
    assert d.give(m.DialResult(d.find(m.Dial).request, "busy")).path == ["start", "x"]


def test_destination_that_comes_out_wrong_is_a_fault() -> None:
    for verb in ("dial", "transfer"):
        d = Driver(
            f"start:\n  - {verb}: 'extension:{{{{ call.trunk }}}}'\n" + ("  - hangup\n" if verb == "dial" else "")
        ).start()
        assert "proper name" in d.find(m.Fault).message


def test_transfer_ends_the_flow() -> None:
    d = Driver("start:\n  - data: {a: b}\n  - transfer: queue:support\n").start()
    assert d.last[-2:] == [m.Transfer("queue:support", {"a": "b"}), m.FlowEnded("transferred", "tried", "start")]


def test_record_notice_is_logged_only_when_heard() -> None:
    nodes = "start:\n  - record_notice: {prompt: welcome, recording: start}\n  - hangup\n"
    d = Driver(nodes).start().press("1")
    assert d.last == []
    d.played()
    assert [type(o) for o in d.last] == [m.NoticeGiven, m.StartRecording, m.Hangup, m.FlowEnded]
    d = Driver(nodes.replace("start}", "stop}")).start().played("failed")
    assert [type(o) for o in d.last] == [m.StopRecording, m.Hangup, m.FlowEnded]


HTTP = "start:\n  - http: {url: 'http://h/c/{{ call.caller_name }}?q=1', query: {a: '{{ call.called }}'}, headers: {X-A: \"{{ call.caller_name }}\"}, timeout: 2s, retries: 1, into: got, status: {404: none}, failed: bad}\n  - say: '{{ got.balance | default(0) }} {{ http_status }}'\n  - hangup\nnone:\n  - hangup\nbad:\n  - say: '{{ http_status }}'\n  - hangup\n"


def test_http_values_cannot_change_address_or_headers() -> None:
    fetch = Driver(HTTP, caller_name="a/../b?x=1\r\nEvil: 1", called="9&b=2").start().find(m.Fetch)
    assert fetch.url == "http://h/c/a%2F..%2Fb%3Fx%3D1%0D%0AEvil%3A%201?q=1"
    assert fetch.query == {"a": "9&b=2"}
    assert fetch.headers == {"X-A": "a/../b?x=1Evil: 1"}


@pytest.mark.parametrize(
    ("answer", "path", "words"),
    [
        (m.Fetched("", 200, {"balance": 5}), ["start"], ["5 200"]),
        (m.Fetched("", 204, None), ["start"], ["0 204"]),
        (m.Fetched("", 404, {}), ["start", "none"], []),
        (m.Fetched("", 500, "oops"), ["start", "bad"], ["500"]),
        (m.Fetched("", failure="timeout"), ["start", "bad"], ["0"]),
        (m.Fetched("", 200, "garbage", "bad_json"), ["start", "bad"], ["200"]),
    ],
)
def test_http_answers(answer: m.Fetched, path: list[str], words: list[str]) -> None:
    d = Driver(HTTP).start()
    d.give(m.Fetched(d.find(m.Fetch).request, answer.status, answer.body, answer.failure))
    assert (d.path, d.words) == (path, words)


def test_http_that_is_never_answered_takes_its_fallback() -> None:
    d = Driver(HTTP).start()
    d.wait(9.5)
    assert d.path == ["start", "bad"]
    assert m.Cancel(d.find(m.Fetch).request) in d.last


def test_http_that_is_not_waited_for() -> None:
    d = Driver(
        "start:\n  - http: {url: 'http://h/', method: POST, json: {a: ['{{ call.caller }}', 1]}, wait: false, failed: bye}\n  - hangup"
        + BYE
    ).start()
    assert d.find(m.Fetch).body == {"a": ["13800138000", 1]}
    assert d.machine.ended == "hangup"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (m.QueryResult("", ({"balance": 7},)), ["7"]),
        (m.QueryResult(""), ["none"]),
        (m.QueryResult("", failure="timeout"), ["failed"]),
        (None, ["failed"]),
    ],
)
def test_sql(answer: m.QueryResult | None, words: list[str]) -> None:
    d = Driver(
        "start:\n  - sql: {source: b, query: 'SELECT balance FROM c WHERE n = :n', params: {n: '{{ call.caller }}'}, into: c, first: true, empty: [{say: none}, hangup], failed: [{say: failed}, hangup]}\n  - say: '{{ c.balance }}'\n  - hangup\n"
    ).start()
    query = d.find(m.Query)
    assert (query.source, query.params, query.max_rows) == ("b", {"n": "13800138000"}, 1)
    if answer is None:
        d.wait(5)
    else:
        d.give(m.QueryResult(query.request, answer.rows, answer.failure))
    assert d.words == words


def test_record_and_its_ends() -> None:
    nodes = "start:\n  - record: {prompt: welcome, into: r, max: 30s, min: 2s, nothing: none}\n  - say: '{{ r.path }} {{ r.seconds }}'\n  - hangup\nnone:\n  - hangup\n"
    d = Driver(nodes).start().played()
    record = d.find(m.Record)
    assert (record.max_seconds, record.stop_digits, record.beep) == (30.0, "#", True)
    d.press("#")
    assert d.last == [m.StopRecord(record.request)]
    assert d.give(m.RecordFinished(record.request, "/r/1.wav", 4.0)).words[-1] == "/r/1.wav 4"
    d = Driver(nodes).start().played()
    assert d.give(m.RecordFinished(d.find(m.Record).request, "/r/1.wav", 1.0)).path == ["start", "none"]
    d = Driver(nodes).start().played()
    d.give(m.RecordFinished(d.find(m.Record).request, reason="failed"))
    assert d.words[-1] == " 0"


def test_caller_class() -> None:
    nodes = (
        "start:\n  - caller_class: {classes: {vip: x}}\n  - say: '<{{ caller_class }}>'\n  - hangup\nx:\n  - hangup\n"
    )
    d = Driver(nodes).start()
    assert d.find(m.Lookup) == m.Lookup(d.find(m.Lookup).request, "caller", "13800138000")
    assert d.give(m.LookupResult(d.find(m.Lookup).request, ({"class": "vip"},))).path == ["start", "x"]
    d = Driver(nodes).start()
    assert d.give(m.LookupResult(d.find(m.Lookup).request)).words == ["<>"]
    assert Driver(nodes).start().wait(3).words == ["<>"]


def test_callback() -> None:
    nodes = "start:\n  - data: {a: 1}\n  - callback: {queue: support, refused: x}\n  - say: yes\n  - hangup\nx:\n  - hangup\n"
    d = Driver(nodes).start()
    asked = d.find(m.Callback)
    assert (asked.queue, asked.number, asked.data) == ("support", "13800138000", {"a": 1})
    assert d.give(m.CallbackRegistered(asked.request, True)).words == ["yes"]
    d = Driver(nodes).start()
    assert d.give(m.CallbackRegistered(d.find(m.Callback).request, False)).path == ["start", "x"]
    assert Driver(nodes).start().wait(5).path == ["start", "x"]


def test_conference() -> None:
    nodes = "start:\n  - conference: {room: '3000', failed: x}\n  - hangup\nx:\n  - hangup\n"
    d = Driver(nodes).start()
    assert d.give(m.ConferenceLeft(d.find(m.Conference).request)).path == ["start"]
    d = Driver(nodes).start()
    assert d.give(m.ConferenceLeft(d.find(m.Conference).request, "full")).path == ["start", "x"]


def test_survey() -> None:
    nodes = "start:\n  - survey: {questions: [{name: a, prompt: welcome}, {name: b, prompt: sorry, keys: '12'}, {name: c, prompt: bye}], wrong: sorry, into: got}\n  - say: '{{ got }}'\n  - hangup\n"
    d = Driver(nodes).start().press("5")
    d.press("9")
    assert d.find(m.Play).names == ("sorry", "sorry")
    d.press("2")
    for _ in range(2):
        d.played().wait(5)
    assert [(s.question, s.answer) for s in d.every(m.SurveyAnswered)] == [("a", "5"), ("b", "2")]
    assert d.words[-1] == "{'a': '5', 'b': '2'}"


def test_notice_in_the_callers_language() -> None:
    flow = make_flow(
        "start:\n  - notice: {email: a@b.c, subject: {en: S, zh: 题}, text: {en: T, zh: 文}}\n  - notice: {sms: '1', text: T}\n  - hangup\n"
    )
    assert Driver(flow, language="zh").start().every(m.Notify) == [
        m.Notify("email", "a@b.c", "文", "题"),
        m.Notify("sms", "1", "T"),
    ]


def test_directory() -> None:
    nodes = f"start:\n  - directory: {{prompt: welcome, into: who, {ASK}}}\n  - dial: '{{{{ who.destination }}}}'\n  - hangup{BYE}"
    d = Driver(nodes).start().press("524")
    assert d.find(m.Lookup).key == "524"
    people = (
        {"name": "Li {{ Na }}", "destination": "extension:1001"},
        {"name": "Lin", "destination": "extension:1002"},
    )
    d.give(m.LookupResult(d.find(m.Lookup).request, people))
    assert d.words[-1] == "For Li {{ Na }}, press 1. For Lin, press 2."
    assert d.press("2").find(m.Dial).destination == "extension:1002"
    d = Driver(nodes).start()
    for _ in range(3):
        d.press("999")
        d.give(m.LookupResult(d.find(m.Lookup).request))
    assert d.path == ["start", "bye"]
    d = Driver(nodes).start().press("524").wait(3)
    assert d.find(m.Play).names == ("sorry", "welcome")


def test_override_tone_and_loop() -> None:
    d = Driver(
        "start:\n  - override: {calendar: office, state: closed}\n  - tone: busy\n  - loop: {times: 2, again: start}\n  - hangup\n"
    ).start()
    for _ in range(3):
        d.played()
    assert d.every(m.SetOverride) == [m.SetOverride("office", "closed")] * 3
    assert d.machine.ended == "hangup"


def test_language_that_the_flow_does_not_speak_is_a_fault() -> None:
    d = Driver("start:\n  - language: '{{ call.trunk }}'\n  - hangup\n", trunk="fr").start()
    assert "does not speak 'fr'" in d.find(m.Fault).message


@pytest.mark.parametrize("name", sorted(all_verbs()))
def test_example_runs(name: str) -> None:
    """Every example of the manual runs to an end when the world is kind."""
    d = Driver(all_verbs()[name].example).start()
    for _ in range(60):
        if d.machine.ended:
            break
        answer(d)
    assert d.machine.ended in ("hangup", "transferred", "completed") or name == "flow"


def answer(d: Driver) -> None:
    """One kind step of the world."""
    state = d.machine.state()
    kinds = {kind: request for request, kind in state["open"].items()}
    replies: dict[str, Any] = {
        "query": lambda r: m.QueryResult(r, ({"balance": 5},)),
        "fetch": lambda r: m.Fetched(r, 200, {"balance": 5}),
        "calendar": lambda r: m.CalendarChecked(r, "open"),
        "queue": lambda r: m.QueueResult(r, "completed"),
        "dial": lambda r: m.DialResult(r, "completed"),
        "conference": m.ConferenceLeft,
        "record": lambda r: m.RecordFinished(r, "/x.wav", 5.0),
        "callback": lambda r: m.CallbackRegistered(r, True),
        "mailbox": lambda r: m.MailboxRead(r, "", (m.VoiceMessage("m1", "/x.wav"),)),
        "lookup": lambda r: m.LookupResult(r, ({"name": "Li", "destination": "extension:1", "class": "vip"},)),
    }
    for kind, make in replies.items():
        if kind in kinds:
            d.give(make(kinds[kind]))
            return
    if "play" in kinds and d.find(m.Play).barge_in_digits:
        d.press("1")
    elif "play" in kinds:
        d.played()
    elif (deadline := d.machine.next_deadline()) is not None:
        d.wait(deadline.at - d.now)


BOX = "start:\n  - mailbox: {mailbox: '1001', pin: '{{ call.caller_name }}', into: box, refused: no, failed: bad}\n  - say: '{{ box.new }} {{ box.old }} {{ box.messages[0].caller }}'\n  - play: [{recording: '{{ box.messages[0].path }}'}]\n  - message: {mailbox: '1001', message: '{{ box.messages[0].id }}', change: deleted}\n  - greeting: {mailbox: '1001', path: ''}\n  - hangup\nno:\n  - hangup\nbad:\n  - hangup\n"


def test_mailbox_messages_and_greeting() -> None:
    d = Driver(BOX, caller_name="4711").start()
    asked = d.find(m.ReadMailbox)
    assert (asked.mailbox, asked.pin) == ("1001", "4711")
    assert "4711" not in repr(asked)
    messages = (m.VoiceMessage("m2", "/v/2.wav", "138"), m.VoiceMessage("m1", "/v/1.wav", new=False))
    d.give(m.MailboxRead(asked.request, "", messages))
    assert d.words == ["1 1 138"]
    d.played()
    assert d.find(m.Play).items == (File(path="/v/2.wav"),)
    d.played()
    assert d.find(m.ChangeMessage) == m.ChangeMessage("1001", "m2", "deleted")
    assert d.find(m.SetGreeting) == m.SetGreeting("1001", "")


@pytest.mark.parametrize(
    ("failure", "node"), [("refused", "no"), ("locked", "no"), ("unknown", "bad"), ("error", "bad"), (None, "bad")]
)
def test_mailbox_that_does_not_open(failure: Any, node: str) -> None:
    d = Driver(BOX).start()
    if failure is None:
        d.wait(5)
    else:
        d.give(m.MailboxRead(d.find(m.ReadMailbox).request, failure))
    assert d.path == ["start", node]


def test_files_by_absolute_path() -> None:
    flow = make_flow("start:\n  - play: [{file: /tmp/x.wav}, {recording: '{{ call.trunk }}'}]\n  - hangup\n")
    assert Driver(flow).start().find(m.Play).items == (File(path="/tmp/x.wav"),)
