"""Any interleaving of events, cut connections and slow reads: every client gets what concerns it once and in order."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pbx.cti.actor import Actor
from pbx.cti.hub import Hub
from pbx.cti.outputs import Deliver, ReadLog
from pbx.cti.permissions import EVENT_ROLES, Directory, find_scope
from pbx.events.catalogue import Record
from pbx.events.folds.live import LiveFold
from pbx.events.folds.topics import TopicFold
from pbx.events.line import Line
from pbx.testing.scenarios import make_history

DIRECTORY = Directory(
    teams={"red": ("1001", "1002"), "blue": ("1003",)},
    agent_queues={"1001": ("support",), "1002": ("sales",), "1003": ("support", "sales")},
)
ACTORS = [
    Actor(user="anna", role="agent", agent="1001"),
    Actor(user="bob", role="agent", agent="1003"),
    Actor(user="susan", role="supervisor", teams=("red",)),
    Actor(user="root", role="administrator"),
]


def make_lines() -> list[tuple[Line, Record]]:
    fold, found = TopicFold(), []
    for record in make_history(30, agents=3, seed=9):
        concerned = fold.apply(record)
        line = Line(
            seq=record.seq,
            at=record.at,
            type=type(record.event).__name__,
            call=getattr(record.event, "call", ""),
            topics=concerned.topics,
            joined=concerned.joined,
            json=msgspec.json.encode(record).decode(),
        )
        found.append((line, record))
    return found


LINES = make_lines()


class Client:
    """What one user's desktop saw, over all its connections."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.peer: int | None = None
        self.first: int | None = None
        self.position: int | None = None
        self.seqs: list[int] = []

    def take(self, frames: list[bytes]) -> None:
        for frame in frames:
            message = msgspec.json.decode(frame)
            if message.get("method") in ("event", "position"):
                self.position = message["params"]["seq"]
                if message["method"] == "event":
                    self.seqs.append(self.position)
            elif "result" in message and self.first is None:
                self.first = self.position = message["result"]["seq"]

    def expected(self, upto: int) -> list[int]:
        """What concerns the user, by the definition and not by the hub's indexes."""
        scope = find_scope(self.actor, DIRECTORY)
        topics = scope.topics | {"system"}
        return [
            line.seq
            for line, _ in LINES[self.first or 0 : upto]
            if self.actor.role in EVENT_ROLES[line.type] and (scope.everything or not topics.isdisjoint(line.topics))
        ]


class Resuming(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub(LiveFold(), DIRECTORY)
        self.clients = [Client(actor) for actor in ACTORS]
        self.reads: list[ReadLog] = []
        self.now = 0.0

    def perform(self, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Deliver):
                next(client for client in self.clients if client.peer == output.peer).take(output.frames)
            elif isinstance(output, ReadLog):
                self.reads.append(output)

    @rule(count=st.integers(1, 60))
    def publish(self, count: int) -> None:
        self.perform(self.hub.publish(LINES[self.hub.seq : self.hub.seq + count], self.now))

    @rule(count=st.integers(1, 10))
    def publish_again_what_is_known(self, count: int) -> None:
        seq = self.hub.seq
        self.perform(self.hub.publish(LINES[max(0, seq - count) : seq], self.now))

    @rule(number=st.integers(0, len(ACTORS) - 1))
    def connect(self, number: int) -> None:
        client = self.clients[number]
        if client.peer is not None:
            return
        client.peer = self.hub.connect(self.now, client.actor)
        since = {} if client.position is None else {"since": client.position}
        request = {"jsonrpc": "2.0", "id": "s", "method": "Subscribe", "params": since}
        self.perform(self.hub.receive(client.peer, msgspec.json.encode(request), self.now))

    @rule(number=st.integers(0, len(ACTORS) - 1))
    def subscribe_again_from_where_it_is(self, number: int) -> None:
        client = self.clients[number]
        if client.peer is not None and client.position is not None:
            request = {"jsonrpc": "2.0", "id": "s", "method": "Subscribe", "params": {"since": client.position}}
            self.perform(self.hub.receive(client.peer, msgspec.json.encode(request), self.now))

    @rule(number=st.integers(0, len(ACTORS) - 1))
    def cut(self, number: int) -> None:
        client = self.clients[number]
        if client.peer is not None:
            self.hub.disconnect(client.peer)
            client.peer = None

    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.perform(self.hub.expire(self.now))

    @precondition(lambda self: self.reads)
    @rule(size=st.integers(1, 200), ahead=st.integers(0, 50))
    def answer_a_read(self, size: int, ahead: int) -> None:
        """A page of any size; the log may be ahead of what was published."""
        read = self.reads.pop(0)
        durable = min(len(LINES), self.hub.seq + ahead)
        lines = [line for line, _ in LINES[read.since : min(read.since + size, durable)]]
        self.perform(self.hub.log_read(read.peer, read.since, lines, self.now))

    @invariant()
    def nobody_lost_or_repeated_anything(self) -> None:
        for client in self.clients:
            if client.first is not None and client.position is not None:
                assert client.seqs == client.expected(client.position)

    def teardown(self) -> None:
        for number in range(len(ACTORS)):
            self.connect(number)
        while self.reads:
            self.answer_a_read(100, 0)
        self.publish(20)
        for client in self.clients:
            assert client.seqs == client.expected(self.hub.seq)


TestResuming = Resuming.TestCase
TestResuming.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
