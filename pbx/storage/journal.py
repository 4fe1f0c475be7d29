"""A file that takes what the database cannot take just now, safely on disk, in order.

One JSON line a write, fsynced per batch. A line torn by a crash is the last one and was promised to nobody: it is
cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pbx.events.line import Line

from .writes import Write, decode_write, encode_write


class JournalFull(Exception):
    """The journal reached the size it may have."""


class Journal:
    """Used by one thread at a time."""

    def __init__(self, path: Path, *, max_bytes: int = 2 << 30) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._file: int = -1
        self._size = 0
        self.last_seq = 0
        """Highest event in it, 0 if there is none."""
        if path.exists():
            self._recover()

    def __len__(self) -> int:
        """Bytes in it."""
        return self._size

    def append(self, writes: Sequence[Write]) -> None:
        """On disk when this returns. Raises OSError (disk full ...) or JournalFull, and then nothing was added."""
        data = b"".join([encode_write(write) + b"\n" for write in writes])
        if self._size + len(data) > self.max_bytes:
            raise JournalFull(f"the journal {self.path} holds {self._size} bytes, its limit is {self.max_bytes}")
        if self._file < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            _sync_folder(self.path.parent)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        for write in reversed(writes):
            if type(write) is Line:
                self.last_seq = write.seq
                break

    def read(self, offset: int = 0, max_writes: int = 2000) -> tuple[list[Write], int]:
        """Writes from a byte offset on, and the offset after them."""
        found: list[Write] = []
        if not self._size:
            return found, offset
        with self.path.open("rb") as file:
            file.seek(offset)
            while len(found) < max_writes and file.tell() < self._size:
                found.append(decode_write(file.readline()))
            return found, file.tell()

    def read_all(self) -> Iterator[Write]:
        offset = 0
        while offset < self._size:
            writes, offset = self.read(offset)
            yield from writes

    def clear(self) -> None:
        """Everything in it is in the database."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._size = 0
        self.last_seq = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _recover(self) -> None:
        """Find the whole lines; cut off what a crash left unfinished."""
        good = 0
        with self.path.open("rb") as file:
            for text in file:
                if not text.endswith(b"\n"):
                    break
                try:
                    write = decode_write(text)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    break
                if type(write) is Line:
                    self.last_seq = write.seq
                good += len(text)
        self._size = good
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)
        os.ftruncate(self._file, good)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
