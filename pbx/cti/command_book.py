"""Commands on their way: checked, told from repeats, given to the switch once, and their answers kept."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pbx.events.folds.live import LiveFold

from . import commands as c
from .actor import Actor
from .answers import MIN_ID, Answers
from .outputs import Execute, Explain, KeepAnswer
from .permissions import Directory, authorize, find_scope
from .protocol import RpcId, make_answer, make_error
from .views import answer_query


class CommandBook:
    """``directory`` gives the one in force."""

    def __init__(self, answers: Answers, live: LiveFold, directory: Callable[[], Directory]) -> None:
        self._answers = answers
        self._live = live
        self._directory = directory
        self._running: dict[str, tuple[str, str]] = {}
        """Commands in the switch: whose, and the id it was given."""

    def begin(
        self, actor: Actor, peer: int, command: c.AnyCommand, id: RpcId, now: float
    ) -> tuple[bytes | None, list[Execute | Explain]]:
        """The answer where it is known at once, else what is to be done (nothing for a repeat of what still runs)."""
        directory, state = self._directory(), self._live.state
        refused = authorize(actor, command, directory) or self._check_call(actor, command)
        if refused is not None:
            return make_answer(id, refused), []
        answer = answer_query(command, actor, state, find_scope(actor, directory))
        if answer is not None:
            return make_answer(id, answer), []
        if not isinstance(id, str) or len(id) < MIN_ID:
            text = f"a command needs an id of its own: a string of {MIN_ID} to 64 characters, never used before"
            return make_error(id, "bad_request", text), []
        status, entry = self._answers.begin(actor.user, id, command, peer, now)
        if status == "reused":
            return make_error(id, "id_reused", "this id was used for another command"), []
        if status == "answered":
            assert entry.result is not None
            return make_answer(id, entry.result), []
        if status == "running":
            return None, []
        request_id = f"{actor.user}/{id}"
        self._running[request_id] = (actor.user, id)
        if isinstance(command, c.ExplainCall):
            return None, [Explain(command.call, request_id)]
        return None, [Execute(actor, command, request_id)]

    def finish(self, done: c.CommandDone, now: float) -> list[KeepAnswer]:
        """The result of a command; nothing for one that is unknown or finished."""
        user, id = self._running.pop(done.request_id, ("", ""))
        kept = self._answers.finish(user, id, done.result, now)
        return [] if kept is None else [KeepAnswer(user, id, msgspec.json.encode(kept).decode())]

    def _check_call(self, actor: Actor, command: c.AnyCommand) -> c.CommandRejected | None:
        """A call that is known and concerns somebody else does not exist for this user."""
        call = self._live.state.calls.get(getattr(command, "call", ""))
        scope = find_scope(actor, self._directory())
        if call is None or scope.covers_call(call.agents, call.queue) or isinstance(command, c.DirectedPickupCall):
            return None
        return c.CommandRejected(code="unknown_object", message="there is no such call")
