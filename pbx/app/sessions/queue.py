"""A caller waits in a queue: music, announcements, and the phones of the agents it is offered to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pbx.acd.messages import (
    AnnouncePosition,
    Assigned,
    Offer,
    OfferWithdrawn,
    Overflowed,
    Queued,
    QueueLeft,
    Refused,
)
from pbx.app.sessions.base import Result, Session
from pbx.app.sessions.dial import Target
from pbx.app.sessions.talk import Talk
from pbx.call.model import Call, Waited
from pbx.events import catalogue as facts
from pbx.sip.events import Ended, Ringing

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Leg

_DECLINE = {486: "busy", 600: "busy", 603: "refused", 480: "unreachable", 408: "unreachable", 404: "unreachable"}


def ring_agent(ex: Exchange, call: Call, offers: dict[str, list[str]], event: Offer, caller: str = "") -> None:
    """Ring the phones of the agent; ``offers`` keeps which legs ring for which offer. ``caller``: shown instead of the
    call's own."""
    target = Target(device=event.device, number=event.device.partition(":")[2], caller=caller)
    timeout = max(event.ring_until - ex.now, 1.0) + 5
    legs, failure = ex.legs.dial(call, target, timeout=timeout, agent=event.agent, offer=event.offer)
    if legs:
        offers[event.offer] = legs
    else:
        status = failure[0] if failure else 480
        ex.agents.decline(event.offer, _DECLINE.get(status, "failed"))


def drop_phone(ex: Exchange, offers: dict[str, list[str]], leg: Leg, event: Ended) -> None:
    """One of the phones is gone; with the last of its offer the agent did not take it."""
    legs = offers.get(leg.offer, [])
    if leg.id in legs:
        legs.remove(leg.id)
    if not legs and offers.pop(leg.offer, None) is not None:
        ex.agents.decline(leg.offer, _DECLINE.get(event.status, "failed"))


def release_phones(ex: Exchange, call: Call, legs: list[str], taken: bool) -> None:
    """An offer is over: its phones ring no more, and show no missed call where somebody else took it."""
    for leg in legs:
        ex.legs.hangup(call.legs[leg], cause=26 if taken else 19, reason="Call completed elsewhere" if taken else "")


def take_answered(ex: Exchange, call: Call, legs: list[str]) -> str:
    """The leg that answered; the others of its offer are released. Empty if it hung up meanwhile."""
    answered = next((leg for leg in legs if call.legs[leg].state == "connected"), "")
    release_phones(ex, call, [leg for leg in legs if leg != answered], True)
    return answered


