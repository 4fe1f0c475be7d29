"""One media gateway: started where it is ours to start, connected to, and connected to again when it was lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

import msgspec
import structlog

from media.client import CommandRefused, GatewayClient, GatewayLost
from media.protocol import AnyCommand, AnyEvent, AnyReply, Welcome

log = structlog.get_logger()

RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
STOP_TIMEOUT_S = 10.0


class GatewaySpec(msgspec.Struct, frozen=True):
    name: str
    control: str
    """``unix:/path`` or ``tcp:host:port``."""
    command: tuple[str, ...] = ()
    """How to start it; empty: somebody else does."""
    token: str = ""

    def __repr__(self) -> str:
        return f"GatewaySpec(name={self.name!r}, control={self.control!r})"


class GatewayLink:
    """Calls back in the event loop: ``on_up(name, welcome)``, ``on_down(name, reason)``, ``on_reply``, ``on_event``."""

    def __init__(
        self,
        spec: GatewaySpec,
        *,
        on_up: Callable[[str, Welcome], None],
        on_down: Callable[[str, str], None],
        on_reply: Callable[[str, AnyReply], None],
        on_event: Callable[[str, AnyEvent], None],
    ) -> None:
        self.spec = spec
        self._on_up = on_up
        self._on_down = on_down
        self._on_reply = on_reply
        self._on_event = on_event
        self._client: GatewayClient | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._adopted = 0
        """Process id of a gateway that was there before us."""
        self._first_up = asyncio.Event()

    async def start(self, seconds: float = 10.0) -> None:
        """Connect, starting the process if need be. Raises TimeoutError when it does not come up; it is tried on."""
        self._task = asyncio.get_running_loop().create_task(self._keep())
        async with asyncio.timeout(seconds):
            await self._first_up.wait()

    def send(self, command: AnyCommand) -> None:
        """Send; what cannot be sent because the gateway is away is lost, as the legs it was about are."""
        if self._client is not None:
            with contextlib.suppress(GatewayLost):
                self._client.send(command)

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def stop(self, *, leave_running: bool = False) -> None:
        """Disconnect and, unless it shall live on, end a process that we started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            self._client.close()
        process = self._process
        if leave_running:
            return
        if process is None and self._adopted:
            # Started by a call control before us, which died: ours to end.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._adopted, signal.SIGTERM)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        wait = RETRY_S
        while True:
            try:
                client = await self._connect()
            except (OSError, TimeoutError, CommandRefused, GatewayLost) as error:
                log.debug("gateway.unreachable", gateway=self.spec.name, error=str(error))
                await self._start_process()
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, LONGEST_RETRY_S)
                continue
            wait = RETRY_S
            assert client.welcome is not None
            self._client = client
            if self._process is None and self.spec.command:
                self._adopted = client.peer_pid or 0
            self._on_up(self.spec.name, client.welcome)
            self._first_up.set()
            await client.wait_closed()
            self._client = None
            log.warning("gateway.lost", gateway=self.spec.name)
            self._on_down(self.spec.name, "the control connection was lost")

    async def _connect(self) -> GatewayClient:
        name = self.spec.name
        return await GatewayClient.connect(
            self.spec.control,
            token=self.spec.token,
            on_event=lambda event: self._on_event(name, event),
            on_reply=lambda reply: self._on_reply(name, reply),
        )

    async def _start_process(self) -> None:
        if not self.spec.command or (self._process is not None and self._process.returncode is None):
            return
        environment = dict(os.environ)
        if self.spec.token:
            environment["TANDEM_MEDIA_TOKEN"] = self.spec.token
        # A session of its own: a Ctrl-C in the terminal of call control does not reach it, and it outlives a crash.
        self._process = await asyncio.create_subprocess_exec(
            *self.spec.command, env=environment, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        log.info("gateway.started", gateway=self.spec.name, pid=self._process.pid)


def make_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command line of a gateway of this installation."""
    return (sys.executable, "-m", "media.gateway", *arguments)
