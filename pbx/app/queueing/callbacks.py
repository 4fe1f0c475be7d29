"""Callbacks: who asked to be called, and what the ACD says about the places that virtual callers hold for them.

A callback is a work item of its own. It enters the ACD when the call in which it was asked for is over, with the time
waited there; each offer of it begins a call (``AgentFirst``, ``CustomerFirst``). Each is kept as one small checkpoint
of its own, so that it outlives call control.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pbx.acd import messages as acd
from pbx.app.outputs import Checkpoint
from pbx.app.sessions.call_back import AgentFirst, CustomerFirst
from pbx.app.sessions.dial import Dial, Round, Target
from pbx.app.sessions.queue import Queue
from pbx.app.sessions.talk import Talk
from pbx.call.model import Call, Leg, Waited
from pbx.call.numbers import to_e164
from pbx.call.routing import External
from pbx.config.queues import CallbackOptions
from pbx.core.destination import Destination
from pbx.core.timers import Deadline
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

MAX_KEPT = 10_000
"""Callbacks at once, in all queues."""
KEY = "@callback "
"""Begins the name of a callback's checkpoint."""
HOURS_S = 60.0
"""While anybody is to be called, the calendars are looked at so often."""
_NUMBER = re.compile(r"\+?[0-9]{2,32}")
_ENDS = {
    "callback_failed": "failed",
    "callback_expired": "expired",
    "callback_cancelled": "cancelled",
}