class Queue(Session, kw_only=True):
    """Serves the anchor until an agent answers, it leaves, or the queue sends it on."""

    queue: str
    anchor: str
    item: str = ""
    """The work item that stands in the ACD for the call."""
    priority: int | None = None
    skills: dict[str, int] = {}
    language: str = ""
    agents: tuple[str, ...] = ()
    """Preferred ones."""
    since: float = 0.0
    """When the wait began, wall clock."""
    prompts_played: int = 0
    offers: dict[str, list[str]] = {}
    """Legs that ring, by offer."""

    def owns(self, leg: str) -> bool:
        return any(leg in legs for legs in self.offers.values())

    def start(self, ex: Exchange, call: Call) -> None:
        anchor = call.legs[self.anchor]
        ex.legs.answer(anchor)
        self._wait(ex, call)
        self._set_prompt_timer(ex, call)
        if not self.item:
            ex.agents.enqueue(call, self)

    def _wait(self, ex: Exchange, call: Call) -> None:
        """What the caller hears: music, or ringback while a phone rings for him, if the queue wants it so."""
        entry = ex.settings.configuration.queues.get(self.queue)
        ringing = entry is not None and entry.ringback and self._is_ringing(call)
        call.legs[self.anchor].waiting = "ringback" if ringing else f"music:{ex.settings.queue_music(self.queue)}"
        ex.touch(call)

    def _is_ringing(self, call: Call) -> bool:
        return any(call.legs[leg].state == "alerting" for legs in self.offers.values() for leg in legs)

    def _set_prompt_timer(self, ex: Exchange, call: Call) -> None:
        entry = ex.settings.configuration.queues.get(self.queue)
        if entry is not None and entry.announcements.prompts:
            ex.set_timer(call, self, "prompt", max(entry.announcements.prompt_interval, 1.0))

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        """The next of the queue's prompts, unless something else is being said."""
        anchor = call.legs[self.anchor]
        if name == "prompt" and not anchor.player:
            item = ex.announcer.queue_prompt(self.queue, self.language or call.language, self.prompts_played)
            if item is not None:
                self.prompts_played += 1
                ex.play(call, anchor, (item,))
        self._set_prompt_timer(ex, call)

    # --- what the ACD says --------------------------------------------------------------------------------------

    def queued(self, ex: Exchange, call: Call, event: Queued) -> None:
        self.since = ex.epoch + event.entered_at
        if event.queue != self.queue:
            self.queue = event.queue
            self._wait(ex, call)
        self.greet(ex, call)

    def greet(self, ex: Exchange, call: Call) -> None:
        items = ex.announcer.greeting(self.queue, self.language or call.language)
        if items:
            ex.play(call, call.legs[self.anchor], items)

    def announce(self, ex: Exchange, call: Call, event: AnnouncePosition) -> None:
        items = ex.announcer.position(
            event.queue, self.language or call.language, event.position, event.estimated_wait_s
        )
        if items and not call.legs[self.anchor].player:
            ex.play(call, call.legs[self.anchor], items)

    def offered(self, ex: Exchange, call: Call, event: Offer) -> None:
        ring_agent(ex, call, self.offers, event)

    def withdrawn(self, ex: Exchange, call: Call, event: OfferWithdrawn) -> None:
        release_phones(ex, call, self.offers.pop(event.offer, []), event.reason == "taken")
        self._wait(ex, call)

    def assigned(self, ex: Exchange, call: Call, event: Assigned) -> None:
        answered = take_answered(ex, call, self.offers.pop(event.offer, []))
        if not answered:
            # The phone hung up between its answer and the ACD's word.
            ex.agents.finished(event.agent, event.item)
            ex.end_call(call, cause=16, reason="agent hung up")
            return
        self._stop_waiting(ex, call)
        call.waited = None
        call.agents.append(event.agent)
        ex.agents.last.remember(call.caller, event.agent)
        ex.replace(
            call,
            self,
            Talk(call=call.id, legs=[self.anchor, answered], item=event.item, agent=event.agent),
            Result(kind="answered", agent=event.agent, waited_s=event.waited_s),
        )

    def left(self, ex: Exchange, call: Call, event: QueueLeft | Overflowed | Refused) -> None:
        """The item is out of the queue; the ACD named where to, or the session below decides."""
        self._stop_waiting(ex, call)
        self._note_place(ex, call)
        destination = getattr(event, "destination", "")
        kind: Any = "refused" if isinstance(event, Refused) else "overflow" if isinstance(event, Overflowed) else "left"
        waited = getattr(event, "waited_s", 0.0)
        ex.pop(call, self, Result(kind=kind, reason=event.reason, destination=destination, waited_s=waited))

    def _stop_waiting(self, ex: Exchange, call: Call) -> None:
        anchor = call.legs[self.anchor]
        anchor.waiting = ""
        ex.stop_play(anchor)
        ex.touch(call)

    # --- what the phones say ------------------------------------------------------------------------------------

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        if leg.state == "dialing":
            leg.state = "alerting"
            ex.log(facts.Delivered(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))
            self._wait(ex, call)

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        ex.agents.accept(leg.offer, leg)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        drop_phone(ex, self.offers, leg, event)

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.ended(ex, call, leg, Ended(leg=leg.id, by="local", status=503, cause=34, reason="no media port"))

    def digit(self, ex: Exchange, call: Call, leg: Leg, digit: str) -> None:
        if leg.id != self.anchor:
            return
        destination = ex.settings.queue_key(self.queue, digit)
        if destination:
            self.leave(ex, call, "exit_key", destination)
        else:
            ex.digit_below(call, self, leg, digit)

    def leave(self, ex: Exchange, call: Call, reason: Any, destination: str = "") -> None:
        """The caller chose to go."""
        ex.agents.withdraw(self.item, reason)
        self._stop_waiting(ex, call)
        self._note_place(ex, call)
        ex.pop(call, self, Result(kind="left", reason=reason, destination=destination))

    def _note_place(self, ex: Exchange, call: Call) -> None:
        """Should he ask to be called back, or go to another queue, he has waited since then."""
        call.waited = Waited(
            queue=self.queue,
            since=self.since or ex.wall,
            priority=self.priority if self.priority is not None else call.priority,
            skills=self.skills,
            language=self.language,
            agents=self.agents,
        )

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        for legs in self.offers.values():
            for leg in legs:
                ex.legs.hangup(call.legs[leg], cause=16)
        self.offers = {}
        ex.agents.withdraw(self.item, "abandoned")

    def resume(self, ex: Exchange, call: Call) -> None:
        """The ACD kept the place; phones that rang for it do so no more."""
        self.offers = {}
        self._wait(ex, call)
        self._set_prompt_timer(ex, call)
        if ex.acd.view_item(self.item, ex.now) is None:
            ex.agents.enqueue(call, self)

    def describe(self) -> dict[str, Any]:
        return {"stage": "queue", "queue": self.queue}
