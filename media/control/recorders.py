"""Recorders: from StartRecording to the finished file, its sidecar and its events."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from media.control.bridges import BridgeDesk
from media.control.clips import NAMES
from media.control.legs import LegRecord, LegTable, UnknownObject
from media.control.recordings import (
    Recording,
    Segment,
    Sidecar,
    draft_path,
    finish_recording,
    open_part,
    part_path,
    recover_orphans,
    resolve_path,
    utc_text,
    write_draft,
)
from media.engine.core import Engine
from media.protocol import (
    AnyEvent,
    DiskLevel,
    DiskState,
    RecordingCompleted,
    RecordingFailed,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    RecordingState,
    StartRecording,
)

MAX_PER_LEG = 2
LOW_BYTES = 2 * 1024**3
FULL_BYTES = 200 * 1024**2


class RecorderDesk:
    """`wall` gives UTC seconds since 1970."""

    def __init__(
        self,
        engine: Engine,
        legs: LegTable,
        bridges: BridgeDesk,
        folder: Path,
        executor: ThreadPoolExecutor,
        emit: Callable[[AnyEvent], None],
        wall: Callable[[], float],
        low_bytes: int = LOW_BYTES,
        full_bytes: int = FULL_BYTES,
    ) -> None:
        self._engine = engine
        self._legs = legs
        self._bridges = bridges
        self._folder = folder
        self._executor = executor
        self._emit = emit
        self._wall = wall
        self._by_name: dict[str, Recording] = {}
        self._by_number: dict[int, Recording] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._last = 0
        self._low = low_bytes
        self._full = full_bytes
        self.disk: DiskLevel = "ok"
        self.free = 0
        """Bytes, when the disk was last looked at."""

    def states(self) -> tuple[RecordingState, ...]:
        return tuple(
            RecordingState(
                recording=recording.name,
                leg=recording.leg,
                path=str(recording.path),
                state=recording.state,
                duration_ms=recording.milliseconds(self._engine.recorded_samples(recording.number)),
            )
            for recording in self._by_name.values()
        )

    def start(self, leg: LegRecord, command: StartRecording) -> None:
        """Raises ValueError, FileExistsError, OSError; nothing is left behind then."""
        running = self._by_name.get(command.recording)
        if running is not None:
            if running.leg == leg.name:
                return
            raise FileExistsError(f"recording {command.recording!r} runs on leg {running.leg!r}")
        if not leg.codecs:
            raise ValueError(f"leg {leg.name!r} is not configured yet")
        if len(leg.recordings) >= MAX_PER_LEG:
            raise ValueError(f"leg {leg.name!r} has {MAX_PER_LEG} recordings already")
        if self.disk == "full":
            raise OSError(errno.ENOSPC, "the recordings disk is full")
        path = resolve_path(self._folder, command.path)
        fd = open_part(path)
        self._last += 1
        rate = 8000 if leg.law >= 0 else leg.codecs[0].pcm_rate
        recording = Recording(
            number=self._last,
            name=command.recording,
            leg=leg.name,
            leg_number=leg.number,
            path=path,
            fd=fd,
            rate=rate,
            sidecar=Sidecar(
                recording=command.recording,
                leg=leg.name,
                call=leg.call,
                file=path.name,
                format=command.format,
                rate=rate,
                codecs=tuple(dict.fromkeys(NAMES[codec.kind] for codec in leg.codecs)),
                started=utc_text(self._wall()),
                metadata=dict(command.metadata),
                segments=[Segment(offset_ms=0, metadata=dict(command.metadata))],
            ),
        )
        try:
            self._engine.start_recording(recording.number, leg.number, fd, command.format, leg.law, rate)
        except BaseException:
            os.close(fd)
            os.unlink(part_path(path))
            raise
        leg.recordings.append(recording.name)
        self._by_name[recording.name] = recording
        self._by_number[recording.number] = recording
        write_draft(recording)
        if leg.law < 0:
            self._bridges.refresh(leg)
        self._emit(RecordingStarted(recording=recording.name, leg=leg.name, path=str(path)))

    def find(self, name: str) -> Recording:
        """Raises UnknownObject."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownObject(f"no recording {name!r}") from None

    def pause(self, name: str, mask: bool) -> None:
        recording = self.find(name)
        recording.state = "masked" if mask else "paused"
        self._engine.set_recording(recording.number, recording.leg_number, 2 if mask else 1)

    def resume(self, name: str) -> None:
        recording = self.find(name)
        if recording.state != "recording":
            recording.state = "recording"
            self._engine.set_recording(recording.number, recording.leg_number, 0)

    def mark(self, name: str, metadata: dict[str, str]) -> None:
        recording = self.find(name)
        recording.marks.append(metadata)
        self._engine.set_recording(recording.number, recording.leg_number, 3)

    def stop(self, name: str) -> None:
        recording = self.find(name)
        self._detach(recording)
        self._engine.stop_recording(recording.number, recording.leg_number)

    def leg_closed(self, leg: LegRecord) -> None:
        """The engine ends the leg's recorders itself."""
        for name in list(leg.recordings):
            self._detach(self._by_name[name])

    def _detach(self, recording: Recording) -> None:
        recording.stopping = True
        self._by_name.pop(recording.name, None)
        leg = self._legs.get(recording.leg)
        if leg is not None and recording.name in leg.recordings:
            leg.recordings.remove(recording.name)
            if leg.law < 0 and not leg.recordings:
                self._bridges.refresh(leg)

    # --- what the engine says -----------------------------------------------------------------------------

    def changed(self, number: int, state: int, samples: int) -> None:
        recording = self._by_number.get(number)
        if recording is None:
            return
        offset = recording.milliseconds(samples)
        sidecar = recording.sidecar
        if state == 3:
            metadata = recording.marks.pop(0) if recording.marks else {}
            sidecar.metadata = {**sidecar.metadata, **metadata}
            sidecar.segments.append(Segment(offset_ms=offset, metadata=metadata))
        else:
            sidecar.interruptions.append({"state": ("recording", "paused", "masked")[state], "offset_ms": offset})
            if state:
                self._emit(RecordingPaused(recording=recording.name, offset_ms=offset, masked=state == 2))
            else:
                self._emit(RecordingResumed(recording=recording.name, offset_ms=offset))
        write_draft(recording)

    def failed(self, number: int, code: int) -> None:
        """Writing failed: the call goes on, what is on the disk is kept."""
        recording = self._by_number.get(number)
        if recording is None:
            return
        recording.failed = os.strerror(code)
        self._emit(
            RecordingFailed(
                recording=recording.name,
                leg=recording.leg,
                path=str(recording.path),
                reason=recording.failed,
                kept=True,
            )
        )
        if not recording.stopping:
            self.stop(recording.name)

    def done(self, number: int, samples: int) -> None:
        """The writer is through with the file."""
        recording = self._by_number.pop(number, None)
        if recording is None:
            return
        self._by_name.pop(recording.name, None)
        task = asyncio.get_running_loop().create_task(self._finish(recording, samples))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _finish(self, recording: Recording, samples: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            sidecar = await loop.run_in_executor(self._executor, finish_recording, recording, samples, self._wall())
        except OSError as error:
            self._emit(
                RecordingFailed(
                    recording=recording.name,
                    leg=recording.leg,
                    path=str(recording.path),
                    reason=str(error),
                    kept=recording.path.exists() or part_path(recording.path).exists(),
                )
            )
            return
        if not recording.failed:
            self._emit(_completed(sidecar, recording.path))

    @property
    def busy(self) -> bool:
        """Whether the writer still works on a file."""
        return bool(self._by_number)

    async def settle(self) -> None:
        """Wait until every finished recording has its name and sidecar."""
        while self._finishing:
            await asyncio.wait(set(self._finishing))

    # --- disk ---------------------------------------------------------------------------------------------

    def check_disk(self) -> None:
        """Report a watermark that was crossed."""
        try:
            place = os.statvfs(self._folder)
        except OSError:
            return
        free = self.free = place.f_bavail * place.f_frsize
        level: DiskLevel = "full" if free < self._full else "low" if free < self._low else "ok"
        if level != self.disk:
            self.disk = level
            self._emit(DiskState(level=level, free_bytes=free))

    def recover(self) -> None:
        """Finish what a dead gateway left. Blocks; before the first command."""

        def report(sidecar: Sidecar | None, path: Path, reason: str) -> None:
            if sidecar is not None:
                self._emit(_completed(sidecar, path.with_name(sidecar.file)))
            else:
                kept = part_path(path).exists() or draft_path(path).exists()
                self._emit(RecordingFailed(recording="", leg="", path=str(path), reason=reason, kept=kept))

        recover_orphans(self._folder, self._wall(), report)


def _completed(sidecar: Sidecar, path: Path) -> RecordingCompleted:
    return RecordingCompleted(
        recording=sidecar.recording,
        leg=sidecar.leg,
        path=str(path),
        duration_ms=sidecar.duration_ms,
        size_bytes=sidecar.size_bytes,
        sha256=sidecar.sha256,
        conversation=sidecar.conversation,
    )
