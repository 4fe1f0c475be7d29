"""Agents and queues: the ACD's inputs from calls and desks, and what its outputs mean for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pbx.acd import messages as acd
from pbx.app.queueing.last_agents import LastAgents
from pbx.app.sessions.queue import Queue
from pbx.call.model import Call, Leg
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

PREFERRED_S = 30.0
"""A call waits so long for the agents it prefers, while one of them is at work."""


class AgentControl:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._offers: dict[str, tuple[str, float]] = {}
        """Call and time of every open offer."""
        self._direct: dict[str, str] = {}
        """Agents who are busy with a call of no queue, and the leg."""
        self.last = LastAgents(ex)

    def take(self, outputs: Sequence[Any]) -> None:
        self._ex.inbox.extend(outputs)

    # --- from calls -------------------------------------------------------------------------------------------

    def enqueue(self, call: Call, session: Queue) -> None:
        ex = self._ex
        entry = ex.settings.configuration.queues.get(session.queue)
        call.entries += 1
        # An agent may still hold the call's first item while the call is sent to a queue again.
        session.item = call.id if call.entries == 1 else f"{call.id}#{call.entries}"
        preferred = session.agents
        if not preferred and entry is not None and (last := self.last.find(call.caller, entry.last_agent)):
            preferred = (last,)
        owed = ex.callbacks.take_place(call.caller, session.queue)
        if owed is None and call.waited is not None:
            # From queue to queue by key, flow or transfer: who was not served yet has waited since then.
            owed = call.waited.since
        item = acd.WorkItem(
            id=session.item,
            caller=call.caller,
            tier=call.data.get("tier", ""),
            priority=max(0, min(100, session.priority or call.priority)),
            vip=call.data.get("vip", "") not in ("", "0", "no", "false"),
            skills=session.skills,
            language=session.language,
            preferred_agents=preferred,
            preferred_s=PREFERRED_S if preferred else 0.0,
            data=dict(call.data),
            entered_at=None if owed is None else owed - ex.epoch,
        )
        ex.hours.expire()
        self.take(ex.acd.enqueue(item, session.queue, ex.now))

    def withdraw(self, item: str, reason: acd.LeaveReason) -> None:
        if self._ex.acd.view_item(item, self._ex.now) is not None:
            self.take(self._ex.acd.withdraw(item, reason, self._ex.now))

    def accept(self, offer: str, leg: Leg) -> None:
        self.take(self._ex.acd.accept(offer, self._ex.now))

    def decline(self, offer: str, reason: str) -> None:
        self.take(self._ex.acd.decline(offer, reason, self._ex.now))  # type: ignore[arg-type]

    def finished(self, agent: str, item: str) -> None:
        self.take(self._ex.acd.finished(agent, item, self._ex.now))

    # --- phones -----------------------------------------------------------------------------------------------

    def leg_started(self, call: Call, leg: Leg) -> None:
        """A logged-on agent's phone that is in a call of no queue makes the agent busy."""
        if leg.offer or leg.kind != "extension":
            return
        agent = self._ex.acd.agent_at(leg.device)
        if not agent:
            return
        if not leg.agent and leg.direction == "in":
            leg.agent = agent
        if agent not in self._direct and leg.direction == "in":
            self._direct[agent] = leg.id
            self.take(self._ex.acd.busy(agent, leg.id, self._ex.now))

    def leg_answered(self, leg: Leg) -> None:
        """The same for a call that came to the phone, once it is answered."""
        if leg.offer or leg.kind != "extension" or leg.direction == "in":
            return
        agent = self._ex.acd.agent_at(leg.device)
        if agent and agent not in self._direct:
            leg.agent = leg.agent or agent
            self._direct[agent] = leg.id
            self.take(self._ex.acd.busy(agent, leg.id, self._ex.now))

    def leg_ended(self, call: Call, leg: Leg) -> None:
        for agent, busy in list(self._direct.items()):
            if busy == leg.id:
                del self._direct[agent]
                self.take(self._ex.acd.finished(agent, leg.id, self._ex.now))

    def adopt(self, leg: Leg) -> None:
        """After a restart: who was busy with a call of no queue still is."""
        agent = self._ex.acd.agent_at(leg.device)
        if agent and leg.id in self._ex.acd.view_agent(agent).items:
            self._direct[agent] = leg.id

    def phone_changed(self, extension: str) -> None:
        """A phone registered or is gone: its agent can be reached, or not."""
        ex = self._ex
        agent = ex.acd.agent_at(f"extension:{extension}")
        if agent:
            reachable = bool(ex.registrar.contacts(extension, ex.now))
            self.take(ex.acd.device_available(agent, reachable, ex.now))

    def device_of(self, agent: str) -> str:
        """The phone ``agent`` is logged on at, or the usual one; empty if there is none."""
        try:
            device = self._ex.acd.view_agent(agent).device
        except KeyError:
            return ""
        if device:
            return device
        entry = self._ex.settings.configuration.agents.get(agent)
        return f"extension:{entry.extension}" if entry and entry.extension else ""

    # --- from desks and feature codes -------------------------------------------------------------------------

    def log_on(self, agent: str, device: str, ready: bool | None = None) -> str:
        """Log on; empty if it was done, else the reason why not."""
        ex = self._ex
        device = device or self.device_of(agent)
        outputs = ex.acd.log_on(agent, device, ex.now, ready)
        refused = _rejection(outputs)
        self.take(outputs)
        if not refused:
            extension = device.partition(":")[2]
            if device.startswith("extension:") and not ex.registrar.contacts(extension, ex.now):
                self.take(ex.acd.device_available(agent, False, ex.now))
        return refused

    def log_off(self, agent: str, forced: bool = False) -> str:
        return self._apply(self._ex.acd.log_off(agent, self._ex.now, forced))

    def set_state(self, agent: str, state: Literal["ready", "not_ready"], reason: str) -> str:
        return self._apply(self._ex.acd.set_state(agent, state, reason, self._ex.now))

    def wrap_up(self, agent: str, disposition: str = "", note: str = "") -> str:
        return self._apply(self._ex.acd.wrap_up(agent, self._ex.now, disposition, note))

    def extend_wrap_up(self, agent: str, seconds: float) -> str:
        return self._apply(self._ex.acd.extend_wrap_up(agent, seconds, self._ex.now))

    def move(self, item: str, queue: str) -> str:
        return self._apply(self._ex.acd.move(item, queue, self._ex.now))

    def pull(self, item: str, agent: str) -> str:
        return self._apply(self._ex.acd.pull(item, agent, self._ex.now))

    def set_queue_open(self, queue: str, is_open: bool) -> str:
        return self._apply(self._ex.acd.set_queue_open(queue, is_open, self._ex.now))

    def _apply(self, outputs: Sequence[Any]) -> str:
        self.take(outputs)
        return _rejection(outputs)

    # --- what the ACD says ------------------------------------------------------------------------------------

    def handle(self, event: acd.AnyOutput) -> None:
        self._ex.recovery.floor_changed()
        if self._ex.callbacks.owns(event):
            self._ex.callbacks.handle(event)
            return
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _call_of(self, item: str) -> str:
        """The call that a work item stands for."""
        return self._ex.callbacks.call_of(item) or item.partition("#")[0]

    def _session(self, item: str) -> tuple[Call, Queue] | None:
        call = self._ex.calls.get(self._call_of(item))
        if call is None:
            return None
        for session in reversed(self._ex.stack_of(call)):
            if isinstance(session, Queue) and session.item == item:
                return call, session
        return None

    def _queued(self, event: acd.Queued) -> None:
        self._ex.log(
            facts.Queued(
                call=self._call_of(event.item),
                item=event.item,
                queue=event.queue,
                priority=event.priority,
                position=event.position,
                skills=event.skills,
                entry=event.entry,
            )
        )
        found = self._session(event.item)
        if found is not None:
            found[0].queue = event.queue
            found[1].queued(self._ex, found[0], event)

    def log_offer(self, call: str, event: acd.Offer) -> None:
        self._offers[event.offer] = (event.item, self._ex.now)
        self._ex.log(
            facts.AgentOffered(
                call=call,
                item=event.item,
                queue=event.queue,
                agent=event.agent,
                offer=event.offer,
                why=event.why.to_data(),
            )
        )

    def log_offer_end(
        self, call: str, event: acd.OfferWithdrawn | acd.Assigned, result: Literal["accepted"] | acd.OfferEnd
    ) -> None:
        """Nothing is said of an offer that was never stated, or is over."""
        if self._offers.pop(event.offer, None) is None and result != "accepted":
            return
        self._ex.log(
            facts.OfferEnded(
                call=call,
                item=event.item,
                queue=event.queue,
                agent=event.agent,
                offer=event.offer,
                result=result,
                ringing_s=event.ringing_s,
            )
        )

    def _offer(self, event: acd.Offer) -> None:
        self.log_offer(self._call_of(event.item), event)
        found = self._session(event.item)
        if found is not None:
            found[1].offered(self._ex, found[0], event)
        elif event.callback:
            self.withdraw(event.item, "lost")  # nobody is owed it: the ACD was written down before it was over
        else:
            self.decline(event.offer, "failed")

    def _withdrawn(self, event: acd.OfferWithdrawn) -> None:
        self.log_offer_end(self._call_of(event.item), event, event.result)
        found = self._session(event.item)
        if found is not None:
            found[1].withdrawn(self._ex, found[0], event)

    def _assigned(self, event: acd.Assigned) -> None:
        ex = self._ex
        call = self._call_of(event.item)
        self.log_offer_end(call, event, "accepted")
        ex.log(
            facts.QueueLeft(
                call=call,
                item=event.item,
                queue=event.queue,
                reason="answered",
                waited_s=round(event.waited_s, 3),
                agent=event.agent,
                entry=event.entry,
            )
        )
        found = self._session(event.item)
        if found is not None:
            found[1].assigned(ex, found[0], event)
        else:
            self.finished(event.agent, event.item)

    def _left(self, event: acd.QueueLeft) -> None:
        self._ex.log(
            facts.QueueLeft(
                call=self._call_of(event.item),
                item=event.item,
                queue=event.queue,
                reason=event.reason,
                waited_s=round(event.waited_s, 3),
                entry=event.entry,
            )
        )

    def _overflowed(self, event: acd.Overflowed | acd.Refused) -> None:
        found = self._session(event.item)
        if found is None or event.destination.startswith("queue:"):
            return  # the ACD enters it there by itself
        found[1].left(self._ex, found[0], event)

    def _announce(self, event: acd.AnnouncePosition) -> None:
        self._ex.log(
            facts.PositionAnnounced(
                call=self._call_of(event.item),
                queue=event.queue,
                position=event.position,
                estimated_wait_s=round(event.estimated_wait_s, 1),
            )
        )
        found = self._session(event.item)
        if found is not None:
            found[1].announce(self._ex, found[0], event)

    def _logged_on(self, event: acd.AgentLoggedOn) -> None:
        self._ex.log(facts.AgentLoggedOn(agent=event.agent, device=event.device))

    def _logged_off(self, event: acd.AgentLoggedOff) -> None:
        self._ex.log(facts.AgentLoggedOff(agent=event.agent, reason=event.reason))

    def _state(self, event: acd.AgentStateChanged) -> None:
        ex = self._ex
        if event.state == "ready":
            ex.log(facts.AgentReady(agent=event.agent))
        elif event.state == "not_ready":
            ex.log(facts.AgentNotReady(agent=event.agent, reason=event.reason))
        elif event.state == "ringing":
            ex.log(facts.AgentRinging(agent=event.agent, item=event.item))
        elif event.state == "talking":
            ex.log(facts.AgentBusy(agent=event.agent, item=event.item))
        elif event.state == "after_call_work":
            until = None if event.until is None else round(event.until - event.since, 3)
            ex.log(facts.AgentWorkingAfterCall(agent=event.agent, item=event.item, until_s=until))

    def _queue_state(self, event: acd.QueueStateChanged) -> None:
        self._ex.log(facts.QueueStateChanged(queue=event.queue, open=event.open, reason=event.reason))

    def _wrapped(self, event: acd.WrapUpCompleted) -> None:
        self._ex.log(
            facts.WrapUpCompleted(agent=event.agent, item=event.item, disposition=event.disposition, note=event.note)
        )

    def _deadline(self, event: acd.AgentDeadlineMissed) -> None:
        self._ex.log(
            facts.AgentOverstayed(
                agent=event.agent,
                state=event.state,
                reason=event.reason,
                item=event.item,
                lasted_s=round(event.lasted_s, 3),
            )
        )
        self._ex.note(
            "warning",
            "agent too long in a state",
            self._call_of(event.item) if self._call_of(event.item) in self._ex.calls else "",
            agent=event.agent,
            state=event.state,
            reason=event.reason,
            seconds=round(event.lasted_s),
        )
        if (
            event.state == "talking"
            and self._call_of(event.item) not in self._ex.calls
            and event.item not in self._ex.leg_calls
        ):
            self.finished(event.agent, event.item)


def _rejection(outputs: Sequence[Any]) -> str:
    return next((output.reason for output in outputs if isinstance(output, acd.Rejected)), "")


_HANDLERS: dict[type, Any] = {
    acd.Queued: AgentControl._queued,
    acd.Offer: AgentControl._offer,
    acd.OfferWithdrawn: AgentControl._withdrawn,
    acd.Assigned: AgentControl._assigned,
    acd.QueueLeft: AgentControl._left,
    acd.Overflowed: AgentControl._overflowed,
    acd.Refused: AgentControl._overflowed,
    acd.AnnouncePosition: AgentControl._announce,
    acd.AgentLoggedOn: AgentControl._logged_on,
    acd.AgentLoggedOff: AgentControl._logged_off,
    acd.AgentStateChanged: AgentControl._state,
    acd.QueueStateChanged: AgentControl._queue_state,
    acd.WrapUpCompleted: AgentControl._wrapped,
    acd.AgentDeadlineMissed: AgentControl._deadline,
}
