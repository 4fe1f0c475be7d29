"""The switch: the whole telephone side of Tandem as one value.

It owns the pure machines (SIP stack, ACD, flows) and the calls; inputs come in with the time, outputs go out in
order, nothing waits. The asyncio server, the simulation and the tests drive this same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from media import protocol as media
from pbx.acd import messages as acd_messages
from pbx.acd.acd import Acd
from pbx.app.audio.announcer import Announcer
from pbx.app.audio.listening import Listening
from pbx.app.audio.media import MediaControl
from pbx.app.audio.recording import RecordingControl
from pbx.app.audio.taking import Taking
from pbx.app.desk.desk import Desk
from pbx.app.desk.supervision import Supervision
from pbx.app.exchange import CallOver, Exchange
from pbx.app.flows import FlowControl, FlowInput
from pbx.app.lamps.message_waiting import MessageWaiting
from pbx.app.lamps.watchers import Watchers
from pbx.app.outputs import AnyOutput
from pbx.app.queueing.acd_config import make_acd_config
from pbx.app.queueing.agents import AgentControl
from pbx.app.queueing.alarms import Alarms
from pbx.app.queueing.callbacks import Callbacks
from pbx.app.queueing.day import Day
from pbx.app.queueing.hours import Hours
from pbx.app.recovery.recovery import Recovery
from pbx.app.settings import Settings
from pbx.app.telephony.calendar_switch import CalendarSwitch
from pbx.app.telephony.caller_proof import CallerProof
from pbx.app.telephony.features import Features
from pbx.app.telephony.legs import LegControl
from pbx.app.telephony.login_pin import LoginPin
from pbx.app.telephony.router import Router
from pbx.app.telephony.texts import Texts
from pbx.app.telephony.toll import TollDesk
from pbx.app.telephony.transfers import Transfers
from pbx.app.voicemail.mailboxes import Voicemail
from pbx.core.ids import IdSource
from pbx.core.timers import Deadline
from pbx.cti import commands as cti
from pbx.cti.actor import Actor
from pbx.events import catalogue as facts
from pbx.ivr import messages as ivr
from pbx.ivr.flow import Flow
from pbx.sip import events as sip
from pbx.sip.commands import Flow as SipFlow
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack

_ACD_OUTPUTS = get_args(acd_messages.AnyOutput)
MAX_STEPS = 10_000
"""Internal events of one input; more is a circle, and a bug."""


class Switch:
    def __init__(
        self,
        settings: Settings,
        stack: Stack,
        registrar: Registrar,
        flows: Mapping[str, Flow],
        ids: IdSource,
        *,
        epoch: float,
        recordings: str,
        voicemail: str,
        gateways: Sequence[str] = ("local",),
        seq: int = 0,
    ) -> None:
        """``epoch``: wall clock minus monotonic clock, in seconds. ``recordings`` and ``voicemail``: root folders as
        the gateways see them. ``seq``: number of the last record in the log."""
        acd = Acd(make_acd_config(settings.configuration), ids)
        ex = self.exchange = Exchange(settings, stack, registrar, acd, ids, epoch=epoch, seq=seq)
        ex.media = MediaControl(ex, tuple(gateways))
        ex.legs = LegControl(ex)
        ex.router = Router(ex)
        ex.agents = AgentControl(ex)
        ex.callbacks = Callbacks(ex)
        ex.flows = FlowControl(ex, flows)
        ex.recording = RecordingControl(ex, recordings)
        ex.transfers = Transfers(ex)
        ex.announcer = Announcer(ex)
        ex.supervision = Supervision(ex)
        ex.features = Features(ex)
        ex.calendar_switch = CalendarSwitch(ex)
        ex.login_pin = LoginPin(ex)
        ex.desk = Desk(ex)
        ex.recovery = Recovery(ex)
        ex.day = Day(ex)
        ex.hours = Hours(ex)
        ex.alarms = Alarms(ex)
        ex.message_waiting = MessageWaiting(ex)
        ex.caller_proof = CallerProof(ex)
        watchers = ex.watchers = Watchers(ex)
        stack.set_admission(watchers.admit)
        self.texts = Texts(ex)
        stack.set_text_admission(self.texts.admit)
        toll = self.toll = TollDesk(ex)
        ex.toll_guard = toll.check

        def on_fact(fact: facts.AnyEvent) -> None:
            toll.note(fact)
            watchers.note(fact)

        ex.on_fact = on_fact
        ex.taking = Taking(ex)
        ex.listening = Listening(ex)
        ex.voicemail = Voicemail(ex, voicemail)

    # --- inputs -----------------------------------------------------------------------------------------------

    def receive(self, packet: bytes, flow: SipFlow, now: float) -> list[AnyOutput]:
        """A SIP message from the network."""
        ex = self._begin(now)
        ex.take_sip(ex.stack.receive(packet, flow, now))
        return self._settle()

    def flow_closed(self, flow: SipFlow, now: float) -> list[AnyOutput]:
        """A stream connection is gone."""
        ex = self._begin(now)
        ex.take_sip(ex.stack.flow_closed(flow, now))
        return self._settle()

    def media_replied(self, gateway: str, reply: media.AnyReply, now: float) -> list[AnyOutput]:
        self._begin(now).media.replied(gateway, reply)
        return self._settle()

    def media_happened(self, gateway: str, event: media.AnyEvent, now: float) -> list[AnyOutput]:
        self._begin(now).media.happened(gateway, event)
        return self._settle()

    def gateway_up(self, gateway: str, welcome: media.Welcome, now: float) -> list[AnyOutput]:
        """A gateway is connected; its identity tells whether it is still the one that was."""
        self._begin(now).media.gateway_up(gateway, welcome)
        return self._settle()

    def gateway_down(self, gateway: str, reason: str, now: float) -> list[AnyOutput]:
        self._begin(now).media.gateway_down(gateway, reason)
        return self._settle()

    def execute(self, actor: Actor, command: cti.AnyCommand, request_id: str, now: float) -> list[AnyOutput]:
        """A desktop's command; its ``CommandDone`` is among the outputs, now or later."""
        self._begin(now).desk.execute(actor, command, request_id)
        return self._settle()

    def answer_request(
        self, call: str, event: ivr.Fetched | ivr.QueryResult | ivr.Recognised, now: float
    ) -> list[AnyOutput]:
        """What came of a flow's HTTP request or statement, or of what its caller said."""
        self._begin(now).flows.answer_request(call, event)
        return self._settle()

    def certificate_fetched(self, url: str, pem: bytes, failure: str, now: float) -> list[AnyOutput]:
        """What a ``FetchCertificate`` brought, or why it brought nothing."""
        self._begin(now).caller_proof.fetched(url, pem, failure)
        return self._settle()

    def expire(self, now: float) -> list[AnyOutput]:
        """Do what is due."""
        ex = self._begin(now)
        ex.take_sip(ex.stack.expire(now))
        ex.agents.take(ex.acd.expire(now))
        self.toll.expire(now)
        ex.day.expire(now)
        ex.hours.expire()
        ex.alarms.expire(now)
        ex.callbacks.expire(now)
        while (key := ex.timers.pop(now)) is not None:
            call_id, sid, name = key
            if sid == "voicemail":
                ex.voicemail.expire()
                continue
            if sid == "checkpoint":
                ex.recovery.due(call_id)
                continue
            if sid == "watchers":
                ex.watchers.due()
                continue
            call = ex.calls.get(call_id)
            if call is None:
                continue
            if sid == "call":
                ex.note("warning", "call ended: it lasted too long", call_id)
                ex.end_call(call, cause=31, reason="longest duration reached")
                continue
            session = ex.find_session(call, sid)
            if session is not None:
                session.timers.remove(name)
                session.timer(ex, call, name)
        return self._settle()

    def next_deadline(self) -> Deadline | None:
        """When ``expire`` has something to do."""
        ex = self.exchange
        parts = (ex.stack, ex.acd, self.toll, ex.day, ex.hours, ex.alarms, ex.callbacks)
        due = [part.next_deadline() for part in parts]
        own = ex.timers.peek()
        if own is not None:
            due.append(Deadline(own[0], f"call {' '.join(own[1])}"))
        return min((deadline for deadline in due if deadline is not None), default=None)

    # --- configuration and life -------------------------------------------------------------------------------

    def configure(
        self, settings: Settings, flows: Mapping[str, Flow], changes: Iterable[str], now: float
    ) -> list[AnyOutput]:
        """Take a new configuration as a whole; calls in progress go on with it, their flows with the old version."""
        ex = self._begin(now)
        ex.agents.take(ex.acd.configure(make_acd_config(settings.configuration), now))
        ex.settings = settings
        ex.calendar_switch.configure()
        self.toll.configure(settings.configuration)
        ex.voicemail.configure()
        ex.day.configure()
        ex.alarms.configure()
        ex.hours.look()
        ex.flows.library = dict(flows)
        ex.watchers.configured()
        ex.log(facts.ConfigurationApplied(version=settings.version, changes=tuple(changes)))
        return self._settle()

    def state(self, event: facts.AnyEvent, now: float) -> list[AnyOutput]:
        """Put a fact of the shell (server started, configuration refused) into the log in its place."""
        self._begin(now).log(event)
        return self._settle()

    def take_over(self, kept: Mapping[str, bytes], known: Iterable[str], version: str, now: float) -> list[AnyOutput]:
        """At start: take back the calls a process before us wrote down (``Checkpoint``). ``known``: ids of the calls
        that are running by the log."""
        self._begin(now).recovery.take_over(kept, known, version)
        return self._settle()

    def drain(self, now: float) -> list[AnyOutput]:
        """Refuse new calls from now on; those in progress go on."""
        ex = self._begin(now)
        ex.stack.draining = True
        ex.log(facts.DrainStarted(calls=len(ex.calls)))
        return self._settle()

    def end_all(self, reason: str, now: float) -> list[AnyOutput]:
        """Hang up everything that is left."""
        ex = self._begin(now)
        for call in list(ex.calls.values()):
            ex.end_call(call, status=503, cause=41, reason=reason)
        return self._settle()

    def do(self, action: Callable[[Exchange], None], now: float) -> list[AnyOutput]:
        """Let the shell act on the exchange inside the switch's one line of control (restart recovery)."""
        action(self._begin(now))
        return self._settle()

    def live(self) -> dict[str, int]:
        """What lives, for leak checks."""
        ex = self.exchange
        return {
            "calls": len(ex.calls),
            "legs": len(ex.leg_calls),
            "sessions": len(ex.sessions),
            "timers": len(ex.timers),
            "devices": len(ex.device_legs),
            "watches": len(ex.watchers),
            "unproven": len(ex.caller_proof),
            **{f"sip_{name}": count for name, count in ex.stack.live().items()},
        }

    # --- one mutation, then all of its consequences -----------------------------------------------------------

    def _begin(self, now: float) -> Exchange:
        ex = self.exchange
        ex.now = now
        return ex

    def _settle(self) -> list[AnyOutput]:
        ex = self.exchange
        for _ in range(MAX_STEPS):
            if not ex.inbox:
                ex.watchers.settle()
                if not ex.inbox:
                    break
            self._dispatch(ex.inbox.popleft())
        else:
            raise RuntimeError(f"no end to the internal events, next is {ex.inbox[0]!r}")
        for name in ex.dirty:
            call = ex.calls.get(name)
            if call is not None:
                ex.media.settle(call)
                ex.recovery.changed(call)
        ex.dirty.clear()
        out, ex.out = ex.out, []
        return out

    def _dispatch(self, event: Any) -> None:
        ex = self.exchange
        if isinstance(event, _ACD_OUTPUTS):
            ex.agents.handle(event)
            return
        if isinstance(event, FlowInput):
            ex.flows.feed(*event)
            return
        if isinstance(event, CallOver):
            call = ex.calls.get(event.call)
            if call is not None:
                ex.clear_call(call)
            return
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
            return
        leg_handler = _LEG_HANDLERS.get(type(event))
        found = ex.find(event.leg) if leg_handler is not None else None
        if leg_handler is not None and found is not None:
            leg_handler(ex, *found, event)
        elif isinstance(event, sip.Ended):
            ex.caller_proof.ended(event.leg)

    def _incoming(self, event: sip.IncomingCall) -> None:
        self.exchange.caller_proof.incoming(event)

    def _registered(self, event: sip.Registered) -> None:
        ex = self.exchange
        if not event.refreshed:
            ex.log(
                facts.DeviceRegistered(
                    device=f"extension:{event.extension}",
                    contact=event.contact,
                    user_agent=event.user_agent,
                    address=f"{event.flow.host}:{event.flow.port}",
                )
            )
        ex.agents.phone_changed(event.extension)

    def _unregistered(self, event: sip.Unregistered) -> None:
        ex = self.exchange
        ex.log(
            facts.DeviceUnregistered(device=f"extension:{event.extension}", contact=event.contact, reason=event.reason)
        )
        ex.agents.phone_changed(event.extension)

    def _trunk_state(self, event: sip.TrunkState) -> None:
        ex = self.exchange
        down = ex.router.outbound.down
        if event.state == "down":
            down.add(event.trunk)
        else:
            down.discard(event.trunk)
        ex.log(facts.TrunkStateChanged(trunk=event.trunk, state=event.state, reason=event.reason))

    def _alert(self, event: sip.SecurityAlert) -> None:
        self.exchange.log(
            facts.SecurityAlert(what=event.what, address=f"{event.flow.host}:{event.flow.port}", detail=event.detail)
        )


