"""One client of the CTI socket, as a pure machine: who it is, what it follows, and how far it has got.

    new ──token──► authenticating ──ok──► open ──Subscribe──► catching_up ──end of the log──► live
     └── no token in time: closed              └────────── without ``since`` ─────────────────┘

It decides which lines of the log its client gets while it catches up; once it is ``live`` the hub's indexes do that.
"""

from __future__ import annotations

from typing import Literal

from pbx.events.line import Line

from .actor import Actor
from .permissions import EVENT_ROLES, Directory, Scope, find_scope
from .protocol import RpcId, Subscribe

PeerState = Literal["new", "authenticating", "open", "catching_up", "live", "closed"]

BURST = 200.0
REFILL = 50.0
"""Requests a client may send at once, and per second from then on."""


class Forbidden(Exception):
    """The subscription names what does not concern the user."""


class Peer:
    __slots__ = (
        "actor",
        "call_topics",
        "connected_at",
        "everything",
        "id",
        "kinds",
        "position",
        "request",
        "scope",
        "seen_calls",
        "state",
        "subscribe_id",
        "tokens",
        "tokens_at",
        "topics",
        "wallboard",
    )

    def __init__(self, id: int, now: float, actor: Actor | None = None) -> None:
        self.id = id
        self.actor = actor
        self.state: PeerState = "new" if actor is None else "open"
        self.connected_at = now
        self.request: RpcId | None = None
        """Authenticate that waits for its answer."""
        self.subscribe_id: RpcId | None = None
        """Subscribe that waits for the first page of the log."""
        self.scope = Scope()
        self.everything = False
        self.topics: frozenset[str] = frozenset()
        self.kinds: frozenset[str] = frozenset()
        """Types of events it is told, of those its role may see."""
        self.wallboard = False
        self.position = 0
        """Last number of the log that was considered for it."""
        self.seen_calls: set[str] = set()
        """Calls it heard of while catching up."""
        self.tokens = BURST
        self.tokens_at = now

    # --- requests -------------------------------------------------------------------------------------------------

    def take_token(self, now: float) -> bool:
        """Whether it may send another request now."""
        self.tokens = min(BURST, self.tokens + (now - self.tokens_at) * REFILL)
        self.tokens_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def follow(self, wanted: Subscribe, directory: Directory) -> None:
        """Take over a subscription. Raises Forbidden, and then the earlier one stays."""
        assert self.actor is not None
        unknown = set(wanted.events) - EVENT_ROLES.keys()
        if unknown:
            raise Forbidden(f"there is no event {sorted(unknown)[0]}")
        allowed = frozenset(kind for kind, roles in EVENT_ROLES.items() if self.actor.role in roles)
        scope = choose_scope(self.actor, wanted, directory)
        self.scope = scope
        self.everything = scope.everything
        devices = frozenset(
            f"device:{directory.agent_devices[agent]}" for agent in scope.agents if agent in directory.agent_devices
        )
        self.topics = frozenset({"*"}) if scope.everything else scope.topics | devices | {"system"}
        self.kinds = allowed & frozenset(wanted.events) if wanted.events else allowed
        self.wallboard = wanted.wallboard

    # --- the log --------------------------------------------------------------------------------------------------

    def wants(self, line: Line) -> bool:
        """Whether this line is for it."""
        if line.type not in self.kinds:
            return False
        return self.everything or not self.topics.isdisjoint(line.topics)

    def choose(self, lines: list[Line]) -> list[Line]:
        """Of a page of the log what is for it; notes how far it has got and which calls it heard of."""
        chosen = [line for line in lines if self.wants(line)]
        for line in chosen:
            if line.call:
                self.seen_calls.add(line.call)
        if lines:
            self.position = lines[-1].seq
        return chosen


def choose_scope(actor: Actor, wanted: Subscribe, directory: Directory) -> Scope:
    """What a subscription covers. Raises Forbidden for what is outside the user's scope."""
    whole = find_scope(actor, directory)
    if wanted.all or not (wanted.own or wanted.agents or wanted.queues or wanted.teams):
        return whole
    if not whole.everything:
        if not set(wanted.agents) <= whole.agents:
            raise Forbidden("one of these agents is not yours")
        if not set(wanted.queues) <= whole.queues:
            raise Forbidden("one of these queues is not yours")
        if not set(wanted.teams) <= set(actor.teams):
            raise Forbidden("one of these teams is not yours")
    agents = frozenset(wanted.agents) | directory.agents_of(wanted.teams)
    queues = frozenset(wanted.queues) | directory.queues_of(directory.agents_of(wanted.teams))
    if wanted.own and actor.agent:
        agents |= {actor.agent}
    return Scope(agents=agents, queues=queues)
