"""Runs the test cases of flows: the real interpreter, a caller and a world from the script, and a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from media.protocol import Speech
from pbx.core.destination import HANGUP_CAUSES
from pbx.core.ids import SeededIds
from pbx.ivr import messages as m
from pbx.ivr.cases import Action, Case, PlacedCase
from pbx.ivr.expectations import compare, is_same
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter
from pbx.voicemail.pins import is_acceptable

PLAY_SECONDS = 2.0
"""Every prompt takes so long on the virtual clock."""
LONGEST_CALL = 3600.0
Query = Callable[[m.Query], m.QueryResult]


class Stuck(Exception):
    """The script cannot go on; the text says why."""


@dataclass
class Record:
    """What a call did, for comparing and for the story in a failure message."""

    nodes: list[str] = field(default_factory=list)
    heard: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """Prompt names and words of every prompt."""
    outputs: list[m.Output] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    ended: str = "waiting"
    language: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    steps: set[tuple[str, str, str]] = field(default_factory=set)
    """Flow, step and branch of every step left."""

    def of(self, kind: type[m.Output]) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]


@dataclass
class Result:
    placed: PlacedCase
    record: Record
    failures: list[str]
    seconds: float
    """Length of the call on the virtual clock."""

    @property
    def passed(self) -> bool:
        return not self.failures


class Stage:
    """One call on a virtual clock: plays the caller and the world around the interpreter."""

    words_shown = 60
    """Characters of a prompt in the story."""

    def __init__(self, flow: Flow, case: Case, query: Query | None = None) -> None:
        self.case = case
        self.query = query
        self.now = 0.0
        self.record = Record()
        self.playing: m.Play | None = None
        self.play_ends = 0.0
        self.requests: dict[str, str] = {}
        """Open request of each kind that the script answers: queue, dial, record, listen, callback."""
        self.used: set[Any] = set()
        self.opened: set[str] = set()
        """Mailboxes the caller got into."""
        call = m.CallFacts(
            call="test",
            caller=case.caller,
            called=case.called,
            language=case.language,
            spoken=("*",),
            data=case.call_data,
        )
        self.machine = Interpreter(flow, call, SeededIds(1), lambda *step: self.record.steps.add(step))

    # --- driving

    def run(self) -> None:
        """Play the whole script. Raises Stuck."""
        self.take(self.machine.start(self.now, self.case.at))
        for action in self.case.steps:
            self.act(action)
        self.settle()
        self.record.ended = self.machine.ended or "waiting"
        self.record.language = self.machine.language
        self.record.variables = self.machine.variables
        self.record.data = self.machine.data

    def give(self, event: m.Input) -> None:
        self.take(self.machine.handle(event, self.now))

    def act(self, action: Action) -> None:
        name = next(iter(action.model_fields_set))
        value = getattr(action, name)
        self.tell(f"the caller: {name} {value}" if name not in ("queue", "dial") else f"{name}: {value}")
        if self.machine.ended:
            raise Stuck(f"the flow has ended ({self.machine.ended}) before `{name}: {value}`")
        cast(Callable[[Any], None], getattr(self, f"do_{name}"))(value)

    def settle(self) -> None:
        """Let prompts that play end, as long as the flow needs no caller."""
        while self.playing is not None and not self.machine.ended and self.now < LONGEST_CALL:
            self.advance(self.play_ends)

    def advance(self, until: float) -> None:
        """Move the clock, meeting every end of a prompt and every deadline on the way."""
        while not self.machine.ended:
            due = self.machine.next_deadline()
            ends = self.play_ends if self.playing is not None else None
            moments = [t for t in (due.at if due else None, ends) if t is not None and t <= until]
            if not moments:
                break
            self.now = max(self.now, min(moments))
            if ends is not None and ends <= self.now:
                play, self.playing = self.playing, None
                assert play is not None
                self.give(m.PlayFinished(play.request))
            else:
                self.take(self.machine.expire(self.now))
        self.now = max(self.now, until)

    # --- what the caller and the world do

    def do_hear(self, wanted: str) -> None:
        while not self.machine.ended and self.now < LONGEST_CALL:
            if self.playing is not None:
                matches = is_heard(wanted, *self.record.heard[-1])
                self.advance(self.play_ends)
                if matches:
                    return
                continue
            due = self.machine.next_deadline()
            if due is None:
                break
            self.advance(due.at)
        heard = "; ".join(say_heard(*item) for item in self.record.heard[-5:]) or "nothing"
        raise Stuck(f"waited to hear {wanted!r}, but heard: {heard}")

    def do_press(self, digits: str) -> None:
        for digit in digits:
            while self.playing is not None and not self.playing.barge_in_digits and not self.machine.ended:
                self.advance(self.play_ends)
            self.now += 0.2
            if self.playing is not None and digit in self.playing.barge_in_digits:
                play, self.playing = self.playing, None
                self.give(m.PlayFinished(play.request, "digit"))
            if "record" in self.requests:
                self.end_recording(3.0, "digit", digit)
                continue
            self.give(m.Digit(digit))

    def do_silence(self, seconds: float) -> None:
        self.advance(self.now + seconds)

    def do_say(self, text: str) -> None:
        self.utter(text, 1.0)

    def do_mumble(self, _: bool) -> None:
        self.utter("", 0.0)

    def utter(self, text: str, confidence: float) -> None:
        self.answer("listen", m.SpeechStarted, keep=True)
        self.answer("listen", lambda request: m.Recognised(request, text, confidence))

    def do_speak(self, seconds: float) -> None:
        while self.playing is not None and not self.machine.ended:
            self.advance(self.play_ends)
        self.now += seconds
        self.end_recording(seconds, "silence")

    def end_recording(self, seconds: float, reason: Any, digit: str = "") -> None:
        self.answer("record", lambda r: m.RecordFinished(r, "message.wav", seconds, reason, digit))

    def do_queue(self, result: Any) -> None:
        self.answer("queue", lambda r: m.QueueResult(r, result, "agent"), keep=result == "answered")

    def do_dial(self, status: Any) -> None:
        self.answer("dial", lambda r: m.DialResult(r, status), keep=status == "answered")

    def do_callback(self, word: str) -> None:
        self.answer("callback", lambda r: m.CallbackRegistered(r, word == "accepted"))

    def do_prompt_fails(self, yes: bool) -> None:
        for _ in range(50):
            due = self.machine.next_deadline()
            if self.playing is not None or due is None:
                break
            self.advance(due.at)
        if self.playing is None:
            raise Stuck("no prompt is playing")
        play, self.playing = self.playing, None
        self.give(m.PlayFinished(play.request, "failed", "no such file"))

    def do_hang_up(self, _: bool) -> None:
        self.give(m.HungUp())
        if not self.machine.ended and "record" in self.requests:
            self.end_recording(4.0, "hangup")

    def answer(self, kind: str, make: Callable[[str], m.Input], keep: bool = False) -> None:
        for _ in range(50):
            if kind in self.requests or self.playing is None or self.machine.ended:
                break
            self.advance(self.play_ends)
        if kind not in self.requests:
            raise Stuck(f"the flow does not wait for {kind} here but is at {self.where()}")
        request = self.requests[kind] if keep else self.requests.pop(kind)
        self.give(make(request))

    def where(self) -> str:
        return f"{self.machine.flow.name}/{self.record.nodes[-1] if self.record.nodes else '?'}"

    # --- what the flow does

    def take(self, outputs: list[m.Output]) -> None:
        answers: list[m.Input] = []
        for output in outputs:
            self.record.outputs.append(output)
            self.note(output)
            answer = self.respond(output)
            if answer is not None:
                answers.append(answer)
        for answer in answers:
            self.give(answer)

    def note(self, output: m.Output) -> None:
        if isinstance(output, m.NodeEntered):
            self.record.nodes.append(output.node)
            self.tell(f"node {output.flow}/{output.node}")
        elif isinstance(output, m.Play):
            words = " ".join(item.text for item in output.items if isinstance(item, Speech))
            self.record.heard.append((output.names, words))
            self.playing, self.play_ends = output, self.now + PLAY_SECONDS
            self.tell(f"hears {say_heard(output.names, words, self.words_shown)}")
        elif isinstance(output, m.StopPlay):
            if self.playing is not None and self.playing.request == output.request:
                self.playing = None
        elif isinstance(output, m.FlowEnded):
            self.playing = None
            self.tell(f"ended: {output.reason}")
        elif isinstance(output, m.Fault):
            self.tell(f"fault in {output.flow}/{output.node}: {output.message}")

    def respond(self, output: m.Output) -> m.Input | None:
        kinds: dict[type[m.Output], str] = {
            m.Queue: "queue", m.Dial: "dial", m.Record: "record", m.Listen: "listen", m.Callback: "callback",
        }  # fmt: skip
        kind = kinds.get(type(output))
        if kind is not None:
            self.requests[kind] = output.request  # type: ignore[attr-defined]
            if kind == "callback" and not any(a.callback for a in self.case.steps):
                del self.requests[kind]
                return m.CallbackRegistered(output.request, True)  # type: ignore[attr-defined]
            return None
        if isinstance(output, m.LeaveQueue | m.CancelDial | m.StopRecord | m.StopListening):
            self.requests = {k: r for k, r in self.requests.items() if r != output.request}
        return self.answer_at_once(output)

    def answer_at_once(self, output: m.Output) -> m.Input | None:
        if isinstance(output, m.CheckCalendar):
            state, _, holiday = self.case.calendars.get(output.calendar, "open").partition(":")
            return m.CalendarChecked(output.request, cast(Any, state), holiday)
        if isinstance(output, m.Fetch):
            return self.fetch(output)
        if isinstance(output, m.Query):
            return self.ask_database(output)
        if isinstance(output, m.Lookup):
            # Mailboxes that a case does not speak of exist and have room.
            known = [{"number": output.key}] if output.kind == "mailbox" else []
            matches = self.case.lookups.get(f"{output.kind} {output.key}", known)
            return m.LookupResult(output.request, tuple(matches))
        if isinstance(output, m.ReadMailbox):
            return self.read_mailbox(output)
        if isinstance(output, m.Conference):
            return m.ConferenceLeft(output.request)
        if isinstance(output, m.ChangeMessage) and output.request:
            known = self.case.lookups.get(f"mailbox {output.to}", [{"full": ""}])
            if not known:
                return m.MessageChanged(output.request, "unknown")
            return m.MessageChanged(output.request, "full" if known[0].get("full") else "")
        if isinstance(output, m.SetPin):
            return m.PinSet(output.request, is_acceptable(output.pin, output.mailbox))
        return None

    def read_mailbox(self, output: m.ReadMailbox) -> m.Input:
        box = self.case.mailboxes.get(output.mailbox)
        if box is None:
            return m.MailboxRead(output.request, "unknown")
        own = output.mailbox == self.case.caller or output.mailbox in self.opened
        if (output.pin or not own) and output.pin != box.pin:
            return m.MailboxRead(output.request, "locked" if box.locked else "refused")
        self.opened.add(output.mailbox)
        messages = tuple(m.VoiceMessage(**message.model_dump()) for message in box.messages)
        return m.MailboxRead(output.request, "", messages)

    def fetch(self, output: m.Fetch) -> m.Input:
        what = f"{output.method} {output.url}"
        answer = self.pick([(a.match, a) for a in self.case.http], what)
        if answer is None:
            raise Stuck(f"the flow fetches {what}, but the case has no answer for it under `http`")
        if answer.expect is not None and not is_same(answer.expect, output.body):
            raise Stuck(f"{what} sends {output.body!r}, expected {answer.expect!r}")
        if answer.failure:
            return m.Fetched(output.request, failure=answer.failure)
        return m.Fetched(output.request, answer.status, answer.body)

    def ask_database(self, output: m.Query) -> m.Input:
        answer = self.pick([(a.match, a) for a in self.case.sql], output.statement)
        if answer is None and self.query is not None:
            return self.query(output)
        if answer is None:
            raise Stuck(f"the flow asks the source {output.source!r}, but the case has no answer for it under `sql`")
        if answer.params is not None and not is_same(answer.params, output.params):
            raise Stuck(f"the statement binds {output.params!r}, expected {answer.params!r}")
        if answer.failure:
            return m.QueryResult(output.request, failure=answer.failure)
        return m.QueryResult(output.request, tuple(answer.rows))

    def pick(self, answers: list[tuple[str, Any]], what: str) -> Any:
        """The next answer that matches, the last one again and again."""
        matching = [(index, answer) for index, (part, answer) in enumerate(answers) if part in what]
        fresh = [(index, answer) for index, answer in matching if index not in self.used]
        if not matching:
            return None
        index, answer = (fresh or matching[-1:])[0]
        self.used.add(index)
        return answer

    def tell(self, line: str) -> None:
        self.record.story.append(f"{self.now:7.1f}s  {line}")


def is_heard(wanted: str, names: tuple[str, ...], words: str) -> bool:
    """Whether a prompt is the one meant: by its name, or by a part of what it says."""
    return wanted in names or wanted.casefold() in words.casefold()


def say_heard(names: tuple[str, ...], words: str, most: int = 60) -> str:
    """A prompt in one line, with the first ``most`` characters of what it says."""
    title = "+".join(name for name in names if name) or "something"
    return f"{title} ({words[:most]}{'…' if len(words) > most else ''})" if words else title


def run_case(flow: Flow, placed: PlacedCase, query: Query | None = None) -> Result:
    """Run one case; never raises for what a flow or a script does."""
    stage = Stage(flow, placed.case, query)
    failures: list[str] = []
    try:
        stage.run()
    except Stuck as stuck:
        failures.append(str(stuck))
    else:
        failures += compare(placed.case.expect, stage.record)
    return Result(placed, stage.record, failures, stage.now)


def run_cases(flows: Mapping[str, Flow], cases: list[PlacedCase], query: Query | None = None) -> list[Result]:
    """Run cases whose flows are there; a case without a sound flow fails saying so."""
    results = []
    for placed in cases:
        flow = flows.get(placed.flow)
        if flow is None:
            results.append(Result(placed, Record(), [f"the flow {placed.flow!r} has errors: see `tandem check`"], 0.0))
        else:
            results.append(run_case(flow, placed, query))
    return results


__all__ = ["HANGUP_CAUSES", "Record", "Result", "Stage", "Stuck", "run_case", "run_cases"]
