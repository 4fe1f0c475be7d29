"""Sample-rate conversion of whole clips with soxr (very high quality, linear phase)."""

from __future__ import annotations

import numpy as np
import soxr

from media.dsp.level import Floats

LOOP_CONTEXT_MS = 50
"""How much of a loop's other end the filter sees beyond each edge; far longer than its impulse response."""


def resample(audio: Floats, rate: int, new_rate: int) -> Floats:
    """Convert a clip; its duration stays the same to within one sample."""
    if rate == new_rate or len(audio) == 0:
        return audio
    converted: Floats = soxr.resample(audio, rate, new_rate, quality="VHQ").astype(np.float32, copy=False)
    return converted


def resample_loop(audio: Floats, rate: int, new_rate: int) -> Floats:
    """Convert a clip that will be played round and round: the filter runs across the seam, so none is heard."""
    if rate == new_rate or len(audio) == 0:
        return audio
    context = rate * LOOP_CONTEXT_MS // 1000
    wrapped = np.take(audio, np.arange(-context, len(audio) + context), mode="wrap")
    converted = resample(wrapped, rate, new_rate)
    start = round(context * new_rate / rate)
    return converted[start : start + round(len(audio) * new_rate / rate)]
