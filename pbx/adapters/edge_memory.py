"""What the SIP edge remembers over a restart, in one small file: bans, and what outside calls cost today.

Written every half minute when it changed and at the end; after a crash the last half minute is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from pbx.sip.guard import Ban
from pbx.sip.tollfraud import DayUse

log = structlog.get_logger()

INTERVAL = 30.0


class Kept(msgspec.Struct, frozen=True):
    bans: tuple[Ban, ...] = ()
    """``until`` in seconds since 1970."""
    uses: tuple[DayUse, ...] = ()


class EdgeMemory:
    """``epoch``: wall clock minus monotonic clock, in seconds; callers speak of monotonic time."""

    def __init__(self, path: Path, epoch: float, *, interval: float = INTERVAL) -> None:
        self._path = path
        self._epoch = epoch
        self._interval = interval
        self._written = b""
        self._task: asyncio.Task[None] | None = None
        self._collect: Callable[[], tuple[Sequence[Ban], Sequence[DayUse]]] = lambda: ((), ())

    def load(self) -> Kept:
        """What was kept; nothing if there is no file or it is not readable, which is logged."""
        try:
            data = self._path.read_bytes()
            kept = msgspec.json.decode(data, type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("sip.edge.memory_unreadable", path=str(self._path), error=str(error))
            return Kept()
        self._written = data
        bans = tuple(msgspec.structs.replace(ban, until=ban.until - self._epoch) for ban in kept.bans)
        return Kept(bans, kept.uses)

    def start(self, collect: Callable[[], tuple[Sequence[Ban], Sequence[DayUse]]]) -> None:
        """Ask ``collect`` from time to time what is to be kept."""
        self._collect = collect
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._save()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._save()

    async def _save(self) -> None:
        bans, uses = self._collect()
        moved = tuple(msgspec.structs.replace(ban, until=round(ban.until + self._epoch, 3)) for ban in bans)
        data = msgspec.json.encode(Kept(moved, tuple(uses)))
        if data == self._written:
            return
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            log.error("sip.edge.memory_unwritable", path=str(self._path), error=str(error))
            return
        self._written = data

    def _write(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(data)
        fresh.replace(self._path)
