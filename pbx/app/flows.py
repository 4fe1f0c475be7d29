"""Flows on calls: one interpreter per flow session, its outputs carried out, its inputs fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from media import protocol as media
from pbx.app.audio.recording import MESSAGES
from pbx.app.outputs import Fetch, Notify, Query
from pbx.app.sessions.dial import Dial
from pbx.app.sessions.flow import FlowSession
from pbx.app.sessions.queue import Queue
from pbx.app.voicemail import destination as mailbox
from pbx.call.directory import find_names
from pbx.call.model import Call
from pbx.events import catalogue as facts
from pbx.ivr import messages as ivr
from pbx.ivr.flow import Flow
from pbx.ivr.interpreter import Interpreter

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

_MAX_MATCHES = 9


class FlowInput(NamedTuple):
    """An input of a flow that waits in the exchange's inbox."""

    call: Call
    session: FlowSession
    event: ivr.AnyInput


class FlowControl:
    def __init__(self, ex: Exchange, library: Mapping[str, Flow]) -> None:
        self._ex = ex
        self.library = dict(library)
        """Flows in force by name; a running call keeps the one it began with."""
        self._live: dict[str, Interpreter] = {}

    # --- life -------------------------------------------------------------------------------------------------

    def begin(self, call: Call, session: FlowSession) -> None:
        ex = self._ex
        flow = self._find(session.flow)
        if flow is None:
            ex.note("error", "no such flow", call.id, flow=session.flow)
            ex.end_call(call, status=500, cause=41, reason=f"no flow {session.flow}", outcome="server")
            return
        session.version = flow.version
        anchor = call.legs[session.anchor]
        zone = ZoneInfo(ex.settings.configuration.locale.timezone)
        given = ivr.CallFacts(
            call=call.id,
            caller=call.caller,
            caller_name=call.caller_name,
            called=call.called,
            trunk=anchor.device.partition(":")[2] if anchor.kind == "trunk" else "",
            language=call.language,
            spoken=ex.settings.spoken,
            wall=datetime.fromtimestamp(ex.wall, UTC).astimezone(zone),
            data=dict(call.data),
        )
        interpreter = Interpreter(flow, given, ex.ids)
        self._live[session.key] = interpreter
        ex.log(facts.FlowEntered(call=call.id, flow=flow.name, version=flow.version))
        self._carry_out(call, session, interpreter, interpreter.start(ex.now))

    def _find(self, name: str) -> Flow | None:
        """The flow in force, or the one that takes messages for a mailbox."""
        if not name.startswith(mailbox.PREFIX):
            return self.library.get(name)
        settings = self._ex.settings
        box = mailbox.find_box(settings.configuration, name.removeprefix(mailbox.PREFIX))
        if box is None:
            return None
        recorded = self._ex.voicemail.greeting(box.number)
        prompt = box.settings.greeting
        path = settings.find_prompt(prompt.file, box.language or settings.language) if prompt and prompt.file else ""
        return mailbox.make_mailbox_flow(box, recorded or path)

    def feed(self, call: Call, session: FlowSession, event: ivr.AnyInput) -> None:
        interpreter = self._live.get(session.key)
        if interpreter is not None:
            self._carry_out(call, session, interpreter, interpreter.handle(event, self._ex.now))

    def expire(self, call: Call, session: FlowSession) -> None:
        interpreter = self._live.get(session.key)
        if interpreter is not None:
            self._carry_out(call, session, interpreter, interpreter.expire(self._ex.now))

    def hung_up(self, call: Call, session: FlowSession, reason: str) -> None:
        """The caller is gone, or the call ends over the flow's head."""
        interpreter = self._live.get(session.key)
        if interpreter is None:
            return
        outputs = list(interpreter.handle(ivr.HungUp(reason=reason), self._ex.now))
        if session.recording:
            # A message ends by hanging up as well as by a key.
            outputs += interpreter.handle(self._ex.taking.hung_up(call, session), self._ex.now)
        for output in outputs:
            if isinstance(output, ivr.Fetch | ivr.DepositMessage | ivr.Notify | ivr.FlowEnded | ivr.SetData):
                _ACTIONS[type(output)](self, call, session, output)
        if self._live.pop(session.key, None) is not None:
            self._ex.log(facts.FlowLeft(call=call.id, flow=session.flow, reason="hung_up"))

    def checkpoint(self, session: FlowSession) -> None:
        """Write the interpreter's state into its session."""
        interpreter = self._live.get(session.key)
        if interpreter is not None:
            session.state = interpreter.state()

    def resume(self, call: Call, session: FlowSession) -> bool:
        """Take a flow up again after a restart; False where its flow is gone."""
        flow = self._find(session.flow)
        if flow is None or not session.state:
            return False
        interpreter = Interpreter.resume(flow, session.state, self._ex.now, self._ex.ids)
        self._live[session.key] = interpreter
        self._arm(call, session, interpreter)
        return True

    def later(self, call: Call, session: FlowSession, event: ivr.AnyInput) -> None:
        """An answer that is known at once still comes after everything the flow asked in the same breath."""
        self._ex.inbox.append(FlowInput(call, session, event))

    def _carry_out(self, call: Call, session: FlowSession, interpreter: Interpreter, outputs: list[ivr.Output]) -> None:
        ex = self._ex
        for output in outputs:
            if session.key not in self._live:
                return
            action = _ACTIONS.get(type(output))
            if action is not None:
                action(self, call, session, output)
        if session.key not in self._live or call.id in ex.ending:
            return
        self._arm(call, session, interpreter)
        ex.touch(call)

    def _arm(self, call: Call, session: FlowSession, interpreter: Interpreter) -> None:
        deadline = interpreter.next_deadline()
        if deadline is None:
            self._ex.cancel_timer(call, session, "flow")
        else:
            self._ex.set_timer(call, session, "flow", deadline.at - self._ex.now)

    # --- what flows ask ---------------------------------------------------------------------------------------

    def _answer(self, call: Call, session: FlowSession, output: ivr.Answer) -> None:
        self._ex.legs.answer(call.legs[session.anchor])
        self.later(call, session, ivr.Answered(request=output.request))

    def _play(self, call: Call, session: FlowSession, output: ivr.Play) -> None:
        leg = call.legs[session.anchor]
        if leg.configured is None:
            self.later(call, session, ivr.PlayFinished(request=output.request, reason="failed"))
            return
        self._ex.play(
            call,
            leg,
            tuple(self._place(item) for item in output.items),
            session=session,
            request=output.request,
            stop_on_digits=output.barge_in_digits,
            stop_on_speech=output.stop_on_speech,
            loop=output.loop,
        )

    def _place(self, item: media.PlayItem) -> media.PlayItem:
        """What was recorded in the call is named by its path below the recordings folder."""
        if isinstance(item, media.File) and item.path.startswith(MESSAGES):
            return msgspec.structs.replace(item, path=self._ex.recording.locate(item.path))
        return item

    def _stop_play(self, call: Call, session: FlowSession, output: ivr.StopPlay) -> None:
        leg = call.legs[session.anchor]
        if leg.player.endswith("/" + output.request):
            self._ex.stop_play(leg)
            self._ex.touch(call)

    def _listen(self, call: Call, session: FlowSession, output: ivr.Listen) -> None:
        self._ex.listening.start(call, session, output)

    def _stop_listening(self, call: Call, session: FlowSession, output: ivr.StopListening) -> None:
        self._ex.listening.stop(call, session, output.request)

    def _calendar(self, call: Call, session: FlowSession, output: ivr.CheckCalendar) -> None:
        state, holiday = self._ex.settings.calendar_state(output.calendar, self._ex.wall)
        self.later(call, session, ivr.CalendarChecked(request=output.request, state=state, holiday=holiday))

    def _queue(self, call: Call, session: FlowSession, output: ivr.Queue) -> None:
        session.asked, session.asked_kind = output.request, "queue"
        if output.data:
            self._set_data(call, output.data)
        self._ex.push(
            call,
            Queue(
                call=call.id,
                queue=output.queue,
                anchor=session.anchor,
                priority=output.priority,
                skills=dict(output.skills),
                language=output.language or call.language,
                agents=(output.agent,) if output.agent else (),
            ),
        )

    def _leave_queue(self, call: Call, session: FlowSession, output: ivr.LeaveQueue) -> None:
        top = self._ex.top(call)
        if isinstance(top, Queue) and session.asked == output.request:
            session.asked = ""
            top.leave(self._ex, call, output.reason)

    def _dial(self, call: Call, session: FlowSession, output: ivr.Dial) -> None:
        ex = self._ex
        session.asked, session.asked_kind = output.request, "dial"
        anchor = call.legs[session.anchor]
        plan = ex.router.plan(
            call, output.destination, by=anchor.device if anchor.kind == "trunk" else "", anchor=anchor
        )
        if plan is None:
            if call.id not in ex.ending:
                session.asked = ""
                self.later(call, session, ivr.DialResult(request=output.request, status="failed"))
            return
        if isinstance(plan.session, Dial):
            plan.session.rounds = [
                msgspec.structs.replace(step, seconds=min(step.seconds, output.timeout)) for step in plan.session.rounds
            ]
            plan.session.diversions = {}
            plan.session.confirm_digit = output.confirm_digit
            plan.session.confirm_items = list(output.confirm_items)
            plan.session.music = output.music
        ex.push(call, plan.session)

    def _cancel_dial(self, call: Call, session: FlowSession, output: ivr.CancelDial) -> None:
        if session.asked == output.request:
            session.asked = ""
            self._ex.stop_above(call, session, "cancelled")
            self._ex.touch(call)

    def _transfer(self, call: Call, session: FlowSession, output: ivr.Transfer) -> None:
        ex = self._ex
        if output.data:
            self._set_data(call, output.data)
        self._live.pop(session.key, None)
        ex.log(facts.FlowLeft(call=call.id, flow=session.flow, reason="transferred"))
        anchor = call.legs[session.anchor]
        plan = ex.router.plan(call, output.destination, by="", anchor=anchor)
        if plan is not None:
            ex.log(facts.Routed(call=call.id, destination=output.destination, rule=f"flow {session.flow}"))
            ex.replace(call, session, plan.session)

    def _record(self, call: Call, session: FlowSession, output: ivr.Record) -> None:
        self._ex.taking.start(call, session, output)

    def _stop_record(self, call: Call, session: FlowSession, output: ivr.StopRecord) -> None:
        self._ex.taking.end(call, session, "stopped")

    def _start_recording(self, call: Call, session: FlowSession, output: ivr.StartRecording) -> None:
        self._ex.recording.start(call, call.legs[session.anchor])

    def _stop_recording(self, call: Call, session: FlowSession, output: ivr.StopRecording) -> None:
        self._ex.recording.stop_all(call)

    def _secure(self, call: Call, session: FlowSession, output: ivr.Secure) -> None:
        session.secure = output.on
        self._ex.recording.mask(call, output.on)

    def _fetch(self, call: Call, session: FlowSession, output: ivr.Fetch) -> None:
        self._ex.out.append(
            Fetch(
                (call.id, output.request),
                output.url,
                output.method,
                output.headers,
                output.query,
                output.body,
                output.timeout,
                output.retries,
                output.max_bytes,
                output.secret,
            )
        )

    def _query(self, call: Call, session: FlowSession, output: ivr.Query) -> None:
        self._ex.out.append(
            Query(
                (call.id, output.request),
                output.source,
                output.statement,
                output.params,
                output.timeout,
                output.max_rows,
            )
        )

    def answer_request(self, call_id: str, event: ivr.AnyInput) -> None:
        """A result from outside for the flow of a call; late ones find nobody."""
        call = self._ex.calls.get(call_id)
        if call is None:
            return
        for session in list(self._ex.stack_of(call)):
            if isinstance(session, FlowSession):
                self.feed(call, session, event)

    def _lookup(self, call: Call, session: FlowSession, output: ivr.Lookup) -> None:
        matches = tuple(self._look_up(output.kind, output.key))[:_MAX_MATCHES]
        self.later(call, session, ivr.LookupResult(request=output.request, matches=matches))

    def _look_up(self, kind: str, key: str) -> list[dict[str, str]]:
        extensions = self._ex.settings.configuration.extensions
        if kind == "caller":
            found = self._ex.settings.caller_class(key)
            return [{"class": found.name, "name": found.title}] if found else []
        if kind == "mailbox":
            return self._ex.voicemail.look_up(key)
        if kind == "extension":
            entry = extensions.get(key)
            return [{"number": entry.number, "name": entry.name}] if entry is not None else []
        if kind == "directory" and key:
            return [
                {"name": extensions[number].name, "destination": f"extension:{number}"}
                for number in find_names({entry.number: entry.name for entry in extensions.values()}, key)
            ]
        return []

    def _callback(self, call: Call, session: FlowSession, output: ivr.Callback) -> None:
        refused = self._ex.callbacks.register(call, output.queue, output.number, output.data)
        if refused:
            self._ex.note("info", "callback refused", call.id, reason=refused)
        event = ivr.CallbackRegistered(request=output.request, accepted=not refused, reason=refused)
        self.later(call, session, event)

    def _deposit(self, call: Call, session: FlowSession, output: ivr.DepositMessage) -> None:
        self._ex.voicemail.deposit(call, session, output)

    def _read_mailbox(self, call: Call, session: FlowSession, output: ivr.ReadMailbox) -> None:
        self._ex.voicemail.read(call, session, output)

    def _change_message(self, call: Call, session: FlowSession, output: ivr.ChangeMessage) -> None:
        self._ex.voicemail.change(call, session, output)

    def _set_greeting(self, call: Call, session: FlowSession, output: ivr.SetGreeting) -> None:
        self._ex.voicemail.set_greeting(call, session, output)

    def _set_pin(self, call: Call, session: FlowSession, output: ivr.SetPin) -> None:
        self._ex.voicemail.set_pin(call, session, output)

    def _conference(self, call: Call, session: FlowSession, output: ivr.Conference) -> None:
        """The caller goes into the room; where that moves him into another call, his own and its flow are over."""
        anchor = call.legs[session.anchor]
        self._ex.legs.answer(anchor)
        plan = self._ex.router.plan(call, f"conference:{output.room}", by="", anchor=anchor)
        if plan is not None:
            self._ex.push(call, plan.session)
        elif call.id not in self._ex.ending:
            self.later(call, session, ivr.ConferenceLeft(request=output.request, failure="no such room"))

    def _notify(self, call: Call, session: FlowSession, output: ivr.Notify) -> None:
        self._ex.out.append(Notify(output.kind, output.to, output.text, output.subject))

    def _override(self, call: Call, session: FlowSession, output: ivr.SetOverride) -> None:
        self._ex.calendar_switch.override(output.calendar, output.state)
        self._ex.log(
            facts.AuditEntry(
                user=f"caller {call.caller}",
                action="calendar override",
                object=output.calendar,
                detail=output.state,
            )
        )

    def _set_data(self, call: Call, data: Mapping[str, Any]) -> None:
        changed = {key: str(value) for key, value in data.items() if call.data.get(key) != str(value)}
        if changed:
            call.data.update(changed)
            self._ex.log(facts.CallInformation(call=call.id, data=changed))

    def _data(self, call: Call, session: FlowSession, output: ivr.SetData) -> None:
        self._set_data(call, output.data)

    def _language(self, call: Call, session: FlowSession, output: ivr.SetLanguage) -> None:
        call.language = output.language

    def _tag(self, call: Call, session: FlowSession, output: ivr.Tag) -> None:
        tag = f"{output.tag}={output.value}" if output.value else output.tag
        self._ex.log(facts.FlowTagged(call=call.id, flow=session.flow, tag=tag))

    def _survey(self, call: Call, session: FlowSession, output: ivr.SurveyAnswered) -> None:
        self._set_data(call, {f"survey.{output.survey}.{output.question}": output.answer})

    def _node(self, call: Call, session: FlowSession, output: ivr.NodeEntered) -> None:
        self._ex.log(facts.NodeEntered(call=call.id, flow=output.flow, node=output.node))

    def _digits(self, call: Call, session: FlowSession, output: ivr.DigitsCollected) -> None:
        digits = ivr.MASK if output.secure else output.digits
        self._ex.log(facts.DigitsCollected(call=call.id, flow=session.flow, node=output.node, digits=digits))

    def _speech(self, call: Call, session: FlowSession, output: ivr.SpeechHeard) -> None:
        self._ex.log(
            facts.SpeechRecognised(
                call=call.id,
                flow=session.flow,
                node=output.node,
                text=output.text,
                confidence=round(output.confidence, 3),
            )
        )

    def _fault(self, call: Call, session: FlowSession, output: ivr.Fault) -> None:
        self._ex.note("error", output.message, call.id, flow=output.flow, node=output.node)

    def _hangup(self, call: Call, session: FlowSession, output: ivr.Hangup) -> None:
        interpreter = self._live.get(session.key)
        if interpreter is not None and interpreter.ended:
            self._live.pop(session.key)
            self._ex.log(facts.FlowLeft(call=call.id, flow=session.flow, reason=interpreter.ended))
        self._ex.end_call(call, status=output.status, cause=output.cause, reason=output.reason)

    def _ended(self, call: Call, session: FlowSession, output: ivr.FlowEnded) -> None:
        if self._live.pop(session.key, None) is not None:
            self._ex.log(facts.FlowLeft(call=call.id, flow=session.flow, reason=output.reason))


