"""Who gets which event: catching up from the log page by page, then live through indexes by topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pbx.events.catalogue import Record
from pbx.events.folds.live import LiveFold
from pbx.events.line import Line

from .outputs import Deliver, Output, ReadLog
from .peer import Peer
from .protocol import (
    CallContext,
    Gap,
    Position,
    RpcId,
    Snapshot,
    Subscribed,
    make_error,
    make_event,
    make_notification,
    make_result,
)
from .views import make_snapshot, sees_call

PAGE = 1000
PAGE_BYTES = 262_144
"""A client that catches up is sent no more at a time: the shell waits until it has read that."""


class HubStats:
    """Counted since the start."""

    __slots__ = ("bytes", "closed_slow", "commands", "events", "frames")

    def __init__(self) -> None:
        self.events = 0
        """Durable events that came in."""
        self.frames = 0
        """Frames that went out."""
        self.bytes = 0
        self.commands = 0
        self.closed_slow = 0


class Sender:
    """Makes frames ready for the wire, and counts them."""

    def __init__(self, wrap: Callable[[bytes], bytes], stats: HubStats) -> None:
        self.wrap = wrap
        self.stats = stats

    def send(self, peer: Peer, frame: bytes) -> list[Output]:
        return [self.deliver(peer, [self.wrap(frame)])]

    def deliver(self, peer: Peer, frames: list[bytes]) -> Deliver:
        """Frames that are wrapped already."""
        self.stats.frames += len(frames)
        self.stats.bytes += sum(map(len, frames))
        return Deliver(peer.id, frames)


class Following:
    def __init__(self, live: LiveFold, sender: Sender) -> None:
        self._live = live
        self._sender = sender
        self._index: dict[str, dict[Peer, None]] = {}

    @property
    def _seq(self) -> int:
        return self._live.state.seq

    @property
    def topics(self) -> frozenset[str]:
        """Somebody follows these."""
        return frozenset(self._index)

    def begin(self, peer: Peer, since: int | None, id: RpcId) -> list[Output]:
        """Tell ``peer`` what it subscribed to, from ``since`` on or from a snapshot."""
        self.end(peer)
        outputs: list[Output] = []
        if peer.subscribe_id is not None:
            outputs = self._sender.send(peer, make_error(peer.subscribe_id, "wrong_state", "another Subscribe came"))
        peer.subscribe_id, peer.seen_calls = id, set()
        if since is None:
            return outputs + self._go_live(peer, Subscribed(seq=self._seq, resumed=False, snapshot=self._shoot(peer)))
        if since > self._seq:
            gap = Gap(first=self._seq + 1, last=since, reason="future")
            found = Subscribed(seq=self._seq, resumed=False, snapshot=self._shoot(peer), gap=gap)
            return outputs + self._go_live(peer, found)
        if since == self._seq:
            return outputs + self._go_live(peer, Subscribed(seq=self._seq, resumed=True))
        peer.state, peer.position = "catching_up", since
        return [*outputs, ReadLog(peer.id, since, PAGE)]

    def take_page(self, peer: Peer, since: int, lines: Sequence[Line]) -> list[Output] | None:
        """Lines after ``since``; those beyond what was published are left for ``publish``.

        None: the log has a hole in the middle of what is being told, and the client has to begin anew."""
        if peer.state != "catching_up" or since != peer.position:
            return []
        page = [line for line in lines if since < line.seq <= self._seq]
        if not page or page[0].seq > since + 1:
            return self._bridge_gap(peer, page[0].seq - 1 if page else self._seq)
        page = _cut_page(page)
        outputs: list[Output] = []
        if peer.subscribe_id is not None:
            outputs += self._sender.send(peer, make_result(peer.subscribe_id, Subscribed(seq=since, resumed=True)))
            peer.subscribe_id = None
        frames = [self._sender.wrap(make_event(line.json)) for line in peer.choose(page)]
        if frames:
            outputs.append(self._sender.deliver(peer, frames))
        if peer.position < self._seq:
            return [*outputs, ReadLog(peer.id, peer.position, PAGE)]
        return outputs + self._go_live(peer, None)

    def _bridge_gap(self, peer: Peer, last: int) -> list[Output] | None:
        """Retention deleted what the client has not seen: it is told, and gets a snapshot instead."""
        if peer.subscribe_id is None:
            return None
        gap = Gap(first=peer.position + 1, last=last, reason="retention")
        peer.seen_calls = set()
        return self._go_live(peer, Subscribed(seq=self._seq, resumed=False, snapshot=self._shoot(peer), gap=gap))

    def _go_live(self, peer: Peer, answer: Subscribed | None) -> list[Output]:
        outputs: list[Output] = []
        if answer is not None:
            assert peer.subscribe_id is not None
            outputs += self._sender.send(peer, make_result(peer.subscribe_id, answer))
            peer.subscribe_id = None
        for call_id in sorted(peer.seen_calls):
            call = self._live.state.calls.get(call_id)
            if call is not None and sees_call(peer.scope, call):
                outputs += self._sender.send(peer, make_notification("call", CallContext(seq=self._seq, call=call)))
        peer.seen_calls = set()
        peer.state, peer.position = "live", self._seq
        for topic in peer.topics:
            self._index.setdefault(topic, {})[peer] = None
        return outputs

    def end(self, peer: Peer) -> None:
        """No more events for it."""
        if peer.state != "live":
            return
        for topic, peers in [(topic, self._index.get(topic)) for topic in self._followed(peer)]:
            if peers is not None:
                peers.pop(peer, None)
                if not peers:
                    del self._index[topic]

    def _followed(self, peer: Peer) -> Iterable[str]:
        return [topic for topic, peers in self._index.items() if peer in peers]

    def publish(self, durable: Iterable[tuple[Line, Record]]) -> list[Output]:
        """Events that are on disk, in order; those that are known already are passed over."""
        frames: dict[Peer, list[bytes]] = {}
        index = self._index
        whole = index.get("*")
        for line, record in durable:
            if line.seq <= self._live.state.seq:
                continue
            self._live.apply(record)
            self._sender.stats.events += 1
            groups = [index[topic] for topic in line.topics if topic in index]
            if whole:
                groups.append(whole)
            if not groups:
                continue
            frame: bytes | None = None
            context = self._make_context(line) if line.joined in index else None
            done: set[Peer] = set()
            for group in groups:
                for peer in group:
                    if peer in done or line.type not in peer.kinds:
                        continue
                    done.add(peer)
                    if frame is None:
                        frame = self._sender.wrap(make_event(line.json))
                    if context is not None and line.joined in peer.topics:
                        frames.setdefault(peer, []).append(context)
                    frames.setdefault(peer, []).append(frame)
        return [self._sender.deliver(peer, found) for peer, found in frames.items()]

    def _make_context(self, line: Line) -> bytes | None:
        """What those who join a call have to know; made before its event is sent, so it shows the call as of it."""
        call = self._live.state.calls.get(line.call)
        if call is None:
            return None
        return self._sender.wrap(make_notification("call", CallContext(seq=line.seq, call=call)))

    def announce_position(self, peers: Iterable[Peer]) -> list[Output]:
        """For those who follow: so far nothing more concerned you."""
        frame = self._sender.wrap(make_notification("position", Position(seq=self._seq)))
        found: list[Output] = []
        for peer in peers:
            if peer.state == "live" and peer.position < self._seq:
                peer.position = self._seq
                found.append(self._sender.deliver(peer, [frame]))
        return found

    def _shoot(self, peer: Peer) -> Snapshot:
        assert peer.actor is not None
        return make_snapshot(self._live.state, peer.scope, peer.actor.role)


def _cut_page(lines: list[Line]) -> list[Line]:
    """As many lines as may be sent at once, one at least."""
    size = 0
    for n, line in enumerate(lines):
        size += len(line.json)
        if size > PAGE_BYTES and n:
            return lines[:n]
    return lines
