"""Voice mailboxes on calls: what flows ask of them, and what the machine of mailboxes wants done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from pbx.app.outputs import CheckPin, HashPin, KeepVoicemail, MakeMessageAudio, Notify, RemoveMessageAudio
from pbx.app.sessions.flow import FlowSession
from pbx.app.voicemail.destination import Box, find_box, list_boxes
from pbx.call.model import Call
from pbx.events import catalogue as facts
from pbx.ivr import messages as ivr
from pbx.voicemail import model
from pbx.voicemail.mailboxes import FORWARDED, Mailboxes
from pbx.voicemail.pins import is_acceptable

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

DAY_S = 86400.0
TIMER = ("voicemail", "voicemail", "")
MESSAGE, ACCESS = "message/", "access/"
"""Begin the keys under which state is kept."""


class Voicemail:
    def __init__(self, ex: Exchange, folder: str) -> None:
        """``folder``: of the mailboxes' audio, as the gateways see it."""
        self._ex = ex
        self._folder = folder
        self._boxes = Mailboxes()
        self._unfinished: dict[str, str] = {}
        """Messages whose recording the gateway has not closed yet: recorder to message."""
        self._asked: dict[str, tuple[str, str]] = {}
        """PINs that are being checked or hashed: request to (call, mailbox)."""
        self.configure()

    # --- configuration and restart ----------------------------------------------------------------------------

    def configure(self) -> None:
        """Take the mailboxes of the configuration in force."""
        self._boxes.configure(
            {
                box.number: model.Rules(
                    max_messages=box.settings.max_messages,
                    retention_s=box.settings.retention_days * DAY_S,
                    max_wrong_pins=box.settings.pin_attempts,
                    lock_s=box.settings.pin_lock,
                )
                for box in list_boxes(self._ex.settings.configuration)
            }
        )
        self._arm()

    def restore(self, kept: Mapping[str, str]) -> None:
        """At start: what :class:`KeepVoicemail` wrote down. Raises nothing; what cannot be read is told and left."""
        messages, accesses = [], []
        for key, state in kept.items():
            try:
                if key.startswith(MESSAGE):
                    messages.append(msgspec.json.decode(state, type=model.VoiceMessage))
                elif key.startswith(ACCESS):
                    accesses.append(msgspec.json.decode(state, type=model.Access))
            except msgspec.MsgspecError as error:
                self._ex.note("error", "a kept voice message cannot be read", key=key, error=str(error))
        self._carry_out(self._boxes.restore(messages, accesses))

    def expire(self) -> None:
        self._carry_out(self._boxes.expire(self._ex.wall))

    # --- taking messages --------------------------------------------------------------------------------------

    def look_up(self, mailbox: str) -> list[dict[str, str]]:
        """What a flow that takes a message wants to know of a mailbox."""
        box = find_box(self._ex.settings.configuration, mailbox)
        if box is None:
            return []
        full = "yes" if self._boxes.is_full(mailbox) else ""
        return [{"number": mailbox, "name": box.name, "greeting": self.greeting(mailbox), "full": full}]

    def greeting(self, mailbox: str) -> str:
        """Path of the greeting recorded by phone; empty: there is none."""
        path = self._boxes.greeting(mailbox)
        return f"{self._folder}/{path}" if path else ""

    def deposit(self, call: Call, session: FlowSession, output: ivr.DepositMessage) -> None:
        ex = self._ex
        if not self._boxes.exists(output.mailbox):
            ex.note("error", "a message for a mailbox that does not exist", call.id, mailbox=output.mailbox)
            return
        name = ex.ids.token("vm-")
        path = f"{output.mailbox}/{name}.wav"
        message = model.VoiceMessage(
            id=name,
            mailbox=output.mailbox,
            call=call.id,
            caller=output.caller,
            at=round(ex.wall, 3),
            seconds=output.seconds,
            path=path,
            sources=(output.path,),
            urgent=output.urgent,
        )
        recording = ex.recording.find_running(output.path)
        if recording:
            self._unfinished[recording] = name
        ex.log(
            facts.VoicemailLeft(
                call=call.id,
                mailbox=output.mailbox,
                message=name,
                path=path,
                duration_ms=int(output.seconds * 1000),
                caller=output.caller,
                urgent=output.urgent,
            )
        )
        self._carry_out(self._boxes.deposit(message, recorded=not recording))

    def reported(self, recording: str, *, kept: bool) -> None:
        """The gateway closed a recording that may be a message's."""
        message = self._unfinished.pop(recording, "")
        if message:
            self._carry_out(self._boxes.recorded(message) if kept else self._boxes.lost(message))

    def made(self, key: str, seconds: float, failure: str) -> None:
        """What came of :class:`MakeMessageAudio`."""
        if failure:
            self._ex.note("error", "the audio of a voice message cannot be had", key=key, reason=failure)
        self._carry_out(self._boxes.made(key, seconds, failed=bool(failure)))

    # --- the owner --------------------------------------------------------------------------------------------

    def read(self, call: Call, session: FlowSession, output: ivr.ReadMailbox) -> None:
        """What is in a mailbox, for its own phone or for who knows its PIN."""
        ex = self._ex
        box = find_box(ex.settings.configuration, output.mailbox)
        if box is None:
            self._answer(call, session, ivr.MailboxRead(request=output.request, failure="unknown"))
            return
        if not output.pin:
            own = call.legs[session.anchor].device in {f"extension:{phone}" for phone in box.phones}
            entitled = own or box.number in session.opened
            self._answer(call, session, self._contents(box, output.request, "" if entitled else "refused"))
            return
        if self._boxes.begin_try(box.number, ex.wall) != "ask":
            ex.log(facts.SecurityAlert(what="mailbox_locked", address=call.caller, detail=f"mailbox {box.number}"))
            self._answer(call, session, self._contents(box, output.request, "locked"))
            return
        self._asked[output.request] = (call.id, box.number)
        known = self._boxes.pin_hash(box.number)
        if known:
            ex.out.append(CheckPin(output.request, output.pin, known))
            return
        configured = box.settings.pin
        fits = configured is not None and ex.same_secret(output.pin, ex.settings.reveal(configured))
        self.pin_checked(output.request, fits)

    def pin_checked(self, request: str, fits: bool) -> None:
        """What came of :class:`CheckPin`."""
        call_id, mailbox = self._asked.pop(request, ("", ""))
        if not mailbox:
            return
        self._carry_out(self._boxes.end_try(mailbox, fits, self._ex.wall))
        box = find_box(self._ex.settings.configuration, mailbox)
        if fits:
            self._let_in(call_id, mailbox)
        if box is not None:
            self._ex.flows.answer_request(call_id, self._contents(box, request, "" if fits else "refused"))

    def _let_in(self, call_id: str, mailbox: str) -> None:
        """The flow may look again without the PIN, which it need not remember."""
        call = self._ex.calls.get(call_id)
        for session in self._ex.stack_of(call) if call is not None else ():
            if isinstance(session, FlowSession) and mailbox not in session.opened:
                session.opened.append(mailbox)

    def _contents(self, box: Box, request: str, failure: Any) -> ivr.MailboxRead:
        if failure:
            return ivr.MailboxRead(request=request, failure=failure)
        zone = ZoneInfo(self._ex.settings.configuration.locale.timezone)
        messages = tuple(
            ivr.VoiceMessage(
                id=message.id,
                path=f"{self._folder}/{message.path}",
                caller=message.caller,
                at=datetime.fromtimestamp(message.at, UTC).astimezone(zone).isoformat(timespec="seconds"),
                seconds=message.seconds,
                new=message.state == "new",
                urgent=message.urgent,
            )
            for message in self._boxes.messages(box.number)
        )
        return ivr.MailboxRead(request=request, messages=messages, greeting=self.greeting(box.number))

    def change(self, call: Call, session: FlowSession, output: ivr.ChangeMessage) -> None:
        if output.change == "forwarded":
            self._forward(call, session, output)
            return
        done = self._boxes.change(output.mailbox, output.message, output.change, self._ex.wall)
        if done:
            self._log_change(output.mailbox, output.message, output.change, call.legs[session.anchor].device)
        self._carry_out(done)

    def _forward(self, call: Call, session: FlowSession, output: ivr.ChangeMessage) -> None:
        name = self._ex.ids.token("vm-")
        failure, done = self._boxes.forward(
            output.mailbox,
            output.message,
            output.to,
            name,
            f"{output.to}/{name}.wav",
            output.introduction,
            round(self._ex.wall, 3),
        )
        if not failure:
            self._log_change(output.mailbox, output.message, "forwarded", call.legs[session.anchor].device)
        self._carry_out(done)
        if output.request:
            self._answer(call, session, ivr.MessageChanged(request=output.request, failure=failure))

    def _log_change(self, mailbox: str, message: str, change: Any, device: str) -> None:
        self._ex.log(facts.VoicemailChanged(device=device, mailbox=mailbox, message=message, change=change))

    def set_greeting(self, call: Call, session: FlowSession, output: ivr.SetGreeting) -> None:
        path = f"{output.mailbox}/greeting-{self._ex.ids.token()}.wav"
        self._carry_out(self._boxes.set_greeting(output.mailbox, output.path, path))

    def set_pin(self, call: Call, session: FlowSession, output: ivr.SetPin) -> None:
        if not self._boxes.exists(output.mailbox) or not is_acceptable(output.pin, output.mailbox):
            self._answer(call, session, ivr.PinSet(request=output.request, accepted=False))
            return
        self._asked[output.request] = (call.id, output.mailbox)
        self._ex.out.append(HashPin(output.request, output.pin))

    def pin_hashed(self, request: str, pin_hash: str) -> None:
        """What came of :class:`HashPin`."""
        call_id, mailbox = self._asked.pop(request, ("", ""))
        if mailbox:
            self._carry_out(self._boxes.set_pin(mailbox, pin_hash))
            self._ex.flows.answer_request(call_id, ivr.PinSet(request=request, accepted=True))

    def _answer(self, call: Call, session: FlowSession, event: ivr.AnyInput) -> None:
        self._ex.flows.later(call, session, event)

    # --- what the machine wants done --------------------------------------------------------------------------

    def _carry_out(self, outputs: Iterable[model.AnyOutput]) -> None:
        for output in outputs:
            _ACTIONS[type(output)](self, output)
        self._arm()

    def _arm(self) -> None:
        due = self._boxes.next_due()
        if due is None:
            self._ex.timers.cancel(TIMER)
        else:
            self._ex.timers.set(TIMER, max(self._ex.now, due - self._ex.epoch))

    def _keep_message(self, output: model.KeepMessage) -> None:
        self._keep(MESSAGE + output.message.id, output.message)

    def _keep_access(self, output: model.KeepAccess) -> None:
        self._keep(ACCESS + output.access.mailbox, output.access)

    def _keep(self, key: str, state: Any) -> None:
        self._ex.out.append(KeepVoicemail(key, msgspec.json.encode(state).decode()))

    def _drop(self, output: model.DropMessage) -> None:
        self._ex.out.append(KeepVoicemail(MESSAGE + output.message.id, ""))
        if output.message.ready:
            self._ex.out.append(RemoveMessageAudio(f"{self._folder}/{output.message.path}"))

    def _remove(self, output: model.RemoveAudio) -> None:
        self._ex.out.append(RemoveMessageAudio(f"{self._folder}/{output.path}"))

    def _make(self, output: model.MakeAudio) -> None:
        sources = tuple(
            f"{self._folder}/{source.removeprefix(FORWARDED)}"
            if source.startswith(FORWARDED)
            else self._ex.recording.locate(source)
            for source in output.sources
        )
        self._ex.out.append(MakeMessageAudio(output.key, sources, f"{self._folder}/{output.path}"))

    def _waiting(self, output: model.Waiting) -> None:
        self._ex.message_waiting.put(output.mailbox, output.counts)

    def _arrived(self, output: model.Arrived) -> None:
        """Tell the owner by e-mail, where he wants that."""
        message = output.message
        box = find_box(self._ex.settings.configuration, message.mailbox)
        if box is None or not box.settings.email:
            return
        text, subject = self._ex.announcer.mail(box.name, box.language, message.caller, message.seconds)
        attachment = f"{self._folder}/{message.path}" if box.settings.attach else ""
        self._ex.out.append(Notify("email", box.settings.email, text, subject, attachment))

    def _expired(self, output: model.Expired) -> None:
        self._log_change(output.message.mailbox, output.message.id, "expired", "")


_ACTIONS: dict[type, Callable[[Voicemail, Any], None]] = {
    model.KeepMessage: Voicemail._keep_message,
    model.KeepAccess: Voicemail._keep_access,
    model.DropMessage: Voicemail._drop,
    model.RemoveAudio: Voicemail._remove,
    model.MakeAudio: Voicemail._make,
    model.Waiting: Voicemail._waiting,
    model.Arrived: Voicemail._arrived,
    model.Expired: Voicemail._expired,
}
