"""Click to dial: the agent's own phone first, then whom he wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pbx.app.sessions.base import Session
from pbx.app.sessions.dial import Target
from pbx.call.model import Call, Leg
from pbx.events import catalogue as facts
from pbx.sip.events import Ended, Ringing

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

RING_SECONDS = 30.0


class Click(Session, kw_only=True):
    """Rings the phones of one device; the first that answers becomes the caller."""

    device: str
    agent: str
    destination: str
    legs: list[str] = []

    def owns(self, leg: str) -> bool:
        return leg in self.legs

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        if leg.state == "dialing":
            leg.state = "alerting"
            ex.log(facts.Delivered(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        call.anchor = leg.id
        call.answered_at = ex.wall
        for other in self.legs:
            if other != leg.id:
                ex.legs.hangup(call.legs[other], cause=26, reason="Call completed elsewhere")
        self.legs = [leg.id]
        plan = ex.router.plan(call, self.destination, by=self.device, anchor=leg)
        if plan is not None:
            leg.waiting = "ringback"
            ex.log(facts.Routed(call=call.id, destination=self.destination, rule="click to dial"))
            self.legs = []
            ex.replace(call, self, plan.session)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        self.legs.remove(leg.id)
        if not self.legs:
            ex.end_call(call, status=event.status or 480, cause=event.cause, reason="the own phone did not answer")

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.ended(ex, call, leg, Ended(leg=leg.id, by="local", status=503, cause=34, reason="no media port"))

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        for leg in self.legs:
            ex.legs.hangup(call.legs[leg], cause=16)
        self.legs = []

    def needs_leg(self) -> bool:
        return False

    def resume(self, ex: Exchange, call: Call) -> None:
        """Its own phone, which rang, is rung again."""
        self.ring(ex, call)

    def ring(self, ex: Exchange, call: Call) -> str:
        """Ring the phones of the device. Empty, or why that is not possible (the call is over then)."""
        target = Target(
            device=self.device, number=self.device.partition(":")[2], caller=self.destination.rpartition(":")[2]
        )
        self.legs, failure = ex.legs.dial(call, target, timeout=RING_SECONDS, agent=self.agent)
        if not self.legs:
            reason = failure[2] if failure else "unreachable"
            ex.end_call(call, status=480, cause=20, reason=reason)
            return reason
        call.anchor = self.legs[0]
        return ""

    def describe(self) -> dict[str, Any]:
        return {"stage": "click to dial", "destination": self.destination}


def begin_click(ex: Exchange, call: Call, device: str, agent: str, destination: str) -> str:
    """Start a click-to-dial call. Empty, or why the phone cannot be called (the call is over then)."""
    session = Click(call=call.id, device=device, agent=agent, destination=destination)
    ex.push(call, session)
    return session.ring(ex, call)
