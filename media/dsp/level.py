"""Levels: measuring, normalising, trimming silence and converting between float and 16-bit samples.

Float audio is mono ``float32`` with full scale 1.0. Levels are dBFS of a *full-scale sine*: a sine that just reaches
full scale is -3.01 dBFS RMS and 0 dBFS peak (RMS here is plain root mean square against 1.0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Samples = NDArray[np.int16]

SPEECH_RMS_DBFS = -20.0
"""Target of prompts; leaves the speech peaks of a telephone voice under :data:`SPEECH_PEAK_DBFS`."""
SPEECH_PEAK_DBFS = -3.0
FLOOR_DBFS = -96.0
"""Reported for digital silence, instead of minus infinity."""


def to_float(samples: Samples) -> Floats:
    """16-bit samples as float."""
    return samples.astype(np.float32) / np.float32(32768.0)


def to_int16(audio: Floats) -> Samples:
    """Float audio as 16-bit samples, rounded; what exceeds full scale is clipped."""
    scaled: NDArray[np.float32] = np.clip(np.rint(audio * np.float32(32768.0)), -32768, 32767)
    return scaled.astype(np.int16)


def rms_dbfs(audio: Floats) -> float:
    """Root mean square in dBFS, :data:`FLOOR_DBFS` at least."""
    if len(audio) == 0:
        return FLOOR_DBFS
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return max(10 * math.log10(power), FLOOR_DBFS) if power > 0 else FLOOR_DBFS


def peak_dbfs(audio: Floats) -> float:
    """Greatest magnitude in dBFS, :data:`FLOOR_DBFS` at least."""
    peak = float(np.max(np.abs(audio))) if len(audio) else 0.0
    return max(20 * math.log10(peak), FLOOR_DBFS) if peak > 0 else FLOOR_DBFS


def frame_levels(audio: Floats, rate: int, frame_ms: int = 20) -> NDArray[np.float64]:
    """RMS in dBFS of each whole frame."""
    size = rate * frame_ms // 1000
    count = len(audio) // size
    if count == 0:
        return np.zeros(0, np.float64)
    power = np.mean(np.square(audio[: count * size].reshape(count, size), dtype=np.float64), axis=1)
    floor = 10 ** (FLOOR_DBFS / 10)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, floor))
    return levels


def active_level_dbfs(audio: Floats, rate: int) -> float:
    """RMS over the frames in which somebody speaks: those less than 25 dB under the loudest ones.

    A short form of ITU-T P.56: pauses must not make a slowly spoken prompt louder than a fast one."""
    levels = frame_levels(audio, rate)
    if len(levels) == 0:
        return rms_dbfs(audio)
    loudest = float(np.percentile(levels, 95))
    active = levels[levels > max(loudest - 25.0, FLOOR_DBFS)]
    if len(active) == 0:
        return FLOOR_DBFS
    return 10 * math.log10(float(np.mean(10 ** (active / 10))))


def apply_gain(audio: Floats, gain_db: float) -> Floats:
    """Amplify; 0 dB returns the same array."""
    if gain_db == 0.0:
        return audio
    return audio * np.float32(10 ** (gain_db / 20))


def normalise(audio: Floats, rate: int, *, rms: float = SPEECH_RMS_DBFS, peak: float = SPEECH_PEAK_DBFS) -> Floats:
    """Bring the active level to ``rms`` dBFS, less if the peak would pass ``peak`` dBFS. Silence is left alone."""
    level = active_level_dbfs(audio, rate)
    if level <= FLOOR_DBFS + 1:
        return audio
    return apply_gain(audio, min(rms - level, peak - peak_dbfs(audio)))


def trim_silence(audio: Floats, rate: int, *, lead_ms: int = 30, tail_ms: int = 120, below_db: float = 40.0) -> Floats:
    """Cut leading and trailing silence (5 ms frames ``below_db`` under the loudest) down to short pads."""
    levels = frame_levels(audio, rate, 5)
    if len(levels) == 0:
        return audio
    loud = np.flatnonzero(levels > max(float(levels.max()) - below_db, FLOOR_DBFS + 1))
    if len(loud) == 0:
        return audio[:0]
    frame = rate * 5 // 1000
    start = max(int(loud[0]) * frame - rate * lead_ms // 1000, 0)
    end = min((int(loud[-1]) + 1) * frame + rate * tail_ms // 1000, len(audio))
    return audio[start:end]
