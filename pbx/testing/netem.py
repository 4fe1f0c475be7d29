"""A bad network in virtual time: seeded loss, duplication, reordering and delay, and nodes that talk over it.

Datagrams may be lost, doubled and overtaken; streams (TCP and above) are only delayed, in order. The same seed and
the same sends give the same deliveries.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from pbx.core.timers import Deadline
from pbx.sip.commands import Flow
from pbx.sip.events import Output, Transmit


class Conditions(msgspec.Struct, frozen=True):
    """Probabilities per datagram, and delays in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Held back for up to ``reorder_delay``, so that later ones overtake it."""
    delay: float = 0.01
    jitter: float = 0.005
    reorder_delay: float = 0.2


class Delivery(NamedTuple):
    at: float
    order: int
    source: tuple[str, int]
    target: tuple[str, int]
    transport: str
    data: bytes


class Netem:
    """The wire alone: ``send`` puts data on it, ``pop`` takes off what has arrived."""

    def __init__(self, seed: int, conditions: Conditions | None = None) -> None:
        self.conditions = conditions or Conditions()
        self._random = random.Random(seed)
        self._heap: list[Delivery] = []
        self._count = 0
        self._last: dict[tuple[object, ...], float] = {}
        self.lost = 0
        self.sent = 0

    def send(self, source: tuple[str, int], target: tuple[str, int], transport: str, data: bytes, now: float) -> None:
        """Put one message on the wire."""
        self.sent += 1
        conditions, draw = self.conditions, self._random.random
        if transport != "udp":
            # A stream: after everything sent before it.
            key = (source, target, transport)
            at = max(now + conditions.delay + draw() * conditions.jitter, self._last.get(key, 0.0) + 1e-6)
            self._last[key] = at
            self._push(at, source, target, transport, data)
            return
        if draw() < conditions.loss:
            self.lost += 1
            return
        copies = 2 if draw() < conditions.duplicate else 1
        for _ in range(copies):
            at = now + conditions.delay + draw() * conditions.jitter
            if draw() < conditions.reorder:
                at += draw() * conditions.reorder_delay
            self._push(at, source, target, transport, data)

    def _push(self, at: float, source: tuple[str, int], target: tuple[str, int], transport: str, data: bytes) -> None:
        self._count += 1
        heapq.heappush(self._heap, Delivery(at, self._count, source, target, transport, data))

    def next_at(self) -> float | None:
        return self._heap[0].at if self._heap else None

    def pop(self, now: float) -> Delivery | None:
        """The earliest message that has arrived by ``now``."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    def __len__(self) -> int:
        return len(self._heap)


class Node(Protocol):
    """Anything with a SIP stack inside: a phone, a trunk, a whole switch. It keeps its own events."""

    def receive(self, packet: bytes, flow: Flow, now: float) -> Sequence[Output]: ...

    def expire(self, now: float) -> Sequence[Output]: ...

    def next_deadline(self) -> Deadline | None: ...


class World:
    """Nodes at addresses, the network between them, and one virtual clock that jumps to whatever is due next."""

    def __init__(self, netem: Netem, *, start: float = 1000.0) -> None:
        self.netem = netem
        self.now = start
        self._nodes: dict[str, Node] = {}
        self._ports: dict[str, int] = {}
        self.wire: list[tuple[float, str, str, bytes]] = []
        """(time, from host, to host, data) of everything sent, if ``keep_wire`` is set."""
        self.keep_wire = False

    def add(self, host: str, node: Node, port: int = 5060) -> None:
        """Put a node at an address; its flows name the listener after the transport."""
        self._nodes[host] = node
        self._ports[host] = port

    def remove(self, host: str) -> None:
        """Pull the plug: what is sent there is lost."""
        del self._nodes[host]

    def post(self, host: str, outputs: Sequence[Output]) -> None:
        """Put on the wire what a node at ``host`` wants sent; other outputs are the node's own business."""
        for output in outputs:
            if isinstance(output, Transmit):
                flow = output.flow
                if self.keep_wire:
                    self.wire.append((self.now, host, flow.host, output.data))
                source = (host, self._ports[host])
                self.netem.send(source, (flow.host, flow.port), flow.transport, output.data, self.now)

    def step(self, until: float) -> bool:
        """Advance to the next thing due, at most to ``until``, and do it. False: nothing was due by then."""
        best, host = until, ""
        arrival = self.netem.next_at()
        for name, node in self._nodes.items():
            deadline = node.next_deadline()
            if deadline is not None and deadline.at < best:
                best, host = deadline.at, name
        if arrival is not None and arrival <= best:
            self.now = max(self.now, arrival)
            delivery = self.netem.pop(self.now)
            assert delivery is not None
            self._deliver(delivery)
            return True
        if not host:
            self.now = max(self.now, until)
            return False
        self.now = max(self.now, best)
        self.post(host, self._nodes[host].expire(self.now))
        return True

    def _deliver(self, delivery: Delivery) -> None:
        node = self._nodes.get(delivery.target[0])
        if node is not None and delivery.target[1] == self._ports[delivery.target[0]]:
            flow = Flow(delivery.transport, delivery.source[0], delivery.source[1], delivery.transport)
            self.post(delivery.target[0], node.receive(delivery.data, flow, self.now))

    def run(self, seconds: float) -> None:
        """Let this much virtual time pass."""
        until = self.now + seconds
        while self.step(until):
            pass

    def run_until_quiet(self, limit: float = 3600.0) -> None:
        """Run until nothing is on the wire and no node has a deadline within ``limit`` seconds of the last event.

        Raises ``AssertionError`` if that never comes.
        """
        steps = 0
        while self.step(self.now + limit):
            steps += 1
            assert steps < 5_000_000, "the simulation does not come to rest"
