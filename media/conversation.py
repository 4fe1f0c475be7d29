"""What the two channels of a recording say about the conversation: who spoke how much, silence, talk over each other.

Measured on the finished file, away from the engine: it blocks, 0.14 ms a second of recording, mostly without the GIL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from media.dsp.vad import VoiceDetector
from media.protocol.values import Conversation

Interval = tuple[int, int]
"""From and to, in milliseconds from the start of the recording."""

CROSSTALK_LEAST_MS = 200
"""Shorter overlaps are a change of turns."""

_RATE = 8000
_FRAME = 160
_BLOCK_S = 4
_FLUSH = np.zeros(_RATE // 2, np.int16)
"""More silence than ends talk."""


def measure_conversation(
    near: Iterable[Interval], far: Iterable[Interval], length_ms: int, hidden: Iterable[Interval] = ()
) -> Conversation:
    """Figures of a recording of ``length_ms`` in which ``near`` and ``far`` is speech of either channel, in any order
    and overlapping or not. ``hidden`` was masked: it is neither talk nor silence of anybody."""
    masked = _merge(hidden, length_ms)
    shown = _invert(masked, length_ms)
    nears, fars = _overlap(_merge(near, length_ms), shown), _overlap(_merge(far, length_ms), shown)
    silence = _invert(_merge([*nears, *fars, *masked], length_ms), length_ms)
    crosstalk = [(start, end) for start, end in _overlap(nears, fars) if end - start >= CROSSTALK_LEAST_MS]
    talk = _total(nears) + _total(fars)
    return Conversation(
        talk_from_ms=_total(nears),
        talk_to_ms=_total(fars),
        talk_ratio=round(_total(nears) / talk, 3) if talk else None,
        silence_ms=_total(silence),
        longest_silence_ms=max((end - start for start, end in silence), default=0),
        crosstalk_ms=_total(crosstalk),
        crosstalk_count=len(crosstalk),
    )


def measure_recording(path: Path, hidden: Iterable[Interval] = ()) -> Conversation:
    """Figures of a finished two-channel recording. Blocks.

    :raises ValueError: not two channels, or a rate that is no multiple of 8 kHz.
    :raises soundfile.SoundFileError: not an audio file. :raises OSError: unreadable."""
    with soundfile.SoundFile(path) as sound:
        if sound.channels != 2 or sound.samplerate % _RATE:
            raise ValueError(f"{path}: {sound.channels} channels at {sound.samplerate} Hz cannot be measured")
        ears = VoiceDetector(), VoiceDetector()
        changes: tuple[list[tuple[bool, int]], ...] = ([], [])
        factor = sound.samplerate // _RATE
        for block in sound.blocks(_BLOCK_S * sound.samplerate, dtype="int16"):
            # Only the last block is no whole number of frames.
            whole = np.pad(block, ((0, -len(block) % (_FRAME * factor)), (0, 0)))
            # Averages, as the live detectors have it.
            narrow = whole.reshape(-1, factor, 2).mean(axis=1).astype(np.int16) if factor > 1 else whole
            for channel, (ear, found) in enumerate(zip(ears, changes, strict=True)):
                found += ear.feed(np.ascontiguousarray(narrow[:, channel]))
        for ear, found in zip(ears, changes, strict=True):
            found += ear.feed(_FLUSH)
        length_ms = sound.frames * 1000 // sound.samplerate
    near, far = map(_pair, changes)
    return measure_conversation(near, far, length_ms, hidden)


def _pair(changes: Sequence[tuple[bool, int]]) -> list[Interval]:
    """The detector's beginnings and ends take turns, and the flush ends the last."""
    return [(began, ended) for (_, began), (_, ended) in zip(changes[::2], changes[1::2], strict=True)]


# --- intervals: sorted and apart, except where they come in -----------------------------------------------------------


def _merge(spans: Iterable[Interval], length: int) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in spans):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _invert(spans: Sequence[Interval], length: int) -> list[Interval]:
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), length]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _overlap(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    found = []
    a = b = 0
    while a < len(one) and b < len(other):
        start, end = max(one[a][0], other[b][0]), min(one[a][1], other[b][1])
        if start < end:
            found.append((start, end))
        if one[a][1] < other[b][1]:
            a += 1
        else:
            b += 1
    return found


def _total(spans: Iterable[Interval]) -> int:
    return sum(end - start for start, end in spans)
