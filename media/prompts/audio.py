"""Reading whatever audio an admin drops in (libsndfile: WAV, FLAC, Ogg, Opus, MP3, AIFF ...) as mono floats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
import soxr

from media.dsp.level import Floats
from media.prompts.errors import PromptError
from media.prompts.voice import Clip

BLOCK_FRAMES = 65536
MAX_CHANNELS = 8
MAX_RATE = 384_000
EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")


def _blocks(sound: soundfile.SoundFile) -> Iterator[Floats]:
    # A damaged header may say that the file cannot be sought, or is endless: read until nothing comes.
    while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        # A float file may hold anything, also what is no number.
        sane = np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -4.0, 4.0)
        mono: Floats = sane.mean(axis=1, dtype=np.float32)
        yield mono


def _open(source: Path | IO[bytes], name: str) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(source)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise PromptError(f"{name}: not readable as audio ({error})") from error
    if not (1 <= sound.channels <= MAX_CHANNELS and 4000 <= sound.samplerate <= MAX_RATE):
        found = f"{sound.channels} channels at {sound.samplerate} Hz"
        sound.close()
        raise PromptError(f"{name}: {found}; expected 1-{MAX_CHANNELS} channels at 4000-{MAX_RATE} Hz")
    return sound


def read_clip(source: Path | IO[bytes], name: str, max_s: float = 600.0) -> Clip:
    """All of a sound at its own rate. :raises PromptError: unreadable, empty or longer than ``max_s``."""
    return read_at(source, name, None, max_s=max_s)


def read_at(
    source: Path | IO[bytes], name: str, rate: int | None, *, offset_ms: int = 0, max_s: float = 3600.0
) -> Clip:
    """A sound from ``offset_ms`` on, converted to ``rate`` (None: its own) block by block, mixed down to mono.

    :raises PromptError: unreadable, empty, or longer than ``max_s``."""
    with _open(source, name) as sound:
        own = int(sound.samplerate)
        target = own if rate is None else rate
        resampler = soxr.ResampleStream(own, target, 1, dtype="float32", quality="VHQ") if target != own else None
        skip = own * max(offset_ms, 0) // 1000
        limit = int(max_s * own) + skip
        parts: list[Floats] = []
        read = 0
        try:
            for block in _blocks(sound):
                first = min(max(skip - read, 0), len(block))
                read += len(block)
                if read > limit:
                    raise PromptError(f"{name}: longer than {max_s:g} s")
                block = block[first:]
                parts.append(resampler.resample_chunk(block) if resampler is not None else block)
        except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
            raise PromptError(f"{name}: damaged audio ({error})") from error
        if resampler is not None:
            parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    audio = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if read == 0:
        raise PromptError(f"{name}: no audio in it")
    return Clip(audio, target)
