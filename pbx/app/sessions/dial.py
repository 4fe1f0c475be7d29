"""Ring one target or many, round by round, until one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pbx.app.sessions.base import Result, Session
from pbx.app.sessions.talk import Talk
from pbx.events import catalogue as facts
from pbx.sip.events import Ended, Ringing

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg

_BUSY = (486, 600)
_TRY_NEXT_TRUNK = (408, 480, 500, 502, 503, 504)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One address to ring."""

    device: str
    """``extension:1001`` or ``trunk:carrier``."""
    number: str
    """What is dialled there."""
    caller: str = ""
    """Caller id to show; empty: the call's."""
    caller_name: str = ""
    delay: float = 0.0
    """Seconds after the start of its round."""
    rule: str = ""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Targets that ring together."""

    targets: tuple[Target, ...]
    seconds: float = 30.0
    failover: bool = False
    """The next round is another way to the same party: go on only when this one failed technically."""
    technical: tuple[int, ...] = _TRY_NEXT_TRUNK
    """Final responses that count as such."""


class Dial(Session, kw_only=True):
    """Serves a leg by finding somebody to talk to it."""

    rounds: list[Round]
    anchor: str
    """The leg that waits."""
    joins: bool = False
    """True: only bring the answered leg to the session below; False: a conversation begins here."""
    diversions: dict[str, str] = {}
    """Where the call goes when it fails: by busy, no_answer, unreachable, or ``any``."""
    destination: str = ""
    """What was dialled, for events: ``extension:1001``, ``group:sales``, ``number:0131...``."""
    legs: list[str] = []
    quiet: bool = False
    """The one who waits goes on with his conversation: no ringback, no early media for him."""
    confirm_digit: str = ""
    """The callee must press it before being connected."""
    confirm_items: list[Any] = []
    confirming: str = ""
    music: str = ""
    early: str = ""
    """Leg whose early media the anchor hears."""
    status: int = 480
    cause: int = 19
    reason: str = "no answer"
    round: int = -1

    def owns(self, leg: str) -> bool:
        return leg in self.legs

    def start(self, ex: Exchange, call: Call) -> None:
        call.legs[self.anchor].waiting = f"music:{self.music}" if self.music else ""
        self._next_round(ex, call)

    def _next_round(self, ex: Exchange, call: Call) -> None:
        while self.round + 1 < len(self.rounds):
            self.round += 1
            current = self.rounds[self.round]
            for number, target in enumerate(current.targets):
                if target.delay:
                    ex.set_timer(call, self, f"delayed-{number}", target.delay)
                else:
                    self._ring(ex, call, target)
            if self.legs or any(target.delay for target in current.targets):
                ex.set_timer(call, self, "round", current.seconds)
                return
        self._fail(ex, call)

    def _ring(self, ex: Exchange, call: Call, target: Target) -> None:
        legs, failure = ex.legs.dial(call, target, timeout=self.rounds[self.round].seconds + 5)
        self.legs.extend(legs)
        if failure is not None:
            self.status, self.cause, self.reason = failure

    def _fail(self, ex: Exchange, call: Call) -> None:
        ex.cancel_timer(call, self, "round")
        call.legs[self.anchor].waiting = ""
        ex.pop(
            call,
            self,
            Result(
                kind="failed",
                status=self.status,
                cause=self.cause,
                reason=self.reason,
                destination=self._diversion(),
            ),
        )

    def _diversion(self) -> str:
        kind = "busy" if self.status in _BUSY else "unreachable" if self.cause == 20 else "no_answer"
        return self.diversions.get(kind) or self.diversions.get("any", "")

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        if event.status in (180, 182, 183) and leg.state == "dialing":
            leg.state = "alerting"
            ex.log(facts.Delivered(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))
        anchor = call.legs[self.anchor]
        if self.confirm_digit or self.music or self.quiet:
            return
        if event.sdp and leg.configured is not None and not self.early and len(self.legs) == 1:
            self.early = leg.id
            call.talkers = [*call.talkers, *(new for new in (anchor.id, leg.id) if new not in call.talkers)]
            anchor.waiting = ""
            if anchor.state != "connected":
                ex.legs.progress(anchor, 183, media_from=leg)
        elif not self.early:
            if anchor.state == "connected":
                anchor.waiting = "ringback"
            elif event.status in (180, 183):
                ex.legs.progress(anchor, 180)
        ex.touch(call)

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        if self.confirm_digit and not self.confirming:
            self.confirming = leg.id
            ex.play(call, leg, tuple(self.confirm_items), stop_on_digits=self.confirm_digit)
            return
        if self.confirming and leg.id != self.confirming:
            ex.legs.hangup(leg, cause=26)
            return
        self._connect(ex, call, leg)

    def _connect(self, ex: Exchange, call: Call, leg: Leg) -> None:
        # RFC 3326: the phones that stop ringing must not show a missed call.
        self._release(ex, call, keep=leg.id, cause=26, reason="Call completed elsewhere")
        ex.cancel_timer(call, self, "round")
        call.legs[self.anchor].waiting = ""
        if self.joins:
            self.legs = []
            ex.pop(call, self, Result(kind="answered", leg=leg.id))
        else:
            ex.replace(call, self, Talk(call=call.id, legs=[self.anchor, leg.id]))

    def deflect(self, ex: Exchange, call: Call, destination: str) -> None:
        """One of the phones sends the call elsewhere."""
        self._release(ex, call, cause=16, reason="Deflected")
        self.diversions = {"any": destination}
        self._fail(ex, call)

    def pick_up(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """``leg`` answers in place of the phones that ring (RFC 3891 early, call pickup)."""
        ex.legs.establish(leg, [call.legs[self.anchor]])
        ex.log(facts.Diverted(call=call.id, device=self.destination, destination=leg.device, reason="pickup"))
        self.legs.append(leg.id)
        self._connect(ex, call, leg)

    def _release(self, ex: Exchange, call: Call, *, keep: str = "", cause: int, reason: str) -> None:
        for other in self.legs:
            if other != keep:
                ex.legs.hangup(call.legs[other], cause=cause, reason=reason)
        self.legs = [keep] if keep else []

    def digit(self, ex: Exchange, call: Call, leg: Leg, digit: str) -> None:
        if leg.id == self.confirming and digit == self.confirm_digit:
            self._connect(ex, call, leg)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        self.legs.remove(leg.id)
        if leg.id == self.confirming:
            self.confirming = ""
        if leg.id == self.early:
            self.early = ""
            call.talkers = [talker for talker in call.talkers if talker != leg.id]
            ex.touch(call)
        self._note_failure(event)
        current = self.rounds[self.round]
        decided = event.status in current.technical or not current.failover
        if event.status == 603 or (event.status in _BUSY and not decided):
            del self.rounds[self.round + 1 :]
        if not self.legs:
            ex.cancel_timer(call, self, "round")
            if not decided:
                del self.rounds[self.round + 1 :]
            self._next_round(ex, call)

    def _note_failure(self, event: Ended) -> None:
        """Keep the most telling reason: a refusal by a person before a technical failure before silence."""
        status = event.status or 480
        if status in (486, 600, 603) or self.status not in (486, 600, 603):
            self.status, self.cause, self.reason = status, event.cause, event.reason

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.ended(ex, call, leg, Ended(leg=leg.id, by="local", status=503, cause=34, reason="no media port"))

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        if name.startswith("delayed-"):
            self._ring(ex, call, self.rounds[self.round].targets[int(name[8:])])
        elif name == "round":
            self.status, self.cause, self.reason = 480, 19, "no answer"
            # A phone that vanished would take half a minute to confirm the CANCEL: nobody waits for that.
            self._release(ex, call, cause=19, reason="No answer")
            self._next_round(ex, call)

    def done(self, ex: Exchange, call: Call, result: Result) -> None:
        ex.pop(call, self, result)

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        ex.cancel_timer(call, self, "round")
        self._release(ex, call, cause=16, reason="")
        call.legs[self.anchor].waiting = ""

    def resume(self, ex: Exchange, call: Call) -> None:
        """Nobody rings any more: this round is rung again."""
        self.legs = [leg for leg in self.legs if call.legs[leg].state == "connected"]
        self.early = ""
        if not self.legs:
            self.confirming = ""
            self.round -= 1
            self._next_round(ex, call)

    def describe(self) -> dict[str, Any]:
        return {"stage": "ringing", "destination": self.destination}
