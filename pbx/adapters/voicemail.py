"""The hands of the mailboxes: audio files, and hashes of PINs that take their time. Answers go back as inputs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from media.wav import sidecar_path
from pbx.app.outputs import CheckPin, HashPin, MakeMessageAudio, RemoveMessageAudio, VoicemailWork
from pbx.app.voicemail.mailboxes import Voicemail

log = structlog.get_logger()
_HASHER = PasswordHasher()
Tell = Callable[[Callable[[Voicemail], None]], None]
"""Lets the switch's mailboxes take something in, in its one line of control."""


class VoicemailWorker:
    """Give :meth:`handle` to the runtime."""

    def __init__(self, recordings: Path, tell: Tell) -> None:
        """``recordings``: sources below this folder are removed when their audio is in its place."""
        self._recordings = recordings
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, work: VoicemailWork) -> None:
        """Begin; returns at once."""
        task = asyncio.get_running_loop().create_task(self._begin(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what is under way: messages are not left half made."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: VoicemailWork) -> Coroutine[Any, Any, None]:
        if isinstance(work, MakeMessageAudio):
            return self._make(work)
        if isinstance(work, RemoveMessageAudio):
            return self._remove(work)
        return self._check(work) if isinstance(work, CheckPin) else self._hash(work)

    async def _make(self, work: MakeMessageAudio) -> None:
        seconds, failure = 0.0, ""
        try:
            seconds = await asyncio.to_thread(make_audio, [Path(source) for source in work.sources], Path(work.path))
        except (OSError, ValueError, RuntimeError) as error:
            failure = str(error)
        else:
            await asyncio.to_thread(self._clear, work.sources)
        self._tell(lambda voicemail: voicemail.made(work.key, seconds, failure))

    def _clear(self, sources: tuple[str, ...]) -> None:
        for source in map(Path, sources):
            if self._recordings in source.parents:
                _unlink(source)
                _unlink(sidecar_path(source))

    async def _remove(self, work: RemoveMessageAudio) -> None:
        await asyncio.to_thread(_unlink, Path(work.path))

    async def _check(self, work: CheckPin) -> None:
        fits = await asyncio.to_thread(_fits, work.pin_hash, work.pin)
        self._tell(lambda voicemail: voicemail.pin_checked(work.request, fits))

    async def _hash(self, work: HashPin) -> None:
        hashed = await asyncio.to_thread(_HASHER.hash, work.pin)
        self._tell(lambda voicemail: voicemail.pin_hashed(work.request, hashed))


def _fits(pin_hash: str, pin: str) -> bool:
    try:
        return _HASHER.verify(pin_hash, pin)
    except (VerificationError, InvalidHashError):
        return False


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.error("voicemail.not_deleted", path=str(path), reason=error.strerror)


def make_audio(sources: list[Path], target: Path) -> float:
    """One 16-bit mono file of the sources' left channels (what the caller said), in order; its length in seconds.

    A target that is there already was made before a restart and stays. Raises OSError, ValueError, RuntimeError
    (libsndfile) and leaves no half file behind.
    """
    # A third of a second to import, and only messages need them.
    import numpy as np
    import soundfile
    import soxr

    if target.exists():
        return float(soundfile.info(target).duration)
    pieces, rate = [], 0
    for source in sources:
        samples, found = soundfile.read(source, dtype="float32", always_2d=True)
        rate = rate or found
        left = samples[:, 0]
        pieces.append(left if found == rate else soxr.resample(left, found, rate))
    audio = np.concatenate(pieces)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    part = target.with_name(f".{target.name}.part")
    try:
        soundfile.write(part, audio, rate, subtype="PCM_16", format="WAV")
        part.chmod(0o640)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return len(audio) / rate
