"""Makes finished recordings smaller: FLAC (nothing is lost) or Opus, with a sidecar that matches.

Runs after the call, away from the engine: it blocks and uses a core. A file is replaced only when the new one has been
read back and found whole.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import soundfile

from media import wav

Target = Literal["flac", "opus"]
_FORMATS: dict[Target, tuple[str, str, str]] = {
    "flac": ("FLAC", "PCM_16", ".flac"),
    "opus": ("OGG", "OPUS", ".opus"),
}
_OPUS_RATES = frozenset({8000, 12_000, 16_000, 24_000, 48_000})
BLOCK_FRAMES = 65536


class ArchiveError(Exception):
    """A recording that could not be converted; it is still there as it was."""


def compress_recording(path: Path, target: Target, *, keep: bool = False) -> Path:
    """Convert a finished WAV recording beside itself and delete it (unless ``keep``). The sidecar moves along: it gets
    the new file's ``sha256``, ``size_bytes`` and ``format``, and keeps the original's as ``original_sha256``.

    :raises ArchiveError: unreadable, disk full, or the result is not as long as the original."""
    kind, subtype, extension = _FORMATS[target]
    final = path.with_suffix(extension)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".archiving", dir=path.parent)
        os.close(descriptor)
        frames = _convert(path, Path(temporary), kind, subtype)
        _verify(path, Path(temporary), frames, exact=target == "flac")
        status = path.stat()
        os.chmod(temporary, status.st_mode & 0o777)
        # Its age is the recording's: retention counts from the call.
        os.utime(temporary, (status.st_atime, status.st_mtime))
        _write_sidecar(path, Path(temporary), final, target)
        wav.publish(Path(temporary), final)
    except (OSError, soundfile.SoundFileError) as error:
        raise ArchiveError(f"{path}: {error}") from error
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    if not keep:
        path.unlink()
        wav.sidecar_path(path).unlink(missing_ok=True)
    return final


def _convert(source: Path, target: Path, kind: str, subtype: str) -> int:
    with soundfile.SoundFile(source) as original:
        if subtype == "OPUS" and original.samplerate not in _OPUS_RATES:
            raise ArchiveError(f"{source}: Opus does not take {original.samplerate} Hz")
        with soundfile.SoundFile(
            target, "w", original.samplerate, original.channels, format=kind, subtype=subtype
        ) as smaller:
            for block in original.blocks(BLOCK_FRAMES, dtype="int16"):
                smaller.write(block)
        return int(original.frames)


def _verify(source: Path, target: Path, frames: int, *, exact: bool) -> None:
    with soundfile.SoundFile(source) as original, soundfile.SoundFile(target) as smaller:
        if smaller.frames != frames or smaller.channels != original.channels:
            raise ArchiveError(f"{source}: converted to {smaller.frames} frames instead of {frames}")
        read = 0
        for block in smaller.blocks(BLOCK_FRAMES, dtype="int16"):
            read += len(block)
            if exact and not np.array_equal(block, original.read(len(block), dtype="int16")):
                raise ArchiveError(f"{source}: the converted file differs")
        if read != frames:
            raise ArchiveError(f"{source}: only {read} of {frames} frames can be read back")


def _write_sidecar(source: Path, finished: Path, final: Path, target: Target) -> None:
    beside = wav.sidecar_path(source)
    content: dict[str, Any] = {}
    if beside.exists():
        try:
            content = msgspec.json.decode(beside.read_bytes(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{beside}: {error}") from error
    if "sha256" in content:
        content["original_sha256"] = content["sha256"]
    content |= {
        "file": final.name,
        "format": target,
        "size_bytes": finished.stat().st_size,
        "sha256": wav.hash_file(finished),
    }
    wav.write_sidecar(final, content)
