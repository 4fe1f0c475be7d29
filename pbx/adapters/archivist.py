"""Makes recordings smaller after their calls: beside the media path, a few at a time, and losing none.

A WAV is converted in a process of low priority and verified there; then the log says where the recording is now, and
only when that is on disk does the WAV go. At start whatever an earlier server left is found in the folder: WAVs that
wait, and those whose archive is there already.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from media.archive import ArchiveError, Target, compress_recording
from media.wav import sidecar_path
from pbx.events import catalogue as facts

MESSAGES = "messages"
"""Subfolder of voice messages: short, and played again by flows."""
LEFTOVER = "*.archiving"
LOWEST_PRIORITY = 19

log = structlog.get_logger()


class Archivist:
    """``configure`` may be called at any time; ``publish`` gets what is on disk of the log."""

    def __init__(self, *, state: Callable[[facts.AnyEvent], None]) -> None:
        self._state = state
        self._root = Path()
        self._target: Target | None = None
        self._wanted = 0
        self._waiting: asyncio.Queue[Path] = asyncio.Queue()
        self._known: set[Path] = set()
        """WAVs that wait, are being converted, or are kept until the log says that they may go."""
        self._workers: list[asyncio.Task[None]] = []
        self._pool: ProcessPoolExecutor | None = None
        self._scan: asyncio.Task[None] | None = None

    def configure(self, root: Path, target: Literal["none", "flac", "opus"], at_once: int) -> None:
        """Archive recordings below ``root`` as ``target``, ``at_once`` at a time."""
        self._root, self._wanted = root, at_once
        before, self._target = self._target, None if target == "none" else target
        if self._target is None:
            return
        while len(self._workers) < at_once:
            self._workers.append(asyncio.get_running_loop().create_task(self._work(len(self._workers))))
        if before is None:
            self._scan = asyncio.get_running_loop().create_task(self._find_left())

    def publish(self, facts_on_disk: Iterable[facts.AnyEvent]) -> None:
        """Recordings that are complete are taken on; of those whose archive is in the log the WAV goes."""
        for fact in facts_on_disk:
            if isinstance(fact, facts.RecordingCompleted):
                if self._target is not None and not fact.path.startswith(f"{MESSAGES}/"):
                    self._take(self._root / fact.path)
            elif isinstance(fact, facts.RecordingArchived):
                archive = self._root / fact.path
                _delete(archive)
                self._known.discard(archive.with_suffix(".wav"))

    def _take(self, path: Path) -> None:
        if path not in self._known:
            self._known.add(path)
            self._waiting.put_nowait(path)

    async def stop(self) -> None:
        """What is being converted is given up; the next server begins it again."""
        tasks = [*self._workers, *([self._scan] if self._scan else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _find_left(self) -> None:
        for path in await asyncio.to_thread(lambda: list(_find_waiting(self._root))):
            self._take(path)

    async def _work(self, number: int) -> None:
        while True:
            path = await self._waiting.get()
            target = self._target
            if number >= self._wanted or target is None:
                # Fewer at a time than before: left to the others, or to a time when it is wanted again.
                if target is not None:
                    self._waiting.put_nowait(path)
                return
            try:
                await self._archive(path, target)
            except (ArchiveError, OSError, msgspec.MsgspecError, BrokenExecutor) as error:
                log.error("recording.not_archived", path=str(path), reason=str(error))
                self._known.discard(path)
                if isinstance(error, BrokenExecutor):
                    self._pool = None

    async def _archive(self, path: Path, target: Target) -> None:
        if not await asyncio.to_thread(path.exists):
            self._known.discard(path)
            return
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max(self._wanted, 1), mp_context=get_context("spawn"), initializer=_step_back
            )
        final = await loop.run_in_executor(self._pool, make_archive, path, target)
        content: dict[str, Any] = msgspec.json.decode(await asyncio.to_thread(sidecar_path(final).read_bytes))
        self._state(
            facts.RecordingArchived(
                call=content.get("metadata", {}).get("call", ""),
                recording=content.get("recording", ""),
                path=str(final.relative_to(self._root)),
                format=target,
                size_bytes=content["size_bytes"],
                sha256=content["sha256"],
            )
        )


def make_archive(path: Path, target: Target) -> Path:
    """The verified archive of a WAV, made now or by a server before us. Blocks. Raises ArchiveError, OSError."""
    final = path.with_suffix(f".{target}")
    if final.exists() and _original_of(final) == _read(path).get("sha256", ""):
        return final
    return compress_recording(path, target, keep=True)


def _original_of(archive: Path) -> object:
    return _read(archive).get("original_sha256")


def _read(recording: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = msgspec.json.decode(sidecar_path(recording).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return {}
    return content


def _step_back() -> None:
    os.nice(LOWEST_PRIORITY)


def _find_waiting(root: Path) -> Iterator[Path]:
    """Complete recordings that are still WAVs; half-made archives are removed on the way. Blocks."""
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and MESSAGES in folders:
            folders.remove(MESSAGES)
        for name in sorted(files):
            path = Path(folder, name)
            if path.match(LEFTOVER):
                path.unlink(missing_ok=True)
            elif name.endswith(".wav") and not name.startswith(".") and sidecar_path(path).exists():
                yield path


def _delete(archive: Path) -> None:
    """The WAV an archive was made of, with its sidecar; never without the archive."""
    original = archive.with_suffix(".wav")
    if original == archive or not archive.exists():
        return
    try:
        original.unlink(missing_ok=True)
        sidecar_path(original).unlink(missing_ok=True)
    except OSError as error:
        log.error("recording.not_deleted", path=str(original), reason=error.strerror)
