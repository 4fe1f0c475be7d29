"""The ACD: one object, driven alike by the server, the simulator and the tests.

Every method takes ``now`` (monotonic seconds, never going back) and returns its outputs in order; what is not
possible comes back as a ``Rejected`` (or ``Refused``) and changes nothing. The driver calls ``expire(now)`` when
``next_deadline()`` has come.

```
 enqueue ─► Queued ─► Offer ─► accept ──► Assigned ─► finished ─► after-call work ─► ready
                │       └─ decline, ring_until ─► OfferWithdrawn, and the item keeps its place
                └─ withdraw, deadlines ─► QueueLeft (and Overflowed)
```
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pbx.core.ids import IdSource
from pbx.core.timers import Deadline

from . import agents, callbacks, items, offers, reconciling, snapshots, views
from .entering import enter
from .floor import Floor, install
from .matching import run
from .messages import AnyOutput, DeclineReason, LeaveReason, WorkItem
from .model import AcdConfig
from .records import Agent, Work


class Acd:
    """Work items, queues, skills and agents; see the module for the flow."""

    __slots__ = ("floor",)

    def __init__(self, config: AcdConfig, ids: IdSource) -> None:
        """Raises ValueError if the configuration contradicts itself."""
        self.floor = Floor(ids)
        """The live records; for the modules beside this one and for checks, not for drivers."""
        install(self.floor, config)

    # --- configuration -----------------------------------------------------------------------------------------

    def configure(self, config: AcdConfig, now: float) -> list[AnyOutput]:
        """Take over a new configuration. Items and agents go on: those of a removed queue overflow (``closed``),
        removed agents are logged off after what they hold.

        Raises ValueError if the configuration contradicts itself; the old one stays then.
        """
        floor = self.floor
        gone_queues, gone_agents = install(floor, config)
        for item in floor.items.values():
            items.refit(floor, item, now)
        for queue in gone_queues:
            items.clear_queue(floor, queue, now)
        for agent in gone_agents:
            self._leave(agent, "removed", False, now)
        for agent in floor.agents.values():
            agents.settle(floor, agent, now)
            agents.set_deadline(floor, agent)
        for queue in floor.queues.values():
            agents.watch_presence(floor, queue, now)
        floor.unmatched.extend(sorted(floor.items.values(), key=lambda item: item.place[:2]))
        return self._finish(now)

    def set_queue_open(
        self, queue: str, is_open: bool, now: float, reason: Literal["closed", "holiday"] = "closed"
    ) -> list[AnyOutput]:
        """By hand: closed or open until :meth:`set_hours` says something new. Newcomers of a closed queue are refused
        with the reason; those who wait stay or overflow as the queue is configured."""
        record = self.floor.queues.get(queue)
        if record is None:
            return self._reject("set_queue_open", queue, "unknown_queue")
        items.open_queue(self.floor, record, is_open, reason, now)
        return self._finish(now)

    def set_hours(
        self, queue: str, is_open: bool, now: float, reason: Literal["closed", "holiday"] = "closed"
    ) -> list[AnyOutput]:
        """By the service hours; may be told again and again, and only a change counts, so that a supervisor's hand
        lasts until the next one."""
        record = self.floor.queues.get(queue)
        if record is None:
            return self._reject("set_hours", queue, "unknown_queue")
        hours = is_open, "" if is_open else reason
        if record.hours != hours:
            record.hours = hours
            items.open_queue(self.floor, record, is_open, reason, now)
        return self._finish(now)

    def reset_counts(self, now: float) -> list[AnyOutput]:
        """Start the counts of items per agent anew, at the start of a day."""
        floor = self.floor
        for agent in floor.agents.values():
            agent.calls = 0
            for seat in agent.seats.values():
                seat.queue_calls = 0
            agents.settle_again(floor, agent, now)
        return self._finish(now)

    # --- items -------------------------------------------------------------------------------------------------

    def enqueue(self, item: WorkItem, queue: str, now: float) -> list[AnyOutput]:
        """Queued, and an Offer if somebody is free; or Refused."""
        enter(self.floor, item, queue, now, now if item.entered_at is None else min(item.entered_at, now))
        return self._finish(now)

    def withdraw(self, item: str, reason: LeaveReason, now: float) -> list[AnyOutput]:
        """The item leaves its queue without an answer."""
        record = self.floor.items.get(item)
        if record is None:
            return self._reject("withdraw", item, "unknown_item")
        items.withdraw(self.floor, record, reason, now)
        return self._finish(now)

    def move(self, item: str, queue: str, now: float) -> list[AnyOutput]:
        """To another queue, with the waited time kept."""
        record = self.floor.items.get(item)
        if record is None:
            return self._reject("move", item, "unknown_item")
        items.move(self.floor, record, queue, now)
        return self._finish(now)

    def pull(self, item: str, agent: str, now: float) -> list[AnyOutput]:
        """A supervisor gives a waiting item to a ready agent, whatever its place."""
        record, who = self.floor.items.get(item), self.floor.agents.get(agent)
        if record is None or who is None:
            return self._reject("pull", item, "unknown_item" if record is None else "unknown_agent")
        items.pull(self.floor, record, who, now)
        return self._finish(now)

    def set_calling(self, queue: str, allowed: bool, now: float) -> list[AnyOutput]:
        """Whether customers of the queue may be called back now; where not, callbacks keep their place unoffered."""
        record = self.floor.queues.get(queue)
        if record is None:
            return self._reject("set_calling", queue, "unknown_queue")
        callbacks.set_calling(self.floor, record, allowed)
        return self._finish(now)

    def callback_reached(self, item: str, now: float) -> list[AnyOutput]:
        """The customer of an accepted or offered callback is on the line: from now on it is an item like any other."""
        callbacks.reach(self.floor, item, now)
        return self._finish(now)

    def callback_failed(self, item: str, now: float) -> list[AnyOutput]:
        """The customer of an accepted or offered callback was not reached: CallbackDeferred, or QueueLeft for good."""
        callbacks.fail(self.floor, item, now)
        return self._finish(now)

    # --- offers ------------------------------------------------------------------------------------------------

    def accept(self, offer: str, now: float) -> list[AnyOutput]:
        """The agent answered: Assigned; or OfferWithdrawn (``too_late``), and his phone is to be released."""
        offers.accept(self.floor, offer, now)
        return self._finish(now)

    def decline(self, offer: str, reason: DeclineReason, now: float) -> list[AnyOutput]:
        """The agent's phone refused or failed. No answer in time is noticed by the ACD itself."""
        offers.decline(self.floor, offer, reason, now)
        return self._finish(now)

    # --- agents ------------------------------------------------------------------------------------------------

    def log_on(self, agent: str, device: str, now: float, ready: bool | None = None) -> list[AnyOutput]:
        """Log on at a phone (empty: the agent's usual one); ``ready`` overrides ``ready_on_log_on``."""
        floor = self.floor
        who = floor.agents.get(agent)
        if who is None or who.removed:
            return self._reject("log_on", agent, "unknown_agent")
        device = device or who.config.device
        if not device:
            return self._reject("log_on", agent, "no_device")
        agents.log_on(floor, who, device, floor.config.ready_on_log_on if ready is None else ready, now)
        return self._finish(now)

    def log_off(self, agent: str, now: float, forced: bool = False) -> list[AnyOutput]:
        """Log off: after what the agent holds, or at once if forced (the call he is in goes on without the ACD)."""
        who = self._logged_on("log_off", agent)
        if who is not None:
            self._leave(who, "forced" if forced else "", forced, now)
        return self._finish(now)

    def set_state(self, agent: str, state: Literal["ready", "not_ready"], reason: str, now: float) -> list[AnyOutput]:
        """Ready (which ends after-call work), or not ready with a reason: while ringing this declines, while busy it
        waits for the end."""
        floor = self.floor
        who = self._logged_on("set_state", agent)
        if who is None:
            return self._finish(now)
        if state == "ready":
            after = who.after_call
            if after is not None:
                if after.queue.config.disposition_required and not after.disposition:
                    return self._reject("set_state", agent, "disposition_required")
                agents.end_after_call(floor, who, "", "", False, now)
            agents.wish_ready(floor, who, now)
            return self._finish(now)
        refused = agents.judge_reason(floor, who, reason)
        if refused:
            return self._reject("set_state", agent, refused)
        who.ready_wanted, who.wanted_reason = False, reason
        self._end_offers(who, "declined", "agent_not_ready", now)
        agents.wish_not_ready(floor, who, reason, now)
        return self._finish(now)

    def device_available(self, agent: str, available: bool, now: float) -> list[AnyOutput]:
        """The phone is reachable, or it is not: then nothing is offered (``not_ready``, ``device_unreachable``)."""
        who = self._logged_on("device_available", agent)
        if who is not None and who.device_ok != available:
            who.device_ok = available
            if not available:
                self._end_offers(who, "unreachable", "unreachable", now)
            elif who.pause_until is not None and who.pause_reason == "device_failed":
                who.pause_until = None
            agents.settle(self.floor, who, now)
        return self._finish(now)

    def busy(self, agent: str, item: str, now: float) -> list[AnyOutput]:
        """The agent is in a call of no queue: he counts as talking until ``finished``."""
        floor = self.floor
        who = self._logged_on("busy", agent)
        if who is None:
            return self._finish(now)
        if item in floor.items or item in floor.holders:
            return self._reject("busy", agent, "duplicate")
        who.work[item] = work = Work(item, "voice", None, now, None)
        floor.holders[item] = (who, work)
        self._end_offers(who, "withdrawn", "agent_busy", now)
        agents.settle(floor, who, now)
        return self._finish(now)

    def finished(self, agent: str, item: str, now: float) -> list[AnyOutput]:
        """The agent is done talking: after-call work, or ready again."""
        who = self.floor.agents.get(agent)
        if who is None:
            return self._reject("finished", agent, "unknown_agent")
        items.finish(self.floor, who, item, now)
        return self._finish(now)

    def wrap_up(self, agent: str, now: float, disposition: str = "", note: str = "") -> list[AnyOutput]:
        """End the after-call work; the disposition is checked against the queue's."""
        floor = self.floor
        who = floor.agents.get(agent)
        after = None if who is None else who.after_call
        if who is None or after is None:
            return self._reject("wrap_up", agent, "no_after_call_work")
        config = after.queue.config
        if disposition and config.dispositions and disposition not in config.dispositions:
            return self._reject("wrap_up", agent, "unknown_disposition")
        if config.disposition_required and not (disposition or after.disposition):
            return self._reject("wrap_up", agent, "disposition_required")
        agents.end_after_call(floor, who, disposition, note, False, now)
        agents.settle(floor, who, now)
        return self._finish(now)

    def set_disposition(self, agent: str, item: str, disposition: str, note: str, now: float) -> list[AnyOutput]:
        """Note the result while still talking or in after-call work, without ending either."""
        who = self.floor.agents.get(agent)
        held = None if who is None else who.work.get(item)
        after = None if who is None else who.after_call
        record = after if after is not None and after.item == item else held
        if record is None or record.queue is None:
            return self._reject("set_disposition", agent, "not_served_by_agent")
        known = record.queue.config.dispositions
        if disposition and known and disposition not in known:
            return self._reject("set_disposition", agent, "unknown_disposition")
        record.disposition, record.note = disposition, note
        return self._finish(now)

    def extend_wrap_up(self, agent: str, seconds: float, now: float) -> list[AnyOutput]:
        """More time for the after-call work, within the queue's limit."""
        who = self.floor.agents.get(agent)
        after = None if who is None else who.after_call
        if who is None or after is None:
            return self._reject("extend_wrap_up", agent, "no_after_call_work")
        if seconds <= 0 or after.until >= after.limit_at:
            return self._reject("extend_wrap_up", agent, "limit_reached" if seconds > 0 else "no_time")
        after.until = min(after.until + seconds, after.limit_at)
        agents.settle(self.floor, who, now)
        return self._finish(now)

    # --- time --------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Deadline | None:
        """When ``expire`` is due next, and what for."""
        due = self.floor.timers.peek()
        return None if due is None else Deadline(due[0], f"{due[1][0]} {due[1][1]}")

    def expire(self, now: float) -> list[AnyOutput]:
        """Let everything happen that is due by ``now``, in order of time."""
        floor = self.floor
        while (key := floor.timers.pop(now)) is not None:
            kind, name = key
            if kind == "round":
                offers.expire_round(floor, floor.rounds[name], now)
            elif kind == "item":
                items.expire_item(floor, floor.items[name], now)
            elif kind == "agent":
                agents.expire_agent(floor, floor.agents[name], now)
            else:
                items.clear_queue(floor, floor.queues[name], now)
            if floor.freed or floor.unmatched:
                run(floor, now)
        return self._finish(now)

    # --- restart -----------------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> dict[str, Any]:
        """Everything live as plain data (JSON); times are relative to ``now``."""
        return snapshots.take(self.floor, now)

    def restore(self, data: dict[str, Any], now: float, downtime_s: float = 0.0) -> list[AnyOutput]:
        """Into a fresh ACD: everyone keeps state and place, and has waited ``downtime_s`` longer.

        Running offers ring on with their old ids until ``reconcile`` says which do. New ones are made after that, or
        after the next input. Raises ValueError, KeyError or msgspec.ValidationError for data of another version, and
        is as fresh as before then.
        """
        snapshots.refuse_used(self.floor)
        floor = Floor(self.floor.ids)
        install(floor, self.floor.config)
        snapshots.restore(floor, data, now, downtime_s)
        self.floor = floor
        return self._take_out()

    def reconcile(self, live_items: Collection[str], live_offers: Collection[str], now: float) -> list[AnyOutput]:
        """Compare with what is really there: items and direct calls by id, ringing offers by id.

        Items that are gone leave (``lost``) or are finished; offers that do not ring are withdrawn without blame;
        ringing offers that the ACD does not know come back as OfferWithdrawn (``too_late``).
        """
        reconciling.reconcile(self.floor, live_items, live_offers, now)
        return self._finish(now)

    # --- questions ---------------------------------------------------------------------------------------------

    def view_queue(self, queue: str, now: float) -> views.QueueView:
        """Live numbers of a queue. Raises KeyError if there is none of that name."""
        return views.view_queue(self.floor.queues[queue], now)

    def view_agent(self, agent: str) -> views.AgentView:
        """An agent's state. Raises KeyError if there is none of that id."""
        return views.view_agent(self.floor.agents[agent])

    def view_item(self, item: str, now: float) -> views.ItemView | None:
        """Where an item is; None if it is in no queue and with no agent."""
        return views.view_item(self.floor, item, now)

    @property
    def queues(self) -> tuple[str, ...]:
        return tuple(name for name, queue in self.floor.queues.items() if not queue.removed)

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(name for name, agent in self.floor.agents.items() if not agent.removed)

    def agent_at(self, device: str) -> str:
        """Who is logged on at the phone; empty if nobody is."""
        agent = self.floor.devices.get(device)
        return "" if agent is None else agent.id

    # --- inside ------------------------------------------------------------------------------------------------

    def _finish(self, now: float) -> list[AnyOutput]:
        floor = self.floor
        if floor.freed or floor.unmatched:
            run(floor, now)
        return self._take_out()

    def _take_out(self) -> list[AnyOutput]:
        out, self.floor.out = self.floor.out, []
        return out

    def _reject(self, command: str, subject: str, reason: str) -> list[AnyOutput]:
        items.reject(self.floor, command, subject, reason)
        return self._take_out()

    def _logged_on(self, command: str, agent: str) -> Agent | None:
        who = self.floor.agents.get(agent)
        if who is None:
            items.reject(self.floor, command, agent, "unknown_agent")
        elif not who.device:
            items.reject(self.floor, command, agent, "logged_off")
        else:
            return who
        return None

    def _end_offers(
        self, agent: Agent, result: Literal["declined", "unreachable", "withdrawn"], reason: str, now: float
    ) -> None:
        for offer in tuple(agent.offers.values()):
            offers.end_offer(self.floor, offer, result, reason, now)

    def _leave(self, agent: Agent, reason: str, forced: bool, now: float) -> None:
        if not agent.device:
            return
        agent.ready_wanted = False
        self._end_offers(agent, "withdrawn", "agent_left", now)
        if forced or not (agent.work or agent.after_call):
            agents.log_off(self.floor, agent, reason, now)
        else:
            agents.wish_log_off(self.floor, agent, now)
