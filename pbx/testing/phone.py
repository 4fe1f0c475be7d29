"""A scripted SIP phone for simulations: our own stack as a user agent, driven by a time table in virtual time.

It registers with digest, calls, answers after a while, holds, transfers, hangs up, and may vanish without a word.
Its media is only what SDP says: an address and a direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sipmessage import URI, Request

from pbx import sdp
from pbx.core.ids import SeededIds
from pbx.core.timers import Deadline, Timers
from pbx.sip.auth import answer_challenge
from pbx.sip.commands import (
    Accept,
    AnswerRefer,
    AnswerReoffer,
    AnyCommand,
    Credentials,
    Flow,
    Hangup,
    Invite,
    NotifyRefer,
    Progress,
    Reoffer,
    SendInfo,
    SendRefer,
)
from pbx.sip.events import (
    Acknowledged,
    Answered,
    Ended,
    IncomingCall,
    Origin,
    Output,
    Refer,
    ReofferAnswered,
    Reoffered,
    Transmit,
)
from pbx.sip.identity import Listener, LocalIdentity, Settings
from pbx.sip.policy import RequestDone, Trusted
from pbx.sip.stack import Stack
from pbx.sip.timing import Timing

CODECS = (sdp.Format("PCMU", 0), sdp.Format("PCMA", 8))


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What the phone does by itself. Times in seconds; None: never."""

    ring_after: float | None = 0.1
    answer_after: float | None = 2.0
    refuse_with: int = 0
    """Status to refuse every call with; 0: do not."""
    hangup_after: float | None = None
    """Talk this long, then hang up."""
    register_every: float | None = None
    """Expires of the registration; refreshed at half of it."""
    follow_transfers: bool = True
    codecs: tuple[sdp.Format, ...] = CODECS


class Talk(msgspec.Struct):
    """One call on the phone, as the phone sees it."""

    leg: str
    incoming: bool
    began: float
    remote: str = ""
    answered: float | None = None
    ended: Ended | None = None
    direction: str = ""
    """Of the last agreed media, from our side."""
    offer: bytes = b""
    version: int = 1
    wanted: sdp.Direction = "sendrecv"
    """What we would have: ``sendonly`` while we hold the other side."""


class _TrustEverybody:
    def identify(self, request: Request, flow: Flow) -> Trusted:
        return Trusted(Origin("trunk", "server"))


class _Results:
    """Gives the results of requests outside dialogs to a function."""

    def __init__(self, on_done: Callable[[RequestDone, float], None]) -> None:
        self._on_done = on_done

    def request_done(self, done: RequestDone, now: float) -> Sequence[Output]:
        self._on_done(done, now)
        return ()

    def flow_closed(self, flow: Flow, now: float) -> Sequence[Output]:
        return ()

    def expire(self, now: float) -> Sequence[Output]:
        return ()

    def next_deadline(self) -> Deadline | None:
        return None


