"""Recordings on disk: the unfinished file, its name, its sidecar, and what a dead gateway left behind.

While it grows a recording is ``.<name>.part`` beside its final place, with ``.<name>.part.json`` saying what it will
be. At the end: fsync, rename, checksum, sidecar. At start every ``.part`` is made a whole file and finished so too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import soundfile
import structlog

from media import wav
from media.conversation import Interval, measure_recording
from media.protocol.values import Conversation

log = structlog.get_logger("media.recordings")


class Segment(msgspec.Struct, kw_only=True):
    """A stretch of a recording with the same parties."""

    offset_ms: int
    metadata: dict[str, str]


class Sidecar(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``<recording>.json``. Times are UTC, ISO 8601; offsets milliseconds from the start of the file."""

    recording: str
    leg: str
    call: str = ""
    file: str
    format: str
    rate: int
    channels: tuple[str, str] = ("from the leg", "to the leg")
    codecs: tuple[str, ...] = ()
    started: str
    ended: str = ""
    duration_ms: int = 0
    size_bytes: int = 0
    sha256: str = ""
    metadata: dict[str, str] = {}
    segments: list[Segment] = []
    interruptions: list[dict[str, Any]] = []
    """Pauses and masks: ``{"state", "offset_ms"}`` in order."""
    conversation: Conversation | None = None
    """Who spoke how much; none: it could not be measured."""
    recovered: bool = False
    failed: str = ""


@dataclass(slots=True, eq=False)
class Recording:
    """One running recording, as the control side knows it."""

    number: int
    name: str
    leg: str
    leg_number: int
    path: Path
    fd: int
    rate: int
    sidecar: Sidecar
    state: Literal["recording", "paused", "masked"] = "recording"
    marks: list[dict[str, str]] = field(default_factory=list)
    failed: str = ""
    stopping: bool = False

    def milliseconds(self, samples: int) -> int:
        return max(samples, 0) * 1000 // self.rate


def utc_text(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def part_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def draft_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.part.json")


def resolve_path(folder: Path, wanted: str) -> Path:
    """The final path of a recording. Raises ValueError when it would lie outside the recordings folder."""
    root = folder.resolve()
    path = (root / wanted).resolve()
    if root not in path.parents or path.name.startswith(".") or path.suffix == ".json":
        raise ValueError(f"recording path {wanted!r} is not a plain file under the recordings folder")
    return path


def open_part(path: Path) -> int:
    """Create the unfinished file. Raises FileExistsError if the recording or its beginnings exist, else OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    if path.exists():
        raise FileExistsError(f"{path} exists")
    return os.open(part_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)


def write_draft(recording: Recording) -> None:
    """Note what the unfinished file is, for whoever finds it after a crash. Its loss costs only the metadata."""
    draft = draft_path(recording.path)
    temporary = draft.with_name(f"{draft.name}.new")
    with contextlib.suppress(OSError):
        temporary.write_bytes(msgspec.json.encode(recording.sidecar))
        os.replace(temporary, draft)


def finish_recording(recording: Recording, samples: int, wall: float) -> Sidecar:
    """Flush, rename, hash, write the sidecar. Blocks. Raises OSError; the unfinished file is then left in place."""
    os.close(recording.fd)
    sidecar = recording.sidecar
    sidecar.duration_ms = recording.milliseconds(samples)
    sidecar.ended = utc_text(wall)
    sidecar.failed = recording.failed
    return _publish(recording.path, sidecar)


def _publish(path: Path, sidecar: Sidecar) -> Sidecar:
    # First, while a crash still finds the unfinished file.
    sidecar.conversation = _measure(part_path(path), sidecar)
    wav.publish(part_path(path), path)
    sidecar.size_bytes = path.stat().st_size
    sidecar.sha256 = wav.hash_file(path)
    wav.write_sidecar(path, sidecar)
    with contextlib.suppress(OSError):
        draft_path(path).unlink()
    return sidecar


def _measure(part: Path, sidecar: Sidecar) -> Conversation | None:
    """A recording is worth keeping also when nothing can be said about it."""
    try:
        return measure_recording(part, _list_interruptions(sidecar))
    except (OSError, ValueError, soundfile.SoundFileError) as error:
        log.warning("recording.not_measured", path=str(part), reason=str(error))
        return None


def _list_interruptions(sidecar: Sidecar) -> Iterator[Interval]:
    """Pauses and masks; the last one may have no end."""
    ends = [*(change["offset_ms"] for change in sidecar.interruptions[1:]), sidecar.duration_ms]
    for change, end in zip(sidecar.interruptions, ends, strict=False):
        if change["state"] != "recording":
            yield change["offset_ms"], end


def find_orphans(folder: Path) -> Iterator[Path]:
    """Final paths of unfinished recordings under `folder`."""
    for part in sorted(folder.rglob(".*.part")):
        if part.is_file() and part.stat().st_size:
            yield part.with_name(part.name[1:-5])


def recover_orphans(folder: Path, wall: float, report: Callable[[Sidecar | None, Path, str], None]) -> None:
    """Make whole files of what a dead gateway left. `report` gets the sidecar, or None and why it failed. Blocks."""
    for path in find_orphans(folder):
        try:
            report(_recover_one(path, wall), path, "")
        except (OSError, wav.WavError) as error:
            report(None, path, str(error))


def _recover_one(path: Path, wall: float) -> Sidecar:
    part = part_path(path)
    ended = part.stat().st_mtime
    info = wav.recover(part).info
    if path.exists():
        # Somebody took the name meanwhile: keep both.
        path = path.with_name(f"{path.stem}.recovered-{int(ended)}{path.suffix}")
        os.rename(part, part_path(path))
    sidecar = _read_draft(part) or Sidecar(
        recording="", leg="", file=path.name, format=info.format, rate=info.rate, started=utc_text(wall)
    )
    sidecar.recovered = True
    sidecar.duration_ms = info.duration_ms
    sidecar.ended = utc_text(ended)
    sidecar.file = path.name
    result = _publish(path, sidecar)
    with contextlib.suppress(OSError):
        part.with_name(f"{part.name}.json").unlink()
    return result


def _read_draft(part: Path) -> Sidecar | None:
    try:
        return msgspec.json.decode(part.with_name(f"{part.name}.json").read_bytes(), type=Sidecar)
    except (OSError, msgspec.MsgspecError):
        return None
