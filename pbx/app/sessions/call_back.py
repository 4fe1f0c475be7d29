"""A customer who left his place in a queue to be called: the agent first, or the customer first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pbx.acd.messages import Assigned, Offer, OfferWithdrawn
from pbx.app.sessions.base import Result, Session
from pbx.app.sessions.dial import Round
from pbx.app.sessions.queue import Queue, drop_phone, release_phones, ring_agent, take_answered
from pbx.app.sessions.talk import Talk
from pbx.events import catalogue as facts
from pbx.sip.events import Ended, Ringing

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg

_REASONS = {486: "busy", 600: "busy", 603: "rejected", 480: "no_answer", 408: "no_answer", 487: "no_answer"}


class AgentFirst(Session, kw_only=True):
    """Rings the agents it is offered to; the one who accepts hears the customer's phone ring."""

    item: str
    agent: str = ""
    leg: str = ""
    """The agent's, once he accepted."""
    reached: bool = False
    offers: dict[str, list[str]] = {}
    """Legs that ring, by offer."""

    def owns(self, leg: str) -> bool:
        return any(leg in legs for legs in self.offers.values()) or (leg == self.leg and not self.reached)

    # --- what the ACD says --------------------------------------------------------------------------------------

    def offered(self, ex: Exchange, call: Call, event: Offer) -> None:
        ring_agent(ex, call, self.offers, event, caller=call.called)

    def withdrawn(self, ex: Exchange, call: Call, event: OfferWithdrawn) -> None:
        release_phones(ex, call, self.offers.pop(event.offer, []), event.reason == "taken")
        if not self.offers and not self.leg:
            ex.end_call(call, status=480, cause=19, reason="no agent took the callback")

    def assigned(self, ex: Exchange, call: Call, event: Assigned) -> None:
        answered = take_answered(ex, call, self.offers.pop(event.offer, []))
        self.agent, self.leg = event.agent, answered
        if not answered:
            self._fail(ex, call, "agent_left")
            return
        leg = call.legs[answered]
        call.anchor = answered
        call.answered_at = call.answered_at or ex.wall
        call.agents.append(event.agent)
        dial = ex.callbacks.dial(call, self.item, leg)
        if dial is None:
            self._fail(ex, call, "failed")
            return
        leg.waiting = "ringback"
        ex.push(call, dial)

    # --- what the phones say ------------------------------------------------------------------------------------

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        _note_ringing(ex, call, leg)

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        ex.agents.accept(leg.offer, leg)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        if leg.id == self.leg:
            self._fail(ex, call, "agent_left")
        else:
            drop_phone(ex, self.offers, leg, event)

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.ended(ex, call, leg, Ended(leg=leg.id, by="local", status=503, cause=34, reason="no media port"))

    def done(self, ex: Exchange, call: Call, result: Result) -> None:
        talk = ex.top(call)
        if result.kind == "answered" and isinstance(talk, Talk):
            self.reached = True
            talk.item, talk.agent = self.item, self.agent
            ex.callbacks.reached(call, self.item, self.agent)
        elif self.reached:
            ex.end_call(call, cause=16, reason=result.reason)
        else:
            self._fail(ex, call, _REASONS.get(result.status, "failed"))

    def _fail(self, ex: Exchange, call: Call, reason: str) -> None:
        self.reached = True
        ex.callbacks.failed(call, self.item, reason)
        ex.end_call(call, cause=16, reason=f"customer not reached: {reason}", outcome="no_answer")

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        for offer, legs in list(self.offers.items()):
            release_phones(ex, call, legs, False)
            ex.agents.decline(offer, "failed")
        self.offers = {}
        if self.leg and not self.reached:
            self.reached = True
            ex.callbacks.failed(call, self.item, "failed")

    def resume(self, ex: Exchange, call: Call) -> None:
        """Phones that rang do so no more, and the ACD offers it again; where an agent had accepted, the dialling above
        goes on."""
        self.offers = {}
        if not self.leg:
            ex.end_call(call, status=503, cause=41, reason="server restarted")

    def describe(self) -> dict[str, Any]:
        return {"stage": "callback", "item": self.item}


