"""What a desktop asks of the switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pbx.cti.actor import Actor
from pbx.cti.commands import AnyCommand


class Desk(Protocol):
    """Carries out commands. Whether the role may give the command was checked before; whether this call, agent or queue
    is the actor's own is checked here by the switch, which knows who is where."""

    def execute(self, actor: Actor, command: AnyCommand, request_id: str, now: float) -> Sequence[Any]:
        """Outputs in order, among them, now or from a later input, exactly one ``CommandDone`` with ``request_id``.

        ``request_id`` is unique over all actors. Repeats never get here: the first answer is given again.
        """
        ...