class Kept(msgspec.Struct, kw_only=True):
    """A callback as long as it is owed."""

    id: str
    queue: str
    number: str
    call: str
    """In which it was asked for."""
    device: str
    """Where that call came from; calling back is on its account."""
    caller: str
    called: str
    """What he dialled: shown to him as the caller."""
    language: str
    data: dict[str, str] = {}
    registered_at: float
    """Wall clock, as is the next."""
    since: float
    """When the wait began that the place counts."""
    priority: int = 0
    skills: dict[str, int] = {}
    agents: tuple[str, ...] = ()
    entered: bool = False
    """In the ACD: the first call is over."""
    attempts: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class Callbacks:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self.kept: dict[str, Kept] = {}
        self._asked: dict[str, list[str]] = {}
        """Callbacks of calls that still run, by call."""
        self._calls: dict[str, str] = {}
        """The call that serves a callback's item now."""
        self._failures: dict[str, str] = {}
        """Why the last attempt failed, until the ACD says what follows."""
        self._due: float | None = None
        """When the calendars are looked at again."""

    # --- from flows -------------------------------------------------------------------------------------------

    def register(self, call: Call, queue: str, number: str, data: dict[str, Any]) -> str:
        """Keep the caller's place and call ``number`` when his turn comes. Empty, or why not.

        The place is the one he left in this call, whatever queue it was in; otherwise it begins now.
        """
        ex = self._ex
        waited = call.waited
        queue = queue or (waited.queue if waited is not None else "")
        options = self._options(queue)
        if options is None:
            return f"the queue {queue!r} calls nobody back" if queue else "the caller left no queue"
        number = re.sub(r"[\s().-]", "", number)
        if not _NUMBER.fullmatch(number):
            return "this is no number"
        device = call.legs[call.anchor].device
        written = (to_e164(number, ex.settings.country), number)
        callable_as = next((way for way in written if self._resolve(call, way, options, device) is not None), None)
        if callable_as is None:
            return "this number cannot be called"
        number = callable_as
        if any(kept.number == number and kept.queue == queue for kept in self.kept.values()):
            return ""
        if len(self.kept) >= MAX_KEPT:
            return "too many callbacks"
        waited = waited or Waited(queue=queue, since=ex.wall, priority=call.priority, language=call.language)
        kept = Kept(
            id=ex.ids.token("callback-"),
            queue=queue,
            number=number,
            call=call.id,
            device=device,
            caller=call.caller,
            called=call.called,
            language=waited.language or call.language,
            data={**call.data, **{key: str(value) for key, value in data.items()}},
            registered_at=ex.wall,
            since=waited.since,
            priority=waited.priority,
            skills=waited.skills,
            agents=waited.agents,
        )
        self._write(kept)
        self._asked.setdefault(call.id, []).append(kept.id)
        ex.log(
            facts.CallbackRegistered(
                call=call.id,
                callback=kept.id,
                queue=queue,
                number=number,
                waited_s=round(ex.wall - waited.since, 3),
            )
        )
        return ""

    def call_cleared(self, call: Call) -> None:
        """Who asked to be called has hung up: from now on his turn may come."""
        for name in self._asked.pop(call.id, ()):
            kept = self.kept.get(name)
            if kept is not None and not kept.entered:
                self._enter(kept)
        for item in [item for item, name in self._calls.items() if name == call.id]:
            del self._calls[item]

    def _enter(self, kept: Kept) -> None:
        ex = self._ex
        kept.entered = True
        self._write(kept)
        ex.agents.take(ex.acd.set_calling(kept.queue, self._may_call(kept.queue), ex.now))
        item = acd.WorkItem(
            id=kept.id,
            caller=kept.caller,
            tier=kept.data.get("tier", ""),
            vip=kept.data.get("vip", "") not in ("", "0", "no", "false"),
            priority=max(0, min(100, kept.priority)),
            skills=kept.skills,
            language=kept.language,
            preferred_agents=kept.agents,
            entered_at=kept.since - ex.epoch,
            data=kept.data,
            callback=kept.number,
        )
        ex.agents.take(ex.acd.enqueue(item, kept.queue, ex.now))

    def take_place(self, caller: str, queue: str) -> float | None:
        """A caller who is owed a callback calls the same queue himself: the place is his again, the callback over.
        Wall clock since when he waits; None if he is owed none, or is being called right now."""
        for kept in self.kept.values():
            if kept.queue == queue and caller in (kept.number, kept.caller) and kept.id not in self._calls:
                self.cancel(kept.id, "called_again")
                return kept.since
        return None

    # --- from desks -------------------------------------------------------------------------------------------

    def cancel(self, callback: str, reason: Literal["callback_cancelled", "called_again"]) -> bool:
        """False: there is none, or the customer is on the line."""
        ex = self._ex
        kept = self.kept.get(callback)
        if kept is None:
            return False
        if not kept.entered:
            self._end(kept, _ENDS.get(reason, reason))
            return True
        view = ex.acd.view_item(callback, ex.now)
        if view is None or not view.callback or view.state == "served":
            return False
        ex.agents.take(ex.acd.withdraw(callback, reason, ex.now))
        return True

    def describe(self, queues: Iterable[str]) -> list[dict[str, Any]]:
        """What is owed in these queues, the longest wait first."""
        ex, shown = self._ex, set(queues)
        found = []
        for kept in sorted(self.kept.values(), key=lambda kept: kept.since):
            if kept.queue in shown:
                view = ex.acd.view_item(kept.id, ex.now) if kept.entered else None
                found.append(
                    {
                        "callback": kept.id,
                        "queue": kept.queue,
                        "number": kept.number,
                        "call": kept.call,
                        "registered_at": kept.registered_at,
                        "waited_s": round(ex.wall - kept.since, 1),
                        "attempts": kept.attempts,
                        "state": view.state if view is not None else "registered",
                    }
                )
        return found

    # --- hours ------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Deadline | None:
        return None if self._due is None else Deadline(self._due, "hours of callbacks")

    def expire(self, now: float) -> None:
        """Look whether customers may be called now, in every queue that owes a callback."""
        if self._due is None or self._due > now:
            return
        ex = self._ex
        self._due = now + HOURS_S if self.kept else None
        for queue in {kept.queue for kept in self.kept.values()}:
            ex.agents.take(ex.acd.set_calling(queue, self._may_call(queue), ex.now))

    def _may_call(self, queue: str) -> bool:
        ex = self._ex
        entry = ex.settings.configuration.queues.get(queue)
        if entry is None or entry.callback is None:
            return False
        calendar = entry.callback.calendar or entry.calendar
        return calendar is None or ex.settings.calendar_state(calendar, ex.wall)[0] == "open"

    # --- what the ACD says ------------------------------------------------------------------------------------

    def owns(self, event: Any) -> bool:
        """Whether an output of the ACD is about a callback that is still owed."""
        return type(event) in _HANDLERS and event.item in self.kept

    def handle(self, event: Any) -> None:
        _HANDLERS[type(event)](self, self.kept[event.item], event)

    def call_of(self, item: str) -> str:
        """The call that serves a callback's item; empty if none does, or it is no callback."""
        return self._calls.get(item, "")

    def _session(self, kept: Kept) -> tuple[Call, AgentFirst | CustomerFirst | Queue] | None:
        call = self._ex.calls.get(self.call_of(kept.id))
        if call is None or call.id in self._ex.ending:
            return None
        for session in self._ex.stack_of(call):
            if isinstance(session, AgentFirst | CustomerFirst | Queue) and session.item == kept.id:
                return call, session
        return None

    def _offer(self, kept: Kept, event: acd.Offer) -> None:
        ex = self._ex
        found = self._session(kept) or self._begin(kept, event)
        call = found[0].id if found is not None else kept.call
        ex.agents.log_offer(call, event)
        if found is not None:
            found[1].offered(ex, found[0], event)
        else:
            ex.agents.decline(event.offer, "failed")

    def _begin(self, kept: Kept, event: acd.Offer) -> tuple[Call, AgentFirst | CustomerFirst] | None:
        """A call for this attempt."""
        ex = self._ex
        options = self._options(kept.queue)
        gateway = ex.media.choose()
        if options is None or not gateway or ex.stack.draining:
            return None
        call = Call(
            id=ex.ids.token("call-"),
            direction="outbound",
            caller=kept.called,
            called=kept.number,
            language=kept.language,
            gateway=gateway,
            started_at=ex.wall,
            queue=kept.queue,
            data={**kept.data, "callback": kept.id, "callback_call": kept.call},
        )
        ex.calls[call.id] = call
        self._calls[kept.id] = call.id
        ex.log(facts.ServiceInitiated(call=call.id, device=event.device, agent=event.agent, called=kept.number))
        ex.log(facts.CallInformation(call=call.id, data=dict(call.data)))
        session: AgentFirst | CustomerFirst = AgentFirst(call=call.id, item=kept.id)
        if options.first == "customer":
            rounds = self._customer_rounds(call, kept, options)
            session = CustomerFirst(call=call.id, item=kept.id, queue=kept.queue, language=kept.language, rounds=rounds)
        ex.push(call, session)
        return call, session

    def _withdrawn(self, kept: Kept, event: acd.OfferWithdrawn) -> None:
        ex = self._ex
        found = self._session(kept)
        ex.agents.log_offer_end(self.call_of(kept.id) or kept.call, event, event.result)
        if found is not None:
            found[1].withdrawn(ex, found[0], event)

    def _assigned(self, kept: Kept, event: acd.Assigned) -> None:
        ex = self._ex
        ex.agents.log_offer_end(self.call_of(kept.id) or kept.call, event, "accepted")
        call, session = self._session(kept) or (None, None)
        if call is None or session is None or isinstance(session, CustomerFirst):
            ex.agents.take(ex.acd.callback_failed(kept.id, ex.now))
            return
        session.assigned(ex, call, event)
        if isinstance(session, Queue):
            if isinstance(ex.top(call), Talk):
                self._done(call, kept, event.agent)
            else:
                self._end(kept, "failed")

    def _left(self, kept: Kept, event: acd.QueueLeft) -> None:
        self._end(kept, _ENDS.get(event.reason, event.reason))

    def _refused(self, kept: Kept, event: acd.Refused) -> None:
        self._end(kept, event.reason)

    def _queued(self, kept: Kept, event: acd.Queued) -> None:
        """Moved to another queue, if it is another."""
        if kept.queue != event.queue:
            kept.queue = event.queue
            self._write(kept)

    def _deferred(self, kept: Kept, event: acd.CallbackDeferred) -> None:
        kept.attempts = event.attempt
        self._write(kept)
        self._ex.log(
            facts.CallbackDeferred(
                call=self.call_of(kept.id) or kept.call,
                callback=kept.id,
                queue=kept.queue,
                attempt=event.attempt,
                reason=self._failures.pop(kept.id, "failed"),
                retry_s=round(event.retry_at - self._ex.now, 3),
            )
        )

    def _end(self, kept: Kept, reason: str) -> None:
        ex = self._ex
        found = self._session(kept)
        self._forget(kept)
        call = self.call_of(kept.id) or kept.call
        ex.log(facts.CallbackEnded(call=call, callback=kept.id, queue=kept.queue, reason=reason))
        if found is not None and isinstance(found[1], CustomerFirst):
            ex.end_call(found[0], cause=16, reason=f"callback {reason}", outcome="no_answer")

    def _write(self, kept: Kept) -> None:
        self.kept[kept.id] = kept
        self._due = self._due or self._ex.now + HOURS_S
        self._ex.out.append(Checkpoint(KEY + kept.id, _encode(kept)))

    def _forget(self, kept: Kept) -> None:
        self.kept.pop(kept.id, None)
        self._failures.pop(kept.id, None)
        self._ex.out.append(Checkpoint(KEY + kept.id, b""))

    # --- what the attempts say --------------------------------------------------------------------------------

    def dial(self, call: Call, item: str, anchor: Leg) -> Dial | None:
        """The way to the customer for the agent who accepted."""
        kept = self.kept.get(item)
        options = self._options(kept.queue) if kept is not None else None
        if kept is None or options is None:
            return None
        found = self._resolve(call, kept.number, options, kept.device)
        dial: Dial | None = None
        if isinstance(found, External):
            dial = self._ex.router.dial_out(call, found, anchor)
        elif found is not None:
            plan = self._ex.router.plan(call, str(found), by="", anchor=anchor)
            dial = plan.session if plan is not None and isinstance(plan.session, Dial) else None
        if dial is not None:
            dial.diversions = {}
            dial.rounds = [
                msgspec.structs.replace(step, seconds=min(step.seconds, options.ring_timeout)) for step in dial.rounds
            ]
        return dial

    def _customer_rounds(self, call: Call, kept: Kept, options: CallbackOptions) -> list[Round]:
        found = self._resolve(call, kept.number, options, kept.device)
        if isinstance(found, External):
            rounds = self._ex.router.outbound.rounds(call, found, kept.device)
        elif found is not None:
            rounds = [Round(targets=(Target(device=f"extension:{found.name}", number=found.name),))]
        else:
            rounds = []
        return [msgspec.structs.replace(step, seconds=min(step.seconds, options.ring_timeout)) for step in rounds]

    def on_the_line(self, item: str) -> None:
        """The customer answered before an agent did."""
        self._ex.agents.take(self._ex.acd.callback_reached(item, self._ex.now))

    def reached(self, call: Call, item: str, agent: str) -> None:
        """Agent and customer talk."""
        ex = self._ex
        ex.agents.take(ex.acd.callback_reached(item, ex.now))
        kept = self.kept.get(item)
        if kept is not None:
            ex.agents.last.remember(kept.caller, agent)
            self._done(call, kept, agent)

    def _done(self, call: Call, kept: Kept, agent: str) -> None:
        ex = self._ex
        self._forget(kept)
        ex.log(
            facts.CallbackReached(
                call=call.id,
                callback=kept.id,
                queue=kept.queue,
                agent=agent,
                first_call=kept.call,
                attempt=kept.attempts + 1,
                delay_s=round(ex.wall - kept.registered_at, 3),
            )
        )

    def failed(self, call: Call, item: str, reason: str) -> None:
        """The customer was not reached: the ACD says what follows."""
        self._failures[item] = reason
        self._ex.agents.take(self._ex.acd.callback_failed(item, self._ex.now))

    def _options(self, queue: str) -> CallbackOptions | None:
        entry = self._ex.settings.configuration.queues.get(queue)
        return entry.callback if entry is not None else None

    def _resolve(self, call: Call, number: str, options: CallbackOptions, device: str) -> External | Destination | None:
        """Whom the number reaches: a phone of ours or somebody outside, as far as the queue's permissions go."""
        ex = self._ex
        found = ex.settings.plan.resolve(number, options.permissions, ex.router.calendar_state)
        if isinstance(found, Destination):
            return found if found.kind == "extension" else None
        if not isinstance(found, External) or found.emergency is not None:
            return None
        return None if ex.router.outbound.refusal(call, device, found) else found

    # --- restart ----------------------------------------------------------------------------------------------

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take back what a process before us wrote; before the ACD's places are."""
        for key, state in kept.items():
            if key.startswith(KEY):
                try:
                    entry = _decode(state)
                except msgspec.MsgspecError as error:
                    self._ex.note("error", "a callback cannot be read", callback=key[len(KEY) :], error=str(error))
                    continue
                self.kept[entry.id] = entry
                if not entry.entered:
                    self._asked.setdefault(entry.call, []).append(entry.id)
                self._due = self._ex.now

    def resume(self) -> None:
        """The calls are back: which of them serve callbacks, and which callbacks wait for a call that is gone."""
        ex = self._ex
        for call in ex.calls.values():
            for session in ex.stack_of(call):
                item = getattr(session, "item", "")
                if item.startswith("callback-"):
                    self._calls[item] = call.id
        for kept in list(self.kept.values()):
            lost = kept.entered and ex.acd.view_item(kept.id, ex.now) is None
            if lost or (not kept.entered and kept.call not in ex.calls):
                # The ACD had not been written down since it entered, or nobody saw the first call end.
                self._asked.pop(kept.call, None)
                self._enter(kept)


_HANDLERS: dict[type, Callable[..., None]] = {
    acd.Queued: Callbacks._queued,
    acd.Offer: Callbacks._offer,
    acd.OfferWithdrawn: Callbacks._withdrawn,
    acd.Assigned: Callbacks._assigned,
    acd.QueueLeft: Callbacks._left,
    acd.Refused: Callbacks._refused,
    acd.CallbackDeferred: Callbacks._deferred,
}
