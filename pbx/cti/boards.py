"""The wallboard as CTI clients get it: rows that changed, computed and encoded once for all who see the same queues."""

from __future__ import annotations

from collections.abc import Iterable

from pbx.events.folds.live import LiveFold, LiveQueue
from pbx.events.folds.wallboard import QueueRow, make_row

from .peer import Peer
from .permissions import Directory
from .protocol import WallboardRows, make_notification

EVERY_S = 1.0


class Boards:
    """Remembers what each queue's row was when it was last told."""

    def __init__(self, live: LiveFold) -> None:
        self._live = live
        self._rows: dict[str, QueueRow] = {}

    def make_first(self, peer: Peer, directory: Directory, wall: float) -> bytes:
        """All rows, for one who just subscribed."""
        serving = directory.serving()
        return self._encode([self._measure(queue, serving, wall) for queue in self._list(peer, serving)], wall)

    def make_frames(self, peers: Iterable[Peer], directory: Directory, wall: float) -> list[tuple[Peer, bytes]]:
        """Who is to be told what, once a second."""
        serving = directory.serving()
        groups: dict[frozenset[str] | None, list[Peer]] = {}
        for peer in peers:
            groups.setdefault(None if peer.everything else peer.scope.queues, []).append(peer)
        changed: dict[str, QueueRow | None] = {}
        found: list[tuple[Peer, bytes]] = []
        for members in groups.values():
            queues = self._list(members[0], serving)
            for queue in queues:
                if queue not in changed:
                    changed[queue] = self._renew(queue, serving, wall)
            rows = [row for queue in queues if (row := changed[queue]) is not None]
            if rows:
                frame = self._encode(rows, wall)
                found += [(peer, frame) for peer in members]
        return found

    def _list(self, peer: Peer, serving: dict[str, list[str]]) -> list[str]:
        return sorted(self._live.state.queues.keys() | serving if peer.everything else peer.scope.queues)

    def _measure(self, queue: str, serving: dict[str, list[str]], wall: float) -> QueueRow:
        state = self._live.state
        live = state.queues.get(queue) or LiveQueue(queue=queue)
        return make_row(live, state, wall, self._live.count_day(wall), serving.get(queue, ()))

    def _renew(self, queue: str, serving: dict[str, list[str]], wall: float) -> QueueRow | None:
        row = self._measure(queue, serving, wall)
        if row == self._rows.get(queue):
            return None
        self._rows[queue] = row
        return row

    def _encode(self, rows: list[QueueRow], wall: float) -> bytes:
        return make_notification("wallboard", WallboardRows(at=wall, seq=self._live.state.seq, queues=rows))