_ACTIONS: dict[type, Callable[..., None]] = {
    ivr.Answer: FlowControl._answer,
    ivr.Play: FlowControl._play,
    ivr.StopPlay: FlowControl._stop_play,
    ivr.Listen: FlowControl._listen,
    ivr.StopListening: FlowControl._stop_listening,
    ivr.CheckCalendar: FlowControl._calendar,
    ivr.Queue: FlowControl._queue,
    ivr.LeaveQueue: FlowControl._leave_queue,
    ivr.Dial: FlowControl._dial,
    ivr.CancelDial: FlowControl._cancel_dial,
    ivr.Transfer: FlowControl._transfer,
    ivr.Record: FlowControl._record,
    ivr.StopRecord: FlowControl._stop_record,
    ivr.StartRecording: FlowControl._start_recording,
    ivr.StopRecording: FlowControl._stop_recording,
    ivr.Secure: FlowControl._secure,
    ivr.Fetch: FlowControl._fetch,
    ivr.Query: FlowControl._query,
    ivr.Lookup: FlowControl._lookup,
    ivr.Callback: FlowControl._callback,
    ivr.DepositMessage: FlowControl._deposit,
    ivr.ReadMailbox: FlowControl._read_mailbox,
    ivr.ChangeMessage: FlowControl._change_message,
    ivr.SetGreeting: FlowControl._set_greeting,
    ivr.SetPin: FlowControl._set_pin,
    ivr.Conference: FlowControl._conference,
    ivr.Notify: FlowControl._notify,
    ivr.SetOverride: FlowControl._override,
    ivr.SetData: FlowControl._data,
    ivr.SetLanguage: FlowControl._language,
    ivr.Tag: FlowControl._tag,
    ivr.SurveyAnswered: FlowControl._survey,
    ivr.NodeEntered: FlowControl._node,
    ivr.DigitsCollected: FlowControl._digits,
    ivr.SpeechHeard: FlowControl._speech,
    ivr.Fault: FlowControl._fault,
    ivr.Hangup: FlowControl._hangup,
    ivr.FlowEnded: FlowControl._ended,
}
