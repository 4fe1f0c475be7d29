"""The exchange floor: every live call with its sessions, and the few operations all sessions are made of.

One writer, one thread, no awaiting. Each entry of :class:`pbx.app.switch.Switch` sets the time, lets the machines
work, drains what they said to each other from ``inbox``, and hands ``out`` to the shell.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from media.protocol import Play, PlayItem, StopPlay
from pbx.acd.acd import Acd
from pbx.app.outputs import AnyOutput, Append, Note
from pbx.app.sessions.base import Result, Session
from pbx.app.settings import Settings
from pbx.app.telephony.device_legs import DeviceLegs
from pbx.call.model import Call, Leg
from pbx.call.routing import External
from pbx.core.ids import IdSource
from pbx.core.timers import Timers
from pbx.events import catalogue as facts
from pbx.sip.commands import AnyCommand as SipCommand
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, Registered, Transmit, Unregistered
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack

if TYPE_CHECKING:
    from pbx.app.audio.announcer import Announcer
    from pbx.app.audio.listening import Listening
    from pbx.app.audio.media import MediaControl
    from pbx.app.audio.recording import RecordingControl
    from pbx.app.audio.taking import Taking
    from pbx.app.desk.desk import Desk
    from pbx.app.desk.supervision import Supervision
    from pbx.app.flows import FlowControl
    from pbx.app.lamps.message_waiting import MessageWaiting
    from pbx.app.lamps.watchers import Watchers
    from pbx.app.queueing.agents import AgentControl
    from pbx.app.queueing.alarms import Alarms
    from pbx.app.queueing.callbacks import Callbacks
    from pbx.app.queueing.day import Day
    from pbx.app.queueing.hours import Hours
    from pbx.app.recovery.recovery import Recovery
    from pbx.app.telephony.calendar_switch import CalendarSwitch
    from pbx.app.telephony.caller_proof import CallerProof
    from pbx.app.telephony.features import Features
    from pbx.app.telephony.legs import LegControl
    from pbx.app.telephony.login_pin import LoginPin
    from pbx.app.telephony.router import Router
    from pbx.app.telephony.transfers import Transfers
    from pbx.app.voicemail.mailboxes import Voicemail

MAX_DIVERSIONS = 10
"""Forwards and overflows of one call; more is a circle."""
TimerKey = tuple[str, ...]
_FAILURES = {486: "busy", 600: "busy", 408: "no_answer", 480: "no_answer", 487: "no_answer", 603: "rejected"}


class CallOver(NamedTuple):
    """In the inbox behind all that the end of a call's last leg led to."""

    call: str


