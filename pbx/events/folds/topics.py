"""Whom a record concerns: the topics under which it is delivered, read and authorised.

``agent:ID`` for every agent who took part in the call so far, ``queue:NAME`` while the call waits there,
``device:NAME`` and ``system`` for what is no call's. They are fixed when the record is appended and kept beside it,
so that a reader who comes back next week is shown exactly what it would have been shown then.
"""

from __future__ import annotations

from collections import deque

import msgspec

from pbx.events.catalogue import (
    AgentEvent,
    AnyEvent,
    CallCleared,
    CallEvent,
    Offered,
    Originated,
    QueueAlarm,
    Queued,
    QueueLeft,
    QueueStateChanged,
    Record,
    ServiceInitiated,
)

LINGER_S = 900.0
"""How long a call that ended is remembered, for recordings and quality reports that come late."""

SYSTEM = "system"
BEGINNINGS = (Offered, ServiceInitiated, Originated)


class Fields(msgspec.Struct, frozen=True):
    """Which of the usual fields an event type has."""

    call: bool
    agent: bool
    queue: bool
    device: bool


FIELDS: dict[type, Fields] = {
    kind: Fields(*(name in kind.__struct_fields__ for name in ("call", "agent", "queue", "device")))
    for kind in AnyEvent.__args__
}


class CallTopics(msgspec.Struct):
    """Agents of one call in order of appearance, and where it waits."""

    agents: list[str] = []
    waits: dict[str, int] = {}
    """Queue to number of open entries."""
    topics: tuple[str, ...] = ()


class State(msgspec.Struct):
    calls: dict[str, CallTopics] = {}
    ended: list[tuple[float, str]] = []


class Concerned(msgspec.Struct, frozen=True, gc=False):
    """Topics of one record."""

    topics: tuple[str, ...]
    joined: str = ""
    """Topic that this record made concerned with a call that ran already: its followers know nothing of it yet."""


_SYSTEM = Concerned((SYSTEM,))


class TopicFold:
    """Feed it every record in order."""

    __slots__ = ("_calls", "_ended")

    def __init__(self, snapshot: bytes = b"") -> None:
        state = msgspec.json.decode(snapshot, type=State) if snapshot else State()
        self._calls = state.calls
        self._ended = deque(state.ended)

    def snapshot(self) -> bytes:
        return msgspec.json.encode(State(self._calls, list(self._ended)))

    def __len__(self) -> int:
        return len(self._calls)

    def apply(self, record: Record) -> Concerned:
        """Topics of ``record``, the joining agent's or queue's among them."""
        event = record.event
        if isinstance(event, CallEvent):
            return self._apply_call(record.at, event)
        if isinstance(event, AgentEvent):
            return Concerned((f"agent:{event.agent}",))
        if isinstance(event, QueueStateChanged | QueueAlarm):
            return Concerned((f"queue:{event.queue}",))
        if FIELDS[type(event)].device:
            return Concerned((f"device:{event.device}", SYSTEM))  # type: ignore[union-attr]
        return _SYSTEM

    def _apply_call(self, at: float, event: CallEvent) -> Concerned:
        if self._ended and self._ended[0][0] < at - LINGER_S:
            self._forget(at - LINGER_S)
        call = self._calls.get(event.call)
        if call is None:
            call = CallTopics()
            if type(event) in BEGINNINGS:
                self._calls[event.call] = call
        fields = FIELDS[type(event)]
        joined = ""
        if fields.agent:
            agent: str = event.agent  # type: ignore[attr-defined]
            if agent and agent not in call.agents:
                call.agents.append(agent)
                joined = f"agent:{agent}"
                _refresh(call)
        if not fields.queue:
            if type(event) is CallCleared and event.call in self._calls:
                self._ended.append((at, event.call))
            return Concerned(call.topics, joined)
        queue: str = event.queue  # type: ignore[attr-defined]
        if type(event) is Queued:
            if queue not in call.waits:
                joined = joined or f"queue:{queue}"
            call.waits[queue] = call.waits.get(queue, 0) + 1
            _refresh(call)
            return Concerned(call.topics, joined)
        topics = call.topics if queue in call.waits else (*call.topics, f"queue:{queue}")
        if type(event) is QueueLeft and queue in call.waits:
            call.waits[queue] -= 1
            if not call.waits[queue]:
                del call.waits[queue]
            _refresh(call)
        return Concerned(topics, joined)

    def _forget(self, before: float) -> None:
        while self._ended and self._ended[0][0] < before:
            self._calls.pop(self._ended.popleft()[1], None)


def _refresh(call: CallTopics) -> None:
    call.topics = (*(f"agent:{agent}" for agent in call.agents), *(f"queue:{queue}" for queue in call.waits))
