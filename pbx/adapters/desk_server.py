"""Runs the CTI hub: sockets on one side, event log and switch on the other.

Wiring: ``EventLog(..., post=loop.call_soon_threadsafe, on_durable=desk.publish)``; commands leave through ``execute``
and their results come back through ``done``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from pbx.cti import commands as c
from pbx.cti.actor import Actor
from pbx.cti.hub import Hub
from pbx.cti.outputs import CheckToken, Close, Deliver, Execute, Explain, KeepAnswer, Output, ReadLog
from pbx.cti.permissions import Directory
from pbx.cti.protocol import CLOSE_GOING_AWAY
from pbx.events.catalogue import Record
from pbx.events.folds.counts import ServiceGoal
from pbx.events.folds.live import LiveFold
from pbx.events.line import Line, parse_line
from pbx.storage.database import StorageUnavailable
from pbx.storage.event_log import EventLog
from pbx.storage.writes import PutAnswer, PutFold

from .cti_socket import CtiSocket
from .gatekeeper import Gatekeeper, TooManyFailures
from .websocket_frames import make_text_frame, read_text_frame

PING_EVERY_S = 20.0
RETRY_S = 1.0
SNAPSHOT_EVERY = 20_000
"""Events between two snapshots of the live state."""
EXPLAINING = ("Routed", "Queued", "AgentOffered", "OfferEnded", "QueueLeft", "Diverted", "Transferred", "CallCleared")


def make_day_counter(timezone: str) -> Callable[[float], int]:
    """``day_of`` for LiveFold: days that begin at midnight in ``timezone`` (IANA name)."""
    zone = ZoneInfo(timezone)
    return lambda at: datetime.fromtimestamp(at, zone).toordinal()


def load_live(log: EventLog, **options: Any) -> LiveFold:
    """The live state after the last event of ``log``. Blocks. ``options`` (goals, day_of) as for LiveFold."""
    seq, state = log.reader.read_fold("live")
    fold = LiveFold(state, **options)
    while page := log.read(seq, 5000):
        for line in page:
            fold.apply(parse_line(line))
        seq = page[-1].seq
    return fold


class DeskServer:
    """Lives in the event loop. ``clock`` is monotonic, ``wall`` seconds since 1970."""

    def __init__(
        self,
        log: EventLog,
        gatekeeper: Gatekeeper,
        live: LiveFold,
        execute: Callable[[Actor, c.AnyCommand, str], None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        directory: Directory | None = None,
        origins: Sequence[str] = (),
        max_backlog: int = 4 << 20,
    ) -> None:
        self.log = log
        self.gatekeeper = gatekeeper
        self.origins = tuple(origins)
        self.hub = Hub(live, directory, wrap=make_text_frame, max_backlog=max_backlog, epoch=wall() - clock())
        self.stopping = False
        self.heard: dict[tuple[str, str], float] = {}
        """(user, recording) to when it was last noted that the one heard the other."""
        self._execute = execute
        self._clock = clock
        self._wall = wall
        self._sockets: dict[int, CtiSocket] = {}
        self._askers: dict[int, asyncio.Future[bytes]] = {}
        self._waiting_reads: dict[int, ReadLog] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at = 0.0
        """When ``_timer`` is due. The handle cannot be asked: uvloop's knows no time where that has come already."""
        self._pings: asyncio.TimerHandle | None = None
        self._snapshot_seq = live.state.seq
        now, today = clock(), wall()
        self.hub.answers.restore(
            (user, id, now - (today - at), answer) for user, id, at, answer in log.reader.read_answers(today - 3600)
        )

    # --- life -----------------------------------------------------------------------------------------------------

    def make_socket(self, **_: Any) -> CtiSocket:
        """What uvicorn calls for a connection that asks for an upgrade."""
        if self._pings is None:
            self._pings = asyncio.get_running_loop().call_later(PING_EVERY_S, self._ping)
        return CtiSocket(self)

    async def stop(self) -> None:
        """Say goodbye to all clients, and take no new ones; then nothing of this is left."""
        self.stopping = True
        self._perform(self.hub.shut_down())
        for timer in (self._timer, self._pings):
            if timer is not None:
                timer.cancel()
        self._timer = self._pings = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self.stopping:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- from log and switch --------------------------------------------------------------------------------------

    def publish(self, durable: Sequence[tuple[Line, Record]]) -> None:
        """Events that are on disk, in order."""
        if durable and durable[0][0].seq > self.hub.seq + 1:
            # Written while this was being set up: between the reading of the live state and the first call of this.
            missed = self.log.read_recent(self.hub.seq, durable[0][0].seq - self.hub.seq - 1) or []
            self._perform(self.hub.publish([(line, parse_line(line)) for line in missed], self._clock()))
        self._perform(self.hub.publish(durable, self._clock()))
        if self.hub.seq - self._snapshot_seq >= SNAPSHOT_EVERY:
            self.save_live()

    def save_live(self) -> None:
        """Keep the live state, so that a restart need not read the whole log."""
        self._snapshot_seq = self.hub.seq
        self.log.put(PutFold(name="live", seq=self.hub.seq, state=self.hub.live.snapshot()))

    def done(self, done: c.CommandDone) -> None:
        """The switch answered a command."""
        self._perform(self.hub.done(done, self._clock()))

    def broadcast(self, sender: str, text: str, *, teams: Sequence[str] = ()) -> None:
        self._perform(self.hub.broadcast(sender, text, teams=teams))

    def configure(self, directory: Directory, goals: Mapping[str, ServiceGoal] | None = None) -> None:
        """After a reload: who belongs where, and what queues promise (None: as before)."""
        if goals is not None:
            self.hub.live.set_goals(goals)
        self._perform(self.hub.configure(directory))

    def revoke(self, user: str) -> None:
        """The user's rights changed or its tokens are gone."""
        self.gatekeeper.forget()
        self._perform(self.hub.revoke(user))

    async def ask(self, actor: Actor, request: bytes) -> bytes:
        """One JSON-RPC request from elsewhere (HTTP) by the same way as all: the response."""
        peer = self.hub.connect(self._clock(), actor)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._askers[peer] = answer
        try:
            self._perform(self.hub.receive(peer, request, self._clock()))
            return await answer
        finally:
            del self._askers[peer]
            self.hub.disconnect(peer)

    # --- from sockets ---------------------------------------------------------------------------------------------

    def connected(self, socket: CtiSocket, actor: Actor | None) -> int:
        if self.stopping:
            socket.close(CLOSE_GOING_AWAY, "the server stops")
            return 0
        peer = self.hub.connect(self._clock(), actor)
        self._sockets[peer] = socket
        self._perform([])
        return peer

    def received(self, peer: int, text: bytes) -> None:
        self._perform(self.hub.receive(peer, text, self._clock()))

    def disconnected(self, peer: int) -> None:
        self._sockets.pop(peer, None)
        self._waiting_reads.pop(peer, None)
        self.hub.disconnect(peer)

    def writable(self, peer: int) -> None:
        read = self._waiting_reads.pop(peer, None)
        if read is not None:
            self._perform([read])

    async def check_token(self, token: str, address: str) -> Actor | None:
        return await self.gatekeeper.check_token(token, address)

    # --- outputs --------------------------------------------------------------------------------------------------

    def _perform(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            match output:
                case Deliver():
                    self._deliver(output)
                case Close():
                    socket = self._sockets.pop(output.peer, None)
                    if socket is not None:
                        socket.close(output.code, output.reason)
                case ReadLog():
                    self._read(output)
                case Execute():
                    self._execute(output.actor, output.command, output.request_id)
                case KeepAnswer():
                    self._keep(output)
                case CheckToken():
                    self.spawn(self._check(output))
                case Explain():
                    self.spawn(self._explain(output))
        self._arm()

    def _deliver(self, output: Deliver) -> None:
        socket = self._sockets.get(output.peer)
        if socket is not None:
            buffered = socket.send(output.frames)
            if buffered > 65_536:
                self._perform(self.hub.check_backlog(output.peer, buffered))
            return
        asker = self._askers.get(output.peer)
        if asker is not None and not asker.done():
            asker.set_result(read_text_frame(output.frames[0]))

    def _keep(self, output: KeepAnswer) -> None:
        def kept() -> None:
            self._perform(self.hub.answer_kept(output.user, output.id, self._clock()))

        self.log.put(PutAnswer(user=output.user, request=output.id, at=self._wall(), answer=output.answer), kept)

    def _read(self, output: ReadLog) -> None:
        socket = self._sockets.get(output.peer)
        if socket is None:
            return
        if socket.paused:
            self._waiting_reads[output.peer] = output
            return
        recent = self.log.read_recent(output.since, output.limit)
        if recent is not None and not recent and output.since < self.hub.seq:
            recent = None
        if recent is not None:
            # The next turn of the loop: a long way to catch up must not keep everybody else waiting.
            asyncio.get_running_loop().call_soon(self._give_lines, output, recent)
            return
        self.spawn(self._read_stored(output))

    def _give_lines(self, read: ReadLog, lines: list[Line]) -> None:
        self._perform(self.hub.log_read(read.peer, read.since, lines, self._clock()))

    async def _read_stored(self, output: ReadLog) -> None:
        while output.peer in self._sockets:
            try:
                lines = await asyncio.to_thread(self.log.read, output.since, output.limit)
            except StorageUnavailable:
                await asyncio.sleep(RETRY_S)
                continue
            self._give_lines(output, lines)
            return

    async def _check(self, output: CheckToken) -> None:
        socket = self._sockets.get(output.peer)
        actor: Actor | None = None
        try:
            actor = await self.gatekeeper.check_token(output.token, socket.address if socket is not None else "")
        except (TooManyFailures, StorageUnavailable) as error:
            if socket is not None:
                self.hub.disconnect(output.peer)
                self._sockets.pop(output.peer, None)
                socket.close(1013, str(error))
                return
        self._perform(self.hub.token_checked(output.peer, actor, self._clock()))

    async def _explain(self, output: Explain) -> None:
        try:
            lines = await asyncio.to_thread(self.log.read_call, output.call)
        except StorageUnavailable:
            refused = c.CommandRejected(code="failed", message="the database is not available; try again")
            self.done(c.CommandDone(request_id=output.request_id, result=refused))
            return
        result: c.CommandResult = c.CommandRejected(code="unknown_object", message="there is no such call")
        if lines:
            told = [msgspec.json.decode(line.json) for line in lines if line.type in EXPLAINING]
            result = c.Accepted(data={"call": output.call, "events": told})
        self.done(c.CommandDone(request_id=output.request_id, result=result))

    # --- time -----------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        deadline = self.hub.next_deadline()
        if self._timer is not None:
            if deadline is not None and abs(self._armed_at - deadline.at) < 0.05:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._armed_at = deadline.at
            self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline.at - self._clock()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._perform(self.hub.expire(self._clock()))

    def _ping(self) -> None:
        for socket in list(self._sockets.values()):
            socket.ping()
        self._pings = asyncio.get_running_loop().call_later(PING_EVERY_S, self._ping)
