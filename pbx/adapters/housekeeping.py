"""What has to go in time: recordings, events and records beyond their retention, and folders left empty."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from media.wav import sidecar_path
from pbx.storage.database import StorageUnavailable

INTERVAL_S = 3600.0
DAY_S = 86400.0
BATCH = 500
"""Files deleted at a time, so that a large clean-up does not keep the disk from the recorders."""

RECORDINGS = (".wav", ".flac", ".opus")

log = structlog.get_logger()


class Housekeeper:
    """Goes through recordings and records every hour. ``configure`` may be called at any time."""

    def __init__(self, *, wall: Callable[[], float], delete_records: Callable[[float], int]) -> None:
        """``delete_records(before)`` deletes some old rows of the database and tells how many; it may block."""
        self._wall = wall
        self._delete_records = delete_records
        self._root = Path()
        self._retention_days = 0
        self._event_retention_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def configure(self, root: Path, retention_days: int, event_retention_s: float) -> None:
        """Recordings below ``root`` are kept for so many days, events and records for so long; 0: for ever."""
        self._root, self._retention_days, self._event_retention_s = root, retention_days, event_retention_s

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self.clean()
            await asyncio.sleep(INTERVAL_S)

    async def clean(self) -> None:
        """Delete what is due now."""
        if self._retention_days:
            before = self._wall() - self._retention_days * DAY_S
            count = await _repeat(lambda: delete_older(self._root, before, BATCH))
            if count:
                log.info("recordings.deleted", count=count, older_than_days=self._retention_days)
        if self._event_retention_s:
            oldest = self._wall() - self._event_retention_s
            try:
                count = await _repeat(lambda: self._delete_records(oldest))
            except (SQLAlchemyError, StorageUnavailable) as error:
                log.warning("records.not_deleted", reason=str(error))
                return
            if count:
                log.info("records.deleted", rows=count, older_than_days=self._event_retention_s / DAY_S)


async def _repeat(delete: Callable[[], int]) -> int:
    """Until there is nothing left; the loop and the disk have others to serve in between."""
    total = 0
    while count := await asyncio.to_thread(delete):
        total += count
        await asyncio.sleep(0.05)
    return total


def delete_older(root: Path, before: float, limit: int) -> int:
    """Delete at most ``limit`` recordings last written before ``before``, with sidecars and the folders left empty.

    What cannot be deleted is told and left. Returns how many were deleted.
    """
    count = 0
    for path in _find_older(root, before):
        if count >= limit:
            break
        try:
            path.unlink()
            sidecar_path(path).unlink(missing_ok=True)
        except OSError as error:
            log.error("recording.not_deleted", path=str(path), reason=error.strerror)
            continue
        count += 1
        _remove_empty(path.parent, root)
    return count


def _find_older(root: Path, before: float) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(RECORDINGS) and not name.startswith("."):
                try:
                    if path.stat().st_mtime < before:
                        yield path
                except FileNotFoundError:
                    continue


def _remove_empty(folder: Path, root: Path) -> None:
    """Up to, but without, the root."""
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
