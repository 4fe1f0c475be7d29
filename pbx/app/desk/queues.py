"""Supervisors' commands about queues and those who wait in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pbx.app.desk.refusal import Refusal
from pbx.app.outputs import Broadcast
from pbx.cti import commands as cti
from pbx.cti.actor import Actor

if TYPE_CHECKING:
    from pbx.app.desk.desk import Desk


def _move_item(desk: Desk, actor: Actor, command: cti.MoveWorkItem) -> None:
    _check_item(desk, actor, command.item)
    desk.check(desk.ex.agents.move(command.item, command.queue))
    desk.audit(actor, "item moved", f"item:{command.item}", command.queue)


def _pull_item(desk: Desk, actor: Actor, command: cti.PullWorkItem) -> None:
    _check_item(desk, actor, command.item)
    agent = desk.agent(actor, command.agent)
    desk.check(desk.ex.agents.pull(command.item, agent))
    desk.audit(actor, "item pulled", f"item:{command.item}", agent)


def _check_item(desk: Desk, actor: Actor, item: str) -> None:
    """Nobody takes callers out of queues that are not his."""
    view = desk.ex.acd.view_item(item, desk.ex.now)
    if view is None or view.queue not in _queues_of(desk, actor):
        raise Refusal("unknown_object", f"no item {item}")


def _queue_open(desk: Desk, actor: Actor, command: cti.SetQueueOpen) -> None:
    desk.check(desk.ex.agents.set_queue_open(command.queue, command.open))
    desk.audit(actor, "queue opened" if command.open else "queue closed", f"queue:{command.queue}", command.reason)


def _get_callbacks(desk: Desk, actor: Actor, command: cti.GetCallbacks) -> dict[str, Any]:
    queues = _queues_of(desk, actor)
    return {"callbacks": desk.ex.callbacks.describe(queues & {command.queue} if command.queue else queues)}


def _cancel_callback(desk: Desk, actor: Actor, command: cti.CancelCallback) -> None:
    kept = desk.ex.callbacks.kept.get(command.callback)
    if kept is None or kept.queue not in _queues_of(desk, actor):
        raise Refusal("unknown_object", f"no callback {command.callback}")
    if not desk.ex.callbacks.cancel(command.callback, "callback_cancelled"):
        raise Refusal("wrong_state", "the customer is being called")
    desk.audit(actor, "callback cancelled", f"callback:{kept.id}", kept.number)


def _queues_of(desk: Desk, actor: Actor) -> set[str]:
    """The queues that an agent of the actor's teams serves; all of them for those who see everything."""
    configuration = desk.ex.settings.configuration
    if actor.role == "administrator" or (actor.role == "quality" and not actor.teams):
        return set(configuration.queues)
    return {
        queue
        for agent in configuration.agents.values()
        if agent.team in actor.teams or agent.id == actor.agent
        for queue in agent.queues
    }


def _broadcast(desk: Desk, actor: Actor, command: cti.BroadcastMessage) -> None:
    desk.ex.out.append(
        Broadcast(actor.user, command.text, command.agents, command.queues, command.teams or actor.teams)
    )
    desk.audit(actor, "message", "desktops", command.text)


ACTIONS: dict[type, Callable[..., dict[str, Any] | None]] = {
    cti.MoveWorkItem: _move_item,
    cti.PullWorkItem: _pull_item,
    cti.SetQueueOpen: _queue_open,
    cti.BroadcastMessage: _broadcast,
    cti.GetCallbacks: _get_callbacks,
    cti.CancelCallback: _cancel_callback,
}
