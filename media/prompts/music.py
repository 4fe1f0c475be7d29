"""The hold music that ships with Tandem: a small original piece, made here, that loops without a seam.

Eight bars of soft chords (plucked and sustained sines) in D major at 72 beats a minute. Notes that ring past the end
are folded back onto the beginning, so the last sample leads into the first as any sample leads into the next.
Partials stay under 3.4 kHz: it is written for the telephone.
"""

from __future__ import annotations

import numpy as np

from media.dsp.level import Floats, normalise
from media.dsp.resample import resample_loop

VERSION = 1
RATE = 16_000
BEATS_PER_MINUTE = 72
MUSIC_RMS_DBFS = -24.0
"""Under speech, so that announcements stand out."""

# Chord per bar, four beats each, as MIDI notes: bass first.
_BARS = (
    (38, 57, 62, 66, 69),  # D
    (35, 57, 62, 66, 71),  # Bm7
    (43, 59, 62, 67, 71),  # G
    (45, 57, 61, 64, 69),  # A
    (42, 57, 61, 66, 69),  # F#m
    (43, 59, 62, 67, 74),  # G
    (40, 55, 59, 64, 71),  # Em7
    (45, 57, 62, 64, 73),  # A(sus4)
)
# Melody: (beat, length in beats, MIDI note).
_MELODY = (
    (0, 3, 78), (3, 1, 76), (4, 2, 74), (6, 2, 73), (8, 3, 71), (11, 1, 74), (12, 4, 73),
    (16, 2, 73), (18, 1, 74), (19, 1, 76), (20, 3, 74), (23, 1, 71), (24, 2, 67), (26, 2, 71), (28, 2, 69), (30, 2, 73),
)  # fmt: skip


def _hertz(note: int) -> float:
    return float(440.0 * 2 ** ((note - 69) / 12))


def _pluck(note: int, seconds: float, level: float, decay_s: float) -> Floats:
    t = np.arange(int(seconds * RATE)) / RATE
    wave = np.zeros(len(t))
    for partial, weight in ((1, 1.0), (2, 0.35), (3, 0.12), (4, 0.05)):
        hz = _hertz(note) * partial
        if hz < 3400:
            wave += weight * np.sin(2 * np.pi * hz * t) * np.exp(-t * partial**0.5 / decay_s)
    attack = np.minimum(t / 0.012, 1.0)
    release = np.minimum((seconds - t) / 0.05, 1.0)
    pluck: Floats = (level * wave * attack * release).astype(np.float32)
    return pluck


def _pad(note: int, seconds: float, level: float) -> Floats:
    t = np.arange(int(seconds * RATE)) / RATE
    hz = _hertz(note)
    # Two strings a little out of tune: alive, and no detector takes it for a steady tone.
    wave = np.sin(2 * np.pi * hz * 0.9985 * t) + np.sin(2 * np.pi * hz * 1.0015 * t + 1.0)
    swell = np.sin(np.pi * t / seconds) ** 0.6
    pad: Floats = (level * wave * swell).astype(np.float32)
    return pad


def compose(rate: int = RATE) -> Floats:
    """The loop, levelled to -24 dBFS, at any sample rate."""
    beat = 60 / BEATS_PER_MINUTE
    total = round(len(_BARS) * 4 * beat * RATE)
    loop = np.zeros(total, np.float32)

    def add(at_beat: float, sound: Floats) -> None:
        where = (round(at_beat * beat * RATE) + np.arange(len(sound))) % total
        np.add.at(loop, where, sound)

    for bar, (bass, *chord) in enumerate(_BARS):
        add(bar * 4, _pluck(bass, 4 * beat, 0.5, 1.6))
        add(bar * 4 + 2, _pluck(bass + 12, 2 * beat, 0.25, 1.0))
        for note in chord:
            add(bar * 4 - 0.5, _pad(note, 5 * beat, 0.055))
        order = (0, 1, 2, 3, 2, 1, 3, 2)
        for eighth, index in enumerate(order):
            add(bar * 4 + eighth / 2, _pluck(chord[index], 1.6 * beat, 0.16 if eighth % 2 else 0.22, 0.5))
    for at, length, note in _MELODY:
        add(at, _pluck(note, (length + 0.5) * beat, 0.34, 1.1))
    return resample_loop(normalise(loop, RATE, rms=MUSIC_RMS_DBFS, peak=-6.0), RATE, rate)