class CustomerFirst(Session, kw_only=True):
    """Rings the customer while agents are kept free for him; once he answers he is a caller in the queue."""

    item: str
    queue: str
    language: str = ""
    rounds: list[Round]
    legs: list[str] = []
    round: int = -1
    failure: str = "failed"
    waiting: dict[str, Offer] = {}
    """Offers whose phones ring once the customer is there."""

    def owns(self, leg: str) -> bool:
        return leg in self.legs

    def start(self, ex: Exchange, call: Call) -> None:
        self._next_round(ex, call)

    def _next_round(self, ex: Exchange, call: Call) -> None:
        while self.round + 1 < len(self.rounds):
            self.round += 1
            current = self.rounds[self.round]
            for target in current.targets:
                legs, failure = ex.legs.dial(call, target, timeout=current.seconds + 5)
                self.legs.extend(legs)
                if failure is not None:
                    self.failure = _REASONS.get(failure[0], "failed")
            if self.legs:
                call.anchor = self.legs[0]
                ex.set_timer(call, self, "round", current.seconds)
                return
        self._fail(ex, call)

    def _fail(self, ex: Exchange, call: Call) -> None:
        self.waiting = {}
        ex.callbacks.failed(call, self.item, self.failure)
        self.item = ""
        ex.end_call(call, cause=19, reason=f"customer not reached: {self.failure}", outcome="no_answer")

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        self.failure = "no_answer"
        self._release(ex, call)
        self._fail(ex, call)

    def _release(self, ex: Exchange, call: Call, keep: str = "") -> None:
        legs, self.legs = self.legs, [keep] if keep else []
        release_phones(ex, call, [leg for leg in legs if leg != keep], bool(keep))

    # --- what the ACD says --------------------------------------------------------------------------------------

    def offered(self, ex: Exchange, call: Call, event: Offer) -> None:
        self.waiting[event.offer] = event

    def withdrawn(self, ex: Exchange, call: Call, event: OfferWithdrawn) -> None:
        self.waiting.pop(event.offer, None)

    # --- what the phones say ------------------------------------------------------------------------------------

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        _note_ringing(ex, call, leg)

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """He waits like any caller, but with the agents reserved already."""
        self._release(ex, call, keep=leg.id)
        call.anchor = leg.id
        call.answered_at = ex.wall
        item, self.item = self.item, ""
        queue = Queue(call=call.id, queue=self.queue, anchor=leg.id, item=item, language=self.language, since=ex.wall)
        offers, self.waiting = self.waiting, {}
        ex.callbacks.on_the_line(item)
        ex.replace(call, self, queue)
        queue.greet(ex, call)
        for offer in offers.values():
            queue.offered(ex, call, offer)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        self.legs.remove(leg.id)
        if self.legs:
            return
        ex.cancel_timer(call, self, "round")
        self.failure = _REASONS.get(event.status, "failed")
        if event.status not in self.rounds[self.round].technical:
            del self.rounds[self.round + 1 :]
        self._next_round(ex, call)

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.ended(ex, call, leg, Ended(leg=leg.id, by="local", status=503, cause=34, reason="no media port"))

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        self._release(ex, call)
        if self.item:
            item, self.item = self.item, ""
            ex.callbacks.failed(call, item, "failed")

    def resume(self, ex: Exchange, call: Call) -> None:
        ex.end_call(call, status=503, cause=41, reason="server restarted")

    def describe(self) -> dict[str, Any]:
        return {"stage": "callback", "item": self.item}


def _note_ringing(ex: Exchange, call: Call, leg: Leg) -> None:
    if leg.state == "dialing":
        leg.state = "alerting"
        ex.log(facts.Delivered(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))
