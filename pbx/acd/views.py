"""Live numbers for wallboards, flows and supervisors: plain values, made when asked for."""

from __future__ import annotations

import msgspec

from .estimate import estimate_wait
from .floor import Floor
from .messages import AgentState
from .records import Agent, Item, Queue


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at a moment."""

    queue: str
    open: bool
    waiting: int
    """All items in the queue, those being offered and held callbacks included."""
    offered: int
    callbacks: int
    longest_wait_s: float
    longest_on_line_s: float
    """The same without callbacks."""
    estimated_wait_s: float
    """For one who would come now with no priority."""
    agents: dict[str, int]
    """Agents of the queue by state."""


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent at a moment."""

    agent: str
    state: AgentState
    reason: str
    device: str
    device_available: bool
    item: str
    queue: str
    since: float
    until: float | None
    calls: int
    missed: int
    """Offers missed in a row."""
    items: tuple[str, ...]
    """What he is talking to, direct calls included."""
    queues: tuple[str, ...]


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """Where an item is."""

    item: str
    state: str
    """``waiting``, ``reserved``, ``offered``, ``deferred`` or ``served``."""
    queue: str
    agents: tuple[str, ...]
    """Who serves it, is rung for it or is waited for."""
    position: int
    """0 for one that does not wait."""
    waited_s: float
    estimated_wait_s: float
    priority: int
    callback: str


def view_queue(queue: Queue, now: float) -> QueueView:
    states: dict[str, int] = {}
    for seat in queue.seats.values():
        states[seat.agent.state] = states.get(seat.agent.state, 0) + 1
    items = queue.items.values()
    return QueueView(
        queue=queue.name,
        open=queue.open,
        waiting=len(items),
        offered=sum(item.state == "offered" for item in items),
        callbacks=sum(bool(item.callback) for item in items),
        longest_wait_s=max((now - item.joined_at for item in items), default=0.0),
        longest_on_line_s=max((now - item.joined_at for item in items if not item.callback), default=0.0),
        estimated_wait_s=estimate_wait(queue, queue.waiting + len(queue.reserved) + 1),
        agents=states,
    )


def view_agent(agent: Agent) -> AgentView:
    return AgentView(
        agent=agent.id,
        state=agent.state,
        reason=agent.reason,
        device=agent.device,
        device_available=agent.device_ok,
        item=agent.state_item,
        queue=agent.state_queue,
        since=agent.since,
        until=agent.state_until,
        calls=agent.calls,
        missed=agent.misses,
        items=tuple(agent.work),
        queues=tuple(agent.seats),
    )


def view_item(floor: Floor, item_id: str, now: float) -> ItemView | None:
    item = floor.items.get(item_id)
    if item is not None:
        return _view_waiting(item, now)
    holder = floor.holders.get(item_id)
    if holder is None:
        return None
    agent, work = holder
    return ItemView(
        item=item_id,
        state="served",
        queue="" if work.queue is None else work.queue.name,
        agents=(agent.id,),
        position=0,
        waited_s=0.0 if work.record is None else work.moment - work.record.joined_at,
        estimated_wait_s=0.0,
        priority=0 if work.record is None else work.record.priority,
        callback="" if work.record is None else work.record.callback,
    )


def _view_waiting(item: Item, now: float) -> ItemView:
    position = item.queue.count_ahead(item.place) + 1 if item.state in ("waiting", "reserved") else 0
    agents: tuple[str, ...] = ()
    if item.round is not None:
        agents = tuple(offer.agent.id for offer in item.round.offers.values())
    elif item.state == "reserved":
        agents = tuple(agent.id for agent in item.reserved_for)
    return ItemView(
        item=item.id,
        state=item.state,
        queue=item.queue.name,
        agents=agents,
        position=position,
        waited_s=now - item.joined_at,
        estimated_wait_s=estimate_wait(item.queue, position),
        priority=item.priority,
        callback=item.callback,
    )
