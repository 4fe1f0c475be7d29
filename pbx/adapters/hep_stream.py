"""Sends the SIP ladder to a Homer collector over TCP or TLS. HEPv3 packets tell their own length, so they just follow.

A collector that is away is tried again; what happens meanwhile, or is more than it reads, is lost: calls never wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import structlog

from pbx.sip.capture import encode_hep
from pbx.sip.ladder import LadderEntry

log = structlog.get_logger()

MAX_BUFFER = 1 << 20
"""Octets that wait for a slow collector."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
CONNECT_S = 10.0


class HepStream:
    """One collector. ``epoch``: wall clock minus monotonic clock, in seconds. ``context``: with it TLS is spoken."""

    def __init__(
        self,
        epoch: float,
        *,
        context: ssl.SSLContext | None = None,
        agent: int = 0,
        password: str = "",
        first_wait: float = FIRST_WAIT_S,
    ) -> None:
        self._epoch = epoch
        self._context = context
        self._agent = agent
        self._password = password
        self._first_wait = first_wait
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self.lost = 0
        """Messages that were not sent."""
        self.changed = asyncio.Event()
        """Set whenever a connection begins or ends."""

    async def open(self, host: str, port: int = 9060) -> None:
        """Begin to connect, and go on trying."""
        self._task = asyncio.get_running_loop().create_task(self._run(host, port))

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    def send(self, entry: LadderEntry) -> None:
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > MAX_BUFFER:
            self.lost += 1
            return
        writer.write(encode_hep(entry, self._epoch, agent=self._agent, password=self._password))

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _run(self, host: str, port: int) -> None:
        wait = self._first_wait
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
            except (OSError, TimeoutError) as error:
                log.warning("sip.hep.unreachable", host=host, port=port, error=str(error), again_in=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
                continue
            wait, self._writer = self._first_wait, writer
            self.changed.set()
            log.info("sip.hep.sending", host=host, port=port, lost=self.lost)
            with contextlib.suppress(OSError):
                # Collectors say nothing; the end of the stream is all there is to read.
                while await reader.read(4096):
                    pass
            self._writer = None
            self.changed.set()
            writer.close()
            await asyncio.sleep(wait)
