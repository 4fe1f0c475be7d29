"""A whole desk on a free port: event log, CTI socket and HTTP, with a switch that is a list of what it was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from pbx.adapters.desk_server import DeskServer, load_live
from pbx.adapters.gatekeeper import Gatekeeper
from pbx.adapters.http import HttpServer
from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, AnyCommand, CommandDone, CommandResult
from pbx.cti.permissions import Directory
from pbx.events.catalogue import AnyEvent, AuditEntry, Record
from pbx.events.line import Line
from pbx.ports.backend import Health, Histogram, Metric
from pbx.storage.event_log import EventLog
from pbx.storage.records import Records
from pbx.storage.users import Users
from pbx.web.app import create_app

DIRECTORY = Directory(
    teams={"red": ("1001", "1002"), "blue": ("1003",)},
    agent_queues={"1001": ("support",), "1002": ("support", "sales"), "1003": ("sales",)},
    agent_devices={"1001": "extension:1001", "1002": "extension:1002", "1003": "extension:1003"},
)


class Desk:
    """Implements ``Backend``. ``answer`` is what the switch says to every command; None: nothing, until ``finish``."""

    metrics_open = False

    def __init__(self, folder: Path, *, max_backlog: int = 4 << 20) -> None:
        self.folder = folder
        self.recordings_root = folder / "recordings"
        self.commands: list[tuple[Actor, AnyCommand, str]] = []
        self.answer: CommandResult | None = Accepted(data={"done": True})
        self.max_backlog = max_backlog
        self.tokens: dict[str, str] = {}
        self.port = 0
        self.status = Health("ok", {"database": "ok"})

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.progress = asyncio.Condition()
        self.commanded = asyncio.Event()
        self.log = EventLog(
            f"sqlite:///{self.folder}/tandem.db",
            journal=self.folder / "journal",
            post=loop.call_soon_threadsafe,
            on_durable=self._publish,
        )
        self.log.open()
        self.users, self.records = Users(self.log.engine), Records(self.log.engine)
        self.gatekeeper = Gatekeeper(self.users, clock=time.monotonic, wall=time.time)
        self.desk = DeskServer(
            self.log,
            self.gatekeeper,
            load_live(self.log),
            self._execute,
            clock=time.monotonic,
            wall=time.time,
            directory=DIRECTORY,
            max_backlog=self.max_backlog,
        )
        self.http = HttpServer(create_app(self), self.desk.make_socket, port=self.port)
        await self.http.start()
        self.url = f"http://127.0.0.1:{self.http.port}"
        self.ws_url = f"ws://127.0.0.1:{self.http.port}/cti"

    async def stop(self) -> None:
        await self.desk.stop()
        await self.http.stop()
        assert await asyncio.to_thread(self.log.close)

    def add_user(
        self, name: str, role: Any, *, agent: str = "", teams: Sequence[str] = (), password: str | None = None
    ) -> str:
        """Returns a token."""
        self.users.put_user(name, role, wall=time.time(), agent=agent, teams=teams, password=password)
        self.tokens[name] = self.users.create_token(name, wall=time.time())
        return self.tokens[name]

    def client(self, user: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers)

    def connect(self, user: str = "", **options: Any) -> connect:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        options = {"compression": None, "max_size": None, "max_queue": None} | options
        return connect(self.ws_url, additional_headers=headers, **options)

    def append(self, *events: AnyEvent, at: float = 1_795_000_000.0) -> None:
        first = self.log.last_seq + 1
        self.log.append([Record(first + n, at + n, event) for n, event in enumerate(events)])

    def replay(self, records: Iterable[Record]) -> None:
        self.log.append([Record(self.log.last_seq + 1 + n, r.at, r.event) for n, r in enumerate(records)])

    async def settle(self) -> None:
        """Everything appended is durable and delivered."""
        assert await asyncio.to_thread(self.log.flush)
        async with self.progress:
            await self.progress.wait_for(lambda: self.desk.hub.seq >= self.log.last_seq)

    def finish(self, result: CommandResult, n: int = -1) -> None:
        self.desk.done(CommandDone(request_id=self.commands[n][2], result=result))

    def _publish(self, lines: Sequence[tuple[Line, Record]]) -> None:
        self.desk.publish(lines)
        self.desk.spawn(self._tell_progress())

    async def _tell_progress(self) -> None:
        async with self.progress:
            self.progress.notify_all()

    def _execute(self, actor: Actor, command: AnyCommand, request_id: str) -> None:
        self.commands.append((actor, command, request_id))
        self.commanded.set()
        if self.answer is not None:
            self.desk.done(CommandDone(request_id=request_id, result=self.answer))

    # --- Backend --------------------------------------------------------------------------------------------------

    def wall(self) -> float:
        return time.time()

    def health(self) -> Health:
        return self.status

    def metrics(self) -> Iterable[Metric | Histogram]:
        return [
            Metric("tandem_sip_dialogs", "Dialogs", 3),
            Metric("tandem_calls_total", "Calls", 7, {"trunk": "a"}),
            Histogram("tandem_gateway_tick_late_seconds", "Late", (0.0001, 0.002), (90, 8, 2), 0.5, {"gateway": "g1"}),
        ]

    async def audit(self, user: str, action: str, object: str, detail: str = "") -> None:
        self.append(AuditEntry(user=user, action=action, object=object, detail=detail))
        await self.settle()


class Rpc:
    """A small JSON-RPC client over a WebSocket; what is no response is kept in ``notes``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.notes: list[dict[str, Any]] = []
        self._count = 0

    async def call(self, method: str, params: dict[str, Any] | None = None, *, id: Any = None) -> dict[str, Any]:
        """The whole response."""
        self._count += 1
        id = f"request-{self._count:04}" if id is None else id
        await self.socket.send(
            msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}).decode()
        )
        while True:
            message = await self.read()
            if "id" in message:
                assert message["id"] in (id, None)
                return message
            self.notes.append(message)

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await asyncio.wait_for(self.socket.recv(), 10))
        return found

    async def note(self, method: str = "event") -> dict[str, Any]:
        """Params of the next notification of this kind."""
        while True:
            message = self.notes.pop(0) if self.notes else await self.read()
            if message.get("method") == method:
                found: dict[str, Any] = message["params"]
                return found


@asynccontextmanager
async def run_desk(folder: Path) -> AsyncIterator[Desk]:
    """A desk with one user of each kind."""
    desk = Desk(folder)
    await desk.start()
    try:
        desk.add_user("anna", "agent", agent="1001")
        desk.add_user("bob", "agent", agent="1003")
        desk.add_user("susan", "supervisor", teams=["red"])
        desk.add_user("quentin", "quality")
        desk.add_user("root", "administrator")
        yield desk
    finally:
        await desk.stop()