_HANDLERS: dict[type, Callable[[Switch, Any], None]] = {
    sip.IncomingCall: Switch._incoming,
    sip.Registered: Switch._registered,
    sip.Unregistered: Switch._unregistered,
    sip.TrunkState: Switch._trunk_state,
    sip.SecurityAlert: Switch._alert,
    sip.TextMessage: lambda switch, event: switch.texts.deliver(event),
    sip.Subscribed: lambda switch, event: switch.exchange.watchers.subscribed(event),
    sip.Unsubscribed: lambda switch, event: switch.exchange.watchers.unsubscribed(event),
}
_LEG_HANDLERS: dict[type, Callable[[Exchange, Any, Any, Any], None]] = {
    sip.Ringing: lambda ex, call, leg, event: ex.legs.ringing(call, leg, event),
    sip.Answered: lambda ex, call, leg, event: ex.legs.answered(call, leg, event),
    sip.Acknowledged: lambda ex, call, leg, event: ex.legs.acknowledged(call, leg, event),
    sip.Ended: lambda ex, call, leg, event: ex.legs.ended(call, leg, event),
    sip.Reoffered: lambda ex, call, leg, event: ex.legs.reoffered(call, leg, event),
    sip.ReofferAnswered: lambda ex, call, leg, event: ex.legs.reoffer_answered(call, leg, event),
    sip.Refer: lambda ex, call, leg, event: ex.transfers.refer(call, leg, event),
    sip.InfoDigit: lambda ex, call, leg, event: ex.legs.digit(call, leg, event.digit, by_info=True),
}