class ScriptedPhone:
    """One phone at ``host``; a ``Node`` for ``World``.

    ``at(time, action)`` schedules anything: ``phone.at(5.0, lambda: phone.call("sip:100@pbx"))``.
    """

    def __init__(
        self,
        number: str,
        host: str,
        server: Flow,
        *,
        domain: str = "",
        password: str = "",
        seed: int = 0,
        port: int = 5060,
        timing: Timing | None = None,
        behaviour: Behaviour | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.number = number
        self.host = host
        self.server = server
        self.domain = domain or server.host
        self.behaviour = behaviour or Behaviour()
        self.credentials = Credentials(number, password) if password else None
        self.talks: dict[str, Talk] = {}
        self.events: list[tuple[float, Output]] = []
        """Everything the stack told us but packets."""
        self.registered_until = 0.0
        self.is_gone = False
        """Vanished: hears nothing, says nothing."""
        self.now = 0.0
        self._out: list[Output] = []
        self._timers: Timers[int] = Timers()
        self._actions: dict[int, Callable[[], object]] = {}
        self._count = 0
        self._cseq = 0
        self._port = port
        self._nonce_counts: dict[str, int] = {}
        self._ids = SeededIds(seed * 1_000_003 + sum(number.encode()) + 7)
        self._call_id = self._ids.token("reg-")
        self._tag = self._ids.token()
        listeners = tuple(Listener(name, name, host, port) for name in ("udp", "tcp"))
        self.stack = Stack(
            _TrustEverybody(),
            LocalIdentity(listeners=listeners, user_agent="ScriptedPhone", contact_user=number),
            self._ids,
            timing,
            settings=settings,
            requester=_Results(self._on_registered),
            answer_challenge=answer_challenge,
        )

    # --- scripts ------------------------------------------------------------------------------------------------

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Do ``action`` at ``time`` of the virtual clock."""
        self._count += 1
        self._actions[self._count] = action
        self._timers.set(self._count, time)

    def after(self, delay: float, action: Callable[[], object]) -> None:
        self.at(self.now + delay, action)

    def call(self, target: str, headers: tuple[tuple[str, str], ...] = ()) -> str:
        """Dial; returns the leg. ``target`` is a number at our domain, or a URI."""
        leg = f"{self.number}-{self._ids.token()}"
        uri = target if ":" in target else f"sip:{target}@{self.domain}"
        talk = self.talks[leg] = Talk(leg=leg, incoming=False, began=self.now, remote=uri)
        talk.offer = self._make_offer(talk)
        self.command(
            Invite(
                leg=leg,
                uri=uri,
                flow=self.server,
                from_uri=f"sip:{self.number}@{self.domain}",
                from_name=self.number,
                sdp=talk.offer,
                headers=headers,
                credentials=self.credentials,
            )
        )
        return leg

    def answer(self, leg: str) -> None:
        """Pick up."""
        talk = self.talks[leg]
        if talk.ended is None and talk.answered is None:
            talk.answered = self.now
            self.command(Accept(leg=leg, sdp=talk.offer))

    def hangup(self, leg: str = "", status: int = 486) -> None:
        """End one call, or every call."""
        for talk in self._pick(leg):
            self.command(Hangup(leg=talk.leg, status=status))

    def hold(self, leg: str = "", on: bool = True) -> None:
        """Put the other side on hold (``on``) or retrieve it; without a leg, in every call."""
        for talk in self._pick(leg):
            talk.version += 1
            talk.wanted = "sendonly" if on else "sendrecv"
            talk.offer = self._make_offer(talk)
            self.command(Reoffer(leg=talk.leg, sdp=talk.offer))

    def transfer(self, leg: str, target: str) -> None:
        """Blind transfer of the other side."""
        uri = target if ":" in target else f"sip:{target}@{self.domain}"
        for talk in self._pick(leg):
            self.command(SendRefer(leg=talk.leg, target=uri, referred_by=f"<sip:{self.number}@{self.domain}>"))

    def transfer_to_leg(self, leg: str, other: str) -> None:
        """Attended transfer: the other side of ``leg`` replaces us in ``other``."""
        state = self.stack.export_leg(other)
        if state is not None:
            dialog = state["dialog"]
            replaces = f"{dialog['call_id']};to-tag={dialog['remote_tag']};from-tag={dialog['local_tag']}"
            quoted = replaces.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
            self.command(SendRefer(leg=leg, target=f"{self.talks[other].remote}?Replaces={quoted}"))

    def send_digit(self, leg: str, digit: str) -> None:
        """A digit by INFO."""
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        for talk in self._pick(leg):
            self.command(SendInfo(leg=talk.leg, content_type="application/dtmf-relay", body=body))

    def register(self, expires: int = 3600) -> None:
        """REGISTER at the server; challenges are answered."""
        self._send_register(expires, "")

    def vanish(self) -> None:
        """Lose power: no packet in or out from now on."""
        self.is_gone = True

    def _pick(self, leg: str) -> list[Talk]:
        """That call if it is alive, or every live one."""
        return [talk for talk in self.live_talks() if not leg or talk.leg == leg]

    def live_talks(self) -> list[Talk]:
        return [talk for talk in self.talks.values() if talk.ended is None]

    # --- Node ---------------------------------------------------------------------------------------------------

    def receive(self, packet: bytes, flow: Flow, now: float) -> Sequence[Output]:
        self._begin(now)
        if not self.is_gone:
            self._take(self.stack.receive(packet, flow, now))
        return self._out

    def expire(self, now: float) -> Sequence[Output]:
        self._begin(now)
        if not self.is_gone:
            self._take(self.stack.expire(now))
        while (key := self._timers.pop(now)) is not None:
            action = self._actions.pop(key)
            if not self.is_gone:
                action()
        return self._out

    def next_deadline(self) -> Deadline | None:
        script = self._timers.next()
        stack = None if self.is_gone else self.stack.next_deadline()
        if script is None or (stack is not None and stack.at <= script):
            return stack
        return Deadline(script, "script")

    def command(self, command: AnyCommand) -> None:
        """Anything else the stack can do."""
        self._take(self.stack.command(command, self.now))

    # --- reactions ----------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self.now = now
        self._out = []

    def _take(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._out.append(output)
            else:
                self.events.append((self.now, output))
                self._react(output)

    def _react(self, event: Output) -> None:
        if isinstance(event, IncomingCall):
            self._on_call(event)
        elif isinstance(event, Answered):
            self._on_answered(event)
        elif isinstance(event, Acknowledged):
            self._plan_hangup(event.leg)
        elif isinstance(event, Ended):
            if event.leg in self.talks:
                self.talks[event.leg].ended = event
        elif isinstance(event, Reoffered):
            self._on_reoffered(event)
        elif isinstance(event, ReofferAnswered):
            self._note_direction(self.talks[event.leg], event.sdp)
        elif isinstance(event, Refer):
            self._on_refer(event)

    def _on_call(self, event: IncomingCall) -> None:
        talk = self.talks[event.leg] = Talk(leg=event.leg, incoming=True, began=self.now, remote=event.caller)
        do = self.behaviour
        if do.refuse_with:
            self.command(Hangup(leg=event.leg, status=do.refuse_with))
            return
        if event.sdp is None:
            talk.offer = self._make_offer(talk)
        else:
            try:
                agreed = self._answer(event.sdp, talk)
            except (sdp.SdpError, sdp.NegotiationError):
                self.command(Hangup(leg=event.leg, status=488))
                return
            talk.offer, talk.direction = agreed.sdp, agreed.direction
        if do.ring_after is not None:
            self.after(do.ring_after, lambda: self.command(Progress(leg=event.leg, status=180)))
        if do.answer_after is not None:
            self.after(do.answer_after, lambda: self.answer(event.leg))

    def _on_answered(self, event: Answered) -> None:
        talk = self.talks[event.leg]
        talk.answered = self.now
        self._note_direction(talk, event.sdp)
        self._plan_hangup(event.leg)

    def _plan_hangup(self, leg: str) -> None:
        if self.behaviour.hangup_after is not None:
            self.after(self.behaviour.hangup_after, lambda: self.command(Hangup(leg=leg)))

    def _on_reoffered(self, event: Reoffered) -> None:
        talk = self.talks[event.leg]
        talk.version += 1
        if event.sdp is None:
            talk.offer = self._make_offer(talk)
        else:
            try:
                agreed = self._answer(event.sdp, talk)
            except (sdp.SdpError, sdp.NegotiationError):
                agreed = None
            if agreed is not None:
                talk.offer, talk.direction = agreed.sdp, agreed.direction
        self.command(AnswerReoffer(leg=event.leg, sdp=talk.offer))

    def _on_refer(self, event: Refer) -> None:
        if not self.behaviour.follow_transfers:
            self.command(AnswerRefer(leg=event.leg, status=603))
            return
        self.command(AnswerRefer(leg=event.leg))
        self.command(NotifyRefer(leg=event.leg, status=200))
        self.call(event.target)

    def _make_offer(self, talk: Talk) -> bytes:
        session = sdp.SessionId(1000 + len(self.talks), talk.version)
        return sdp.make_offer(self.host, 4000, self.behaviour.codecs, session=session, direction=talk.wanted)

    def _answer(self, offer: bytes, talk: Talk) -> sdp.Agreed:
        session = sdp.SessionId(1000 + len(self.talks), talk.version)
        codecs = self.behaviour.codecs
        return sdp.answer_offer(sdp.parse(offer), self.host, 4000, codecs, session=session, direction=talk.wanted)

    def _note_direction(self, talk: Talk, answer: bytes | None) -> None:
        if answer:
            try:
                talk.direction = sdp.read_answer(talk.offer, answer).direction
            except (sdp.SdpError, sdp.NegotiationError):
                talk.direction = "inactive"

    # --- registration -------------------------------------------------------------------------------------------

    def _send_register(self, expires: int, proof: str) -> None:
        self._cseq += 1
        request = Request("REGISTER", URI.parse(f"sip:{self.domain}"))
        who = f"<sip:{self.number}@{self.domain}>"
        request.headers.add("From", f"{who};tag={self._tag}")
        request.headers.add("To", who)
        request.headers.add("Call-ID", self._call_id)
        request.headers.add("CSeq", f"{self._cseq} REGISTER")
        request.headers.add("Expires", str(expires))
        request.headers.add("Contact", f"<sip:{self.number}@{self.host}:{self._port}>")
        if proof:
            name, _, value = proof.partition(": ")
            request.headers.add(name, value)
        key = f"register {expires} {'again' if proof else 'first'}"
        self._take(self.stack.send_request(key, request, self.server, self.now))

    def _on_registered(self, done: RequestDone, now: float) -> None:
        """The result of our REGISTER."""
        expires = int(done.key.split()[1])
        response = done.response
        if response is not None and response.code == 401 and done.key.endswith("first") and self.credentials:
            uri = f"sip:{self.domain}"
            cnonce = self._ids.token()
            found = answer_challenge(response, "REGISTER", uri, self.credentials, self._nonce_counts, cnonce)
            if found is not None:
                self.after(0.0, lambda: self._send_register(expires, f"{found[0]}: {found[1]}"))
        elif response is not None and response.code == 200:
            self.registered_until = now + expires
            if self.behaviour.register_every is not None and expires:
                self.after(expires / 2, lambda: self._send_register(expires, ""))
        elif self.behaviour.register_every is not None:
            self.after(30.0, lambda: self._send_register(expires, ""))