class Exchange:
    """State and primitives; the components below it are set by the switch, which makes them."""

    callbacks: Callbacks
    day: Day
    hours: Hours
    alarms: Alarms
    legs: LegControl
    media: MediaControl
    router: Router
    agents: AgentControl
    flows: FlowControl
    recording: RecordingControl
    transfers: Transfers
    announcer: Announcer
    supervision: Supervision
    desk: Desk
    features: Features
    recovery: Recovery
    message_waiting: MessageWaiting
    watchers: Watchers
    taking: Taking
    listening: Listening
    voicemail: Voicemail
    caller_proof: CallerProof
    calendar_switch: CalendarSwitch
    login_pin: LoginPin

    def __init__(
        self, settings: Settings, stack: Stack, registrar: Registrar, acd: Acd, ids: IdSource, *, epoch: float, seq: int
    ) -> None:
        self.settings = settings
        self.stack = stack
        self.registrar = registrar
        self.acd = acd
        self.ids = ids
        self.epoch = epoch
        """Wall clock (seconds since 1970) minus monotonic clock."""
        self.seq = seq
        """Number of the last record."""
        self.now = 0.0
        self.out: list[AnyOutput] = []
        self.inbox: deque[Any] = deque()
        """Events of the SIP stack and the ACD that wait for their turn."""
        self.calls: dict[str, Call] = {}
        self.leg_calls: dict[str, str] = {}
        self.sessions: dict[str, list[Session]] = {}
        self.timers: Timers[TimerKey] = Timers()
        self.dirty: dict[str, None] = {}
        self.ending: dict[str, tuple[str, str]] = {}
        """Calls that are being ended, with outcome and reason."""
        self.device_legs = DeviceLegs()
        """Live legs by device."""
        self.toll_guard: Callable[[str, External, Call], str | None] = lambda device, external, call: None
        """Why a device may not make an outside call now, or None; replaced where limits are configured."""
        self.find_trunk_flow: Callable[[str], Flow | None] = lambda trunk: None
        """Where a trunk answers now: its name resolved, the server that is alive. None: as the configuration says."""
        self.find_trunk_others: Callable[[str], tuple[Flow, ...]] = lambda trunk: ()
        """Where else it can be reached when that server is silent, best first."""
        self.on_fact: Callable[[facts.AnyEvent], None] = lambda fact: None
        """Hears every fact as it is stated: limits on outside calls and lamps follow by it."""

    # --- time and facts ---------------------------------------------------------------------------------------

    @property
    def wall(self) -> float:
        return self.epoch + self.now

    def log(self, event: facts.AnyEvent) -> None:
        """State a fact."""
        self.seq += 1
        self.out.append(Append(facts.Record(seq=self.seq, at=round(self.epoch + self.now, 6), event=event)))
        self.on_fact(event)

    def make_key(self, length: int) -> bytes:
        """Fresh key material for SRTP."""
        return bytes.fromhex("".join(self.ids.token() for _ in range(length // 8 + 1)))[:length]

    @staticmethod
    def same_secret(given: str, wanted: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given.encode(), wanted.encode())

    def note(self, level: str, text: str, call: str = "", **details: Any) -> None:
        """A line for the server's log, which is no fact of the domain."""
        self.out.append(Note(level, text, call, details))

    # --- the machines -----------------------------------------------------------------------------------------

    def sip(self, command: SipCommand) -> None:
        self.take_sip(self.stack.command(command, self.now))

    def take_sip(self, outputs: Sequence[Any]) -> None:
        for output in outputs:
            if isinstance(output, Transmit | Dropped):
                self.out.append(output)
            else:
                if isinstance(output, Registered | Unregistered):
                    self.out.append(output)
                self.inbox.append(output)

    # --- sessions ---------------------------------------------------------------------------------------------

    def stack_of(self, call: Call) -> list[Session]:
        return self.sessions.setdefault(call.id, [])

    def top(self, call: Call) -> Session | None:
        sessions = self.sessions.get(call.id)
        return sessions[-1] if sessions else None

    def push(self, call: Call, session: Session) -> None:
        self._name(call, session)
        self.stack_of(call).append(session)
        session.start(self, call)
        self.touch(call)

    def _name(self, call: Call, session: Session) -> None:
        call.sessions += 1
        session.sid = str(call.sessions)

    def pop(self, call: Call, session: Session, result: Result) -> None:
        """``session`` is over; the one below hears of it, or the call ends."""
        sessions = self.stack_of(call)
        if session not in sessions:
            return
        self.stop_above(call, session, result.reason)
        self.cancel_timers(sessions.pop())
        self.touch(call)
        if result.destination and self._follow(call, session, result.destination):
            return
        while sessions and not self._serves_living(call, sessions[-1]):
            sessions[-1].stop(self, call, "caller gone")
            self.cancel_timers(sessions.pop())
        if sessions:
            sessions[-1].done(self, call, result)
        else:
            self.end_call(call, status=result.status or 480, cause=result.cause or 16, reason=result.reason)

    def replace(self, call: Call, session: Session, new: Session, result: Result | None = None) -> None:
        """``new`` takes the place of ``session``; the one below hears that somebody answered."""
        sessions = self.stack_of(call)
        self.stop_above(call, session, "replaced")
        self.cancel_timers(sessions[-1])
        self._name(call, new)
        sessions[-1] = new
        new.start(self, call)
        self.touch(call)
        if len(sessions) > 1 and sessions[-1] is new:
            sessions[-2].done(self, call, result or Result(kind="answered"))

    def stop_above(self, call: Call, session: Session, reason: str) -> None:
        sessions = self.stack_of(call)
        while sessions and sessions[-1] is not session:
            sessions[-1].stop(self, call, reason)
            self.cancel_timers(sessions.pop())

    def digit_below(self, call: Call, session: Session, leg: Leg, digit: str) -> None:
        sessions = self.stack_of(call)
        depth = sessions.index(session)
        if depth:
            sessions[depth - 1].digit(self, call, leg, digit)

    def _serves_living(self, call: Call, session: Session) -> bool:
        anchor = getattr(session, "anchor", "")
        return not anchor or (anchor in call.legs and call.legs[anchor].state != "ended")

    def _follow(self, call: Call, session: Session, destination: str) -> bool:
        anchor = call.legs[getattr(session, "anchor", call.anchor)]
        call.diversions += 1
        kind, _, number = getattr(session, "destination", "").partition(":")
        if kind == "extension":
            call.diverted.insert(0, (number, "user-busy" if getattr(session, "status", 0) == 486 else "no-answer"))
        if call.diversions > MAX_DIVERSIONS:
            self.note("warning", "call diverted too often", call.id, destination=destination)
            return False
        plan = self.router.plan(
            call, destination, by=anchor.device, anchor=anchor, joins=getattr(session, "joins", False)
        )
        if plan is None:
            return False
        self.log(facts.Diverted(call=call.id, device=anchor.device, destination=destination, reason="overflow"))
        self.push(call, plan.session)
        return True

    # --- timers -----------------------------------------------------------------------------------------------

    def set_timer(self, call: Call, session: Session, name: str, seconds: float) -> None:
        """``session.timer(name)`` is called in ``seconds``; a timer of that name that runs is moved."""
        if name not in session.timers:
            session.timers.append(name)
        self.timers.set((call.id, session.sid, name), self.now + seconds)

    def cancel_timer(self, call: Call, session: Session, name: str) -> None:
        if name in session.timers:
            session.timers.remove(name)
            self.timers.cancel((call.id, session.sid, name))

    def cancel_timers(self, session: Session) -> None:
        for name in session.timers:
            self.timers.cancel((session.call, session.sid, name))
        session.timers = []

    def find_session(self, call: Call, sid: str) -> Session | None:
        return next((session for session in self.sessions.get(call.id, ()) if session.sid == sid), None)

    # --- audio ------------------------------------------------------------------------------------------------

    def touch(self, call: Call) -> None:
        """What is heard in ``call`` may have changed; worked out once when the switch settles."""
        self.dirty[call.id] = None

    def play(
        self,
        call: Call,
        leg: Leg,
        items: tuple[PlayItem, ...],
        *,
        session: Session | None = None,
        request: str = "",
        stop_on_digits: str = "",
        stop_on_speech: bool = False,
        loop: bool = False,
        mix: bool = False,
    ) -> None:
        """Play a prompt on ``leg`` in place of what it hears; the session on top (or ``session``) is told its end."""
        if leg.configured is None:
            return
        owner = session or self.top(call)
        leg.player = f"{owner.sid if owner else ''}/{request or self.ids.token('p')}"
        leg.background = ""
        leg.playing = Play(
            id=self.media.next_id(),
            leg=leg.id,
            player=leg.player,
            items=items,
            loop=loop,
            mix=mix,
            stop_on_digits=stop_on_digits,
            stop_on_speech=stop_on_speech,
        )
        self.media.send(leg.gateway, leg.playing)

    def stop_play(self, leg: Leg) -> None:
        if leg.player:
            self.media.send(leg.gateway, StopPlay(id=self.media.next_id(), leg=leg.id, player=leg.player))
            leg.player, leg.playing = "", None

    # --- the end of a call ------------------------------------------------------------------------------------

    def end_call(self, call: Call, *, status: int = 480, cause: int = 16, reason: str = "", outcome: str = "") -> None:
        """Hang up every leg; what is left of the sessions lets go. Idempotent."""
        if call.id in self.ending or call.id not in self.calls:
            return
        self.ending[call.id] = (outcome or self._outcome(call, status), reason)
        sessions = self.stack_of(call)
        while sessions:
            sessions[-1].stop(self, call, reason)
            self.cancel_timers(sessions.pop())
        live = call.live()
        for leg in live:
            self.legs.hangup(leg, status=status, cause=cause, reason=reason)
        if not live:
            self.inbox.append(CallOver(call.id))

    def _outcome(self, call: Call, status: int) -> str:
        if call.talked_at or call.answered_at:
            return "answered"
        if status in _FAILURES:
            return _FAILURES[status]
        return "client" if status < 500 else "server" if status < 600 else "rejected"

    def clear_call(self, call: Call) -> None:
        """The last leg is gone, and everything that follows from it has been said."""
        if call.id not in self.calls or call.live():
            return
        outcome, reason = self.ending.pop(call.id, ("indeterminate", ""))
        self.media.close_bridge(call)
        self.recording.call_cleared(call)
        self.timers.cancel((call.id, "call", ""))
        self.recovery.forget(call)
        self.router.forget(call)
        self.log(facts.CallCleared(call=call.id, outcome=outcome, reason=reason))  # type: ignore[arg-type]
        self.callbacks.call_cleared(call)
        self.calls.pop(call.id, None)
        self.sessions.pop(call.id, None)
        self.dirty.pop(call.id, None)
        for leg in call.legs:
            self.leg_calls.pop(leg, None)

    def find(self, leg: str) -> tuple[Call, Leg] | None:
        call = self.calls.get(self.leg_calls.get(leg, ""))
        if call is None or leg not in call.legs:
            return None
        return call, call.legs[leg]

    def owner(self, call: Call, leg: str) -> Session | None:
        """The topmost session that ``leg`` belongs to."""
        for session in reversed(self.sessions.get(call.id, ())):
            if session.owns(leg):
                return session
        return None
