"""espeak-ng in a worker process: its library keeps global state, and a crash or a hang there must not touch calls.

Requests and replies are MessagePack behind a 4-byte big-endian length on the worker's standard input and output
(:mod:`media.prompts.espeak_worker`). One text at a time; a worker that is late or gone is replaced, and the text tried
once more on the new one.
"""

from __future__ import annotations

import importlib.metadata
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from typing import IO

import msgspec
import numpy as np

from media.dsp.level import to_float
from media.prompts.errors import PromptError
from media.prompts.voice import MAX_AUDIO_BYTES, Clip, Voice


class SpeakRequest(msgspec.Struct, frozen=True, array_like=True):
    """To the worker."""

    text: str
    voice: str
    words_per_minute: int
    pitch: int


class SpeakReply(msgspec.Struct, frozen=True, array_like=True):
    """From the worker; ``error`` empty means it worked."""

    error: str
    rate: int
    pcm: bytes
    """16-bit little-endian mono."""


class _WorkerLost(Exception):
    """The worker died or was too slow; says which."""


class Espeak:
    """The engine row ``espeak``. The worker starts with the first text."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", "media.prompts.espeak_worker")) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._version = f"espeakng-loader {importlib.metadata.version('espeakng-loader')}"

    @property
    def version(self) -> str:
        """Version of the package that carries the library and its voices."""
        return self._version

    def speak(self, text: str, language: str, voice: Voice) -> Clip:
        """Render one text. :raises PromptError: no such voice, or the worker failed twice."""
        request = SpeakRequest(text, voice.voice or language.lower(), voice.words_per_minute, voice.pitch)
        with self._lock:
            try:
                reply = self._ask(request, voice.timeout_s)
            except _WorkerLost:
                try:
                    reply = self._ask(request, voice.timeout_s)
                except _WorkerLost as error:
                    raise PromptError(f"espeak: {error} twice on {len(text)} characters of {language[:40]!r}") from None
        if reply.error:
            raise PromptError(f"espeak: {reply.error}")
        return Clip(to_float(np.frombuffer(reply.pcm, dtype="<i2").astype(np.int16)), reply.rate)

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._stop()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, if one runs."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def _ask(self, request: SpeakRequest, timeout_s: float) -> SpeakReply:
        deadline = time.monotonic() + timeout_s
        if self._worker is None or self._worker.poll() is not None:
            self._stop()
            # No shell, no inherited descriptors; its own session, so that Ctrl-C reaches only the gateway. When the
            # gateway dies, the worker reads end of file and ends too.
            self._worker = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        worker = self._worker
        assert worker.stdin is not None and worker.stdout is not None
        try:
            body = msgspec.msgpack.encode(request)
            worker.stdin.write(struct.pack(">I", len(body)) + body)
            (size,) = struct.unpack(">I", self._read(worker.stdout, 4, deadline))
            if size > MAX_AUDIO_BYTES:
                raise _WorkerLost(f"worker announced {size} bytes")
            return msgspec.msgpack.decode(self._read(worker.stdout, size, deadline), type=SpeakReply)
        except (OSError, msgspec.DecodeError) as error:
            self._stop()
            raise _WorkerLost(f"worker failed ({type(error).__name__})") from error
        except _WorkerLost:
            self._stop()
            raise

    @staticmethod
    def _read(pipe: IO[bytes], size: int, deadline: float) -> bytes:
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise _WorkerLost("worker took too long")
                chunk = os.read(pipe.fileno(), min(size - len(data), 1 << 20))
                if not chunk:
                    raise _WorkerLost("worker ended")
                data += chunk
        return bytes(data)

    def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()
