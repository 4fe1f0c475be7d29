"""WAV files of recordings: headers, repair of unfinished files, sidecars and checksums.

The header has the same size whatever the length: a JUNK chunk stands where the ``ds64`` chunk of RF64 (EBU Tech 3306)
goes once a file passes 4 GiB, so a recorder rewrites its header in place and the file is valid at every moment::

    RIFF|RF64 size WAVE · JUNK|ds64 (28) · fmt (16, G.711: 18) · G.711 only: fact (4) · data size · samples to the end
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

Format = Literal["pcm16", "pcmu", "pcma"]
_TAGS: dict[Format, int] = {"pcm16": 1, "pcma": 6, "pcmu": 7}
_FORMATS: dict[int, Format] = {tag: name for name, tag in _TAGS.items()}
SAMPLE_BYTES: dict[Format, int] = {"pcm16": 2, "pcmu": 1, "pcma": 1}

_UINT32_MAX = 0xFFFF_FFFF
MAX_HEADER = 4096
"""A data chunk that begins later than this is not one of ours."""
READ_SIZE = 1 << 20


class WavError(ValueError):
    """Not a WAV file that can be read or repaired; the message says what is wrong with which file."""


@dataclass(frozen=True, slots=True)
class WavInfo:
    """What a header says."""

    format: Format
    channels: int
    rate: int
    data_offset: int
    """Bytes before the first sample."""
    data_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return SAMPLE_BYTES[self.format] * self.channels

    @property
    def frames(self) -> int:
        return self.data_bytes // self.frame_bytes

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.rate


@dataclass(frozen=True, slots=True)
class RecoveredInfo:
    """What became of an unfinished file."""

    path: Path
    info: WavInfo
    repaired: bool
    """False: the header was right already."""
    trimmed_bytes: int
    """Bytes of an incomplete last frame that were cut off."""


def header_size(format: Format) -> int:
    """Offset of the first sample in files with headers of :func:`build_header`."""
    return 80 if format == "pcm16" else 94


def build_header(format: Format, channels: int, rate: int, data_bytes: int) -> bytes:
    """Header of a file with ``data_bytes`` of samples; RF64 where 32 bits do not hold the size.

    :raises ValueError: channels other than 1-2, or a length that is negative or no whole number of frames."""
    if channels not in (1, 2) or rate <= 0:
        raise ValueError(f"WAV of {channels} channels at {rate} Hz")
    width = SAMPLE_BYTES[format]
    frame = width * channels
    if data_bytes < 0 or data_bytes % frame:
        raise ValueError(f"{data_bytes} bytes are no whole number of {frame}-byte frames")
    size = header_size(format)
    riff = size - 8 + data_bytes + (data_bytes & 1)  # chunks are padded to even length
    big = riff > _UINT32_MAX
    frames = data_bytes // frame
    head = struct.pack("<4sI4s", b"RF64" if big else b"RIFF", _UINT32_MAX if big else riff, b"WAVE")
    if big:
        head += struct.pack("<4sIQQQI", b"ds64", 28, riff, data_bytes, frames, 0)
    else:
        head += struct.pack("<4sI28x", b"JUNK", 28)
    layout = struct.pack("<HHIIHH", _TAGS[format], channels, rate, rate * frame, frame, width * 8)
    if format == "pcm16":
        head += struct.pack("<4sI", b"fmt ", 16) + layout
    else:
        head += struct.pack("<4sI", b"fmt ", 18) + layout + b"\0\0"
        head += struct.pack("<4sII", b"fact", 4, min(frames, _UINT32_MAX))
    return head + struct.pack("<4sI", b"data", _UINT32_MAX if big else data_bytes)


def parse_header(head: bytes) -> WavInfo:
    """Read the beginning of a WAV or RF64 file (up to :data:`MAX_HEADER` bytes, data chunk included).

    :raises WavError: not WAV, cut short, or a format other than PCM 16 and G.711 in 1-2 channels."""
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        raise WavError("no RIFF/WAVE header")
    position = 12
    long_data: int | None = None
    layout: tuple[Format, int, int] | None = None
    while position + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, position)
        body = head[position + 8 : position + 8 + size]
        if name == b"data":
            if layout is None:
                raise WavError("data before format")
            length = long_data if size == _UINT32_MAX and long_data is not None else size
            return WavInfo(*layout, position + 8, length)
        if name == b"ds64" and len(body) >= 16:
            long_data = int(struct.unpack_from("<Q", body, 8)[0])
        elif name == b"fmt ":
            layout = _parse_format(body)
        position += 8 + size + (size & 1)
    raise WavError(f"no data chunk within {MAX_HEADER} bytes")


def _parse_format(body: bytes) -> tuple[Format, int, int]:
    if len(body) < 16:
        raise WavError("format chunk cut short")
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", body)
    name = _FORMATS.get(tag)
    if name is None or channels not in (1, 2) or bits != SAMPLE_BYTES[name] * 8 or rate == 0:
        raise WavError(f"format {tag} with {channels} channels of {bits} bits at {rate} Hz is none of ours")
    if frame != SAMPLE_BYTES[name] * channels:
        raise WavError(f"frame of {frame} bytes for {channels} channels of {bits} bits")
    return name, channels, rate


def read_info(path: Path) -> WavInfo:
    """The header of a file as it stands. :raises WavError: see :func:`parse_header`. :raises OSError: unreadable."""
    with path.open("rb") as file:
        try:
            return parse_header(file.read(MAX_HEADER))
        except WavError as error:
            raise WavError(f"{path}: {error}") from None


def recover(path: Path) -> RecoveredInfo:
    """Make an unfinished or cut-off recording a correct file: everything behind the header is samples, an incomplete
    last frame is cut off, the header is rewritten to fit and all is flushed to disk.

    Only for files written with :func:`build_header`, where nothing follows the samples; doing it twice is harmless.

    :raises WavError: the header itself is unreadable, so that format and rate are unknown."""
    info = read_info(path)
    with path.open("r+b") as file:
        there = os.fstat(file.fileno()).st_size - info.data_offset
        padded = there == info.data_bytes + 1 and info.data_bytes % 2 == 1
        samples = info.data_bytes if padded else there
        extra = samples % info.frame_bytes
        samples -= extra
        wanted = build_header(info.format, info.channels, info.rate, samples)
        if len(wanted) != info.data_offset:
            raise WavError(f"{path}: header of {info.data_offset} bytes was not written by this recorder")
        fixed = WavInfo(info.format, info.channels, info.rate, info.data_offset, samples)
        head = file.read(len(wanted))
        if head == wanted and extra == 0 and (padded or samples % 2 == 0):
            return RecoveredInfo(path, fixed, repaired=False, trimmed_bytes=0)
        file.truncate(info.data_offset + samples)
        if samples % 2:
            file.seek(0, os.SEEK_END)
            file.write(b"\0")
        file.seek(0)
        file.write(wanted)
        file.flush()
        os.fsync(file.fileno())
    return RecoveredInfo(path, fixed, repaired=True, trimmed_bytes=extra)


def hash_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; reads in blocks and lets other threads run."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(READ_SIZE):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Flush a finished file, give it its final name (replacing what has it) and flush the folder."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, final)
    sync_folder(final.parent)


def sidecar_path(recording: Path) -> Path:
    """Where the JSON beside a recording lives."""
    return recording.with_name(recording.name + ".json")


def write_sidecar(recording: Path, content: Mapping[str, Any] | msgspec.Struct) -> Path:
    """Write ``<recording>.json`` so that a reader finds the old one, the new one, or none, never a part.

    :raises OSError: the disk is full or read-only; nothing is left behind."""
    final = sidecar_path(recording)
    body = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    # Not ".part": what is left of it by a crash is no recording to be made whole.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".new", dir=final.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o640)
            os.fsync(file.fileno())
        os.rename(temporary, final)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(final.parent)
    return final
