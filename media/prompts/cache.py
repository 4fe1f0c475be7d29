"""Two caches: clips on disk that survive a restart, and objects in memory with a byte limit."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from media.dsp.level import Samples

T = TypeVar("T")

_HEAD = struct.Struct("<8sIII")
_MAGIC = b"TDMCLIP1"


class MemoryCache(Generic[T]):
    """Least-recently-used values up to a number of bytes; each is made once, however many threads ask together."""

    def __init__(self, limit_bytes: int, size: Callable[[T], int]) -> None:
        self._limit = limit_bytes
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._used = 0
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, made if it is not there. What ``make`` raises is raised, and nothing is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            try:
                value = make()
            except BaseException:
                with self._lock:
                    self._making.pop(key, None)
                raise
            with self._lock:
                self._making.pop(key, None)
                self._used += self._size(value) - (self._size(self._values[key]) if key in self._values else 0)
                self._values[key] = value
                while self._used > self._limit and len(self._values) > 1:
                    _, old = self._values.popitem(last=False)
                    self._used -= self._size(old)
            return value

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return self._used

    def clear(self) -> None:
        """Forget everything; who holds a value keeps it."""
        with self._lock:
            self._values.clear()
            self._used = 0


class DiskCache:
    """Clips of 16-bit mono samples in files named by the hash of what they were made from.

    Files are written beside their name and renamed, so a reader sees a whole clip or none; a checksum finds what a
    failing disk made of it, and the clip is made again."""

    def __init__(self, folder: Path, limit_bytes: int = 2 * 1024**3) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._written = limit_bytes  # look at the folder once at the first write
        self._lock = threading.Lock()

    def get(self, key: str) -> tuple[Samples, int] | None:
        """Samples and rate, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) < _HEAD.size:
            return None
        magic, rate, count, checksum = _HEAD.unpack_from(data)
        body = memoryview(data)[_HEAD.size :]
        if magic != _MAGIC or len(body) != count * 2 or zlib.crc32(body) != checksum:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the last use, for pruning
        return np.frombuffer(body, dtype="<i2").astype(np.int16), rate

    def put(self, key: str, samples: Samples, rate: int) -> None:
        """Keep a clip. A full or read-only disk only costs the caching, so it is no error."""
        body = samples.astype("<i2").tobytes()
        path = self._path(key)
        temporary = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_HEAD.pack(_MAGIC, rate, len(samples), zlib.crc32(body)))
                file.write(body)
            os.rename(temporary, path)
        except OSError:
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            return
        with self._lock:
            self._written += len(body)
            due = self._written > self._limit // 16
            if due:
                self._written = 0
        if due:
            self.prune()

    def prune(self) -> int:
        """Delete the clips unused for longest until the rest fits the limit. Returns how many went."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*.clip"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        used = sum(size for _, size, _ in found)
        gone = 0
        for _, size, path in sorted(found):
            if used <= self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                used -= size
                gone += 1
        return gone

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}.clip"
