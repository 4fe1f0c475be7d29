"""Listens to recordings the way a tester would: levels, tones, gaps, alignment, and a picture for the terminal.

``python -m tools.listen FILE [--tone HZ ...]`` prints what is in a file; tests import the functions. Samples are
``float32`` in -1..1, one row per channel; times are seconds. numpy only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Channel = NDArray[np.float32]
FLOOR_DBFS = -96.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A file's samples."""

    channels: NDArray[np.float32]
    """Shape (channels, samples)."""
    rate: int

    @property
    def duration_s(self) -> float:
        return len(self.left) / self.rate

    @property
    def left(self) -> Channel:
        channel: Channel = self.channels[0]
        return channel

    @property
    def right(self) -> Channel:
        """The second channel. :raises IndexError: a mono file."""
        channel: Channel = self.channels[1]
        return channel


def load(path: str | Path) -> Sound:
    """Read any audio file; also one that is still being written, as far as its header says."""
    samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    return Sound(np.ascontiguousarray(samples.T), int(rate))


def from_int16(samples: NDArray[np.int16]) -> Channel:
    """Samples of a codec as this module wants them."""
    return samples.astype(np.float32) / np.float32(32768)


# --- levels -----------------------------------------------------------------------------------------------------------


def frame_levels(samples: Channel, rate: int, frame_ms: int = 20) -> NDArray[np.float64]:
    """RMS in dBFS per frame, -96 for silence. A full-scale sine is -3."""
    size = rate * frame_ms // 1000
    count = len(samples) // size
    power = np.mean(np.square(samples[: count * size].reshape(count, size), dtype=np.float64), axis=1)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))
    return levels


def level_dbfs(samples: Channel, rate: int, t0: float = 0.0, t1: float | None = None) -> float:
    """RMS in dBFS between two times."""
    part = _between(samples, rate, t0, t1)
    power = float(np.mean(np.square(part, dtype=np.float64))) if len(part) else 0.0
    return max(10 * float(np.log10(power)), FLOOR_DBFS) if power > 0 else FLOOR_DBFS


def _between(samples: Channel, rate: int, t0: float, t1: float | None) -> Channel:
    return samples[round(t0 * rate) : len(samples) if t1 is None else round(t1 * rate)]


# --- tones ------------------------------------------------------------------------------------------------------------


def tone_share(samples: Channel, rate: int, hz: float) -> float:
    """Share of the energy (0..1) that one frequency holds: 1 for a pure tone, 0 where it is absent or all is silent."""
    if len(samples) < 2:
        return 0.0
    window = np.hanning(len(samples))
    x = samples.astype(np.float64) * window
    energy = float(np.sum(np.square(x)))
    if energy <= len(samples) * 10 ** (FLOOR_DBFS / 10) / 4:
        return 0.0
    phase = 2 * np.pi * hz / rate * np.arange(len(x))
    in_phase, quadrature = float(x @ np.cos(phase)), float(x @ np.sin(phase))
    # A pure tone a·sin gives |correlation|² = (a/2·Σw)² and energy a²/2·Σw².
    share = 2 * (in_phase**2 + quadrature**2) * float(np.sum(window**2)) / (float(np.sum(window)) ** 2 * energy)
    return min(share, 1.0)


def tone_present(samples: Channel, rate: int, hz: float, t0: float = 0.0, t1: float | None = None) -> float:
    """:func:`tone_share` between two times."""
    return tone_share(_between(samples, rate, t0, t1), rate, hz)


def tone_level_dbfs(samples: Channel, rate: int, hz: float, t0: float = 0.0, t1: float | None = None) -> float:
    """Level of one frequency alone, whatever else sounds."""
    part = _between(samples, rate, t0, t1)
    share = tone_share(part, rate, hz)
    return max(level_dbfs(part, rate) + 10 * float(np.log10(share)), FLOOR_DBFS) if share > 0 else FLOOR_DBFS


def find_tone_intervals(
    samples: Channel,
    rate: int,
    hz: float,
    *,
    share: float = 0.5,
    level_db: float = -45.0,
    frame_ms: int = 20,
    bridge_ms: int = 0,
) -> list[tuple[float, float]]:
    """Where a tone sounds, as (start, end): frames it holds at least ``share`` of, and that are louder than
    ``level_db``. Interruptions up to ``bridge_ms`` are passed over."""
    size = rate * frame_ms // 1000
    loud = frame_levels(samples, rate, frame_ms) > level_db
    has = [
        bool(loud[i]) and tone_share(samples[i * size : (i + 1) * size], rate, hz) >= share for i in range(len(loud))
    ]
    return _runs(has, frame_ms / 1000, bridge_ms / 1000)


def _runs(flags: Sequence[bool], step_s: float, bridge_s: float = 0.0) -> list[tuple[float, float]]:
    runs: list[tuple[float, float]] = []
    for index, flag in enumerate(flags):
        if not flag:
            continue
        start, end = index * step_s, (index + 1) * step_s
        if runs and start - runs[-1][1] <= bridge_s + 1e-9:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [(round(start, 6), round(end, 6)) for start, end in runs]


def loudest_hz(samples: Channel, rate: int, t0: float = 0.0, t1: float | None = None) -> float:
    """Frequency of the strongest component; 0 for silence."""
    part = _between(samples, rate, t0, t1)
    if len(part) < 16 or not np.any(part):
        return 0.0
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    spectrum[0] = 0
    k = int(np.argmax(spectrum))
    if 0 < k < len(spectrum) - 1:  # parabola through the peak and its neighbours
        a, b, c = np.log(np.maximum(spectrum[k - 1 : k + 2], 1e-12))
        bend = a - 2 * b + c
        return float((k + (0.5 * (a - c) / bend if bend else 0.0)) * rate / len(part))
    return float(k * rate / len(part))


# --- gaps and alignment -----------------------------------------------------------------------------------------------


def find_gaps(
    samples: Channel, rate: int, *, below_db: float = -60.0, min_ms: int = 10, t0: float = 0.0, t1: float | None = None
) -> list[tuple[float, float]]:
    """Silences of at least ``min_ms`` as (start, end), to 1 ms. Samples that touch zero in passing are no gap."""
    part = _between(samples, rate, t0, t1)
    step = max(rate // 1000, 1)
    count = len(part) // step
    peaks = np.max(np.abs(part[: count * step].reshape(count, step)), axis=1) if count else np.zeros(0)
    quiet = (peaks < 10 ** (below_db / 20)).tolist()
    gaps = _runs(quiet, step / rate)
    return [(start + t0, end + t0) for start, end in gaps if (end - start) * 1000 >= min_ms - 1e-6]


def find_clicks(samples: Channel, rate: int, *, jump: float = 0.2) -> list[float]:
    """Times of clicks and splices: a step that is more than ``jump`` greater than both of its neighbours. Meant for
    content well below a quarter of the sample rate, whose steps change slowly."""
    steps = np.abs(np.diff(samples.astype(np.float64)))
    if len(steps) < 3:
        return []
    surprise = steps[1:-1] - np.maximum(steps[:-2], steps[2:])
    return [float((index + 2) / rate) for index in np.flatnonzero(surprise > jump)]


def find_offset(a: Channel, b: Channel, rate: int, max_s: float = 2.0) -> float:
    """How many seconds ``b`` lags behind ``a``, by cross-correlation; to one sample. Give it speech or noise: a steady
    tone fits at every period."""
    size = 1 << (len(a) + len(b) - 1).bit_length()
    product = np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size))
    product /= np.maximum(np.abs(product), 1e-12) ** 0.5  # half-way to phase transform: sharp peak, little noise
    correlation = np.fft.irfft(product, size)
    limit = min(int(max_s * rate), size // 2 - 1)
    window = np.concatenate([correlation[-limit:], correlation[: limit + 1]])
    return float(int(np.argmax(window)) - limit) / rate


def signal_to_noise_db(wanted: Channel, heard: Channel) -> float:
    """How much of ``heard`` is ``wanted`` (same length, aligned), after the best gain: 10·lg(signal / rest)."""
    count = min(len(wanted), len(heard))
    w, h = wanted[:count].astype(np.float64), heard[:count].astype(np.float64)
    power = float(w @ w)
    if power == 0:
        return 0.0
    signal = w * (float(w @ h) / power)
    rest = h - signal
    return 10 * float(np.log10(max(float(signal @ signal), 1e-20) / max(float(rest @ rest), 1e-20)))


# --- picture ----------------------------------------------------------------------------------------------------------

_UP = " ▁▂▃▄▅▆▇█"
# The lower half is drawn from the top down: inverted blocks are not in every font, so it has three steps.
_DOWN = " ▔▀█"


def waveform(samples: Channel, width: int = 72) -> str:
    """Two rows of a terminal: the positive peaks above, the negative ones below, on a scale of 48 dB."""
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    top, bottom = [], []
    for start, end in zip(edges, edges[1:], strict=False):
        part = samples[start:end]
        top.append(_UP[round(_height(float(part.max(initial=0.0))) * (len(_UP) - 1))])
        bottom.append(_DOWN[round(_height(-float(part.min(initial=0.0))) * (len(_DOWN) - 1))])
    return "".join(top) + "\n" + "".join(bottom)


def _height(peak: float) -> float:
    if peak <= 0:
        return 0.0
    return min(max(1 + 20 * float(np.log10(peak)) / 48, 0.0), 1.0)


def picture(sound: Sound, names: Sequence[str] = ("left", "right"), width: int = 72) -> str:
    """All channels with names and a time line."""
    lines: list[str] = []
    margin = max(len(name) for name in names) + 1
    for index, channel in enumerate(sound.channels):
        name = names[index] if index < len(names) else str(index + 1)
        top, bottom = waveform(channel, width).split("\n")
        lines += [f"{name:<{margin}}│{top}", f"{'':<{margin}}│{bottom}"]
    end = f"{sound.duration_s:.1f} s"
    lines.append(f"{'':<{margin}}└{'0':<{max(width - len(end), 1)}}{end}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: picture, levels, and where given tones sound."""
    parser = argparse.ArgumentParser(prog="python -m tools.listen", description="What is in an audio file.")
    parser.add_argument("file")
    parser.add_argument("--tone", type=float, action="append", default=[], metavar="HZ", help="find this tone")
    parser.add_argument("--width", type=int, default=72)
    options = parser.parse_args(arguments)
    sound = load(options.file)
    print(picture(sound, width=options.width))
    for index, channel in enumerate(sound.channels):
        levels = frame_levels(channel, sound.rate)
        loud = levels[levels > -50]
        active = f"{float(loud.mean()):.1f} dBFS over {len(loud) * 0.02:.1f} s" if len(loud) else "silent"
        print(f"channel {index + 1}: {active}; strongest {loudest_hz(channel, sound.rate):.0f} Hz")
        for hz in options.tone:
            found = find_tone_intervals(channel, sound.rate, hz, bridge_ms=40)
            print(f"  {hz:g} Hz: " + (", ".join(f"{a:.2f}-{b:.2f} s" for a, b in found) or "not heard"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())


def _spectra(samples: NDArray[Any], rate: int) -> NDArray[np.float64]:
    """The shape of the spectrum every 10 ms, in 20 bands up to 4 kHz."""
    frame = rate // 50
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), frame)[:: frame // 2]
    lines = np.abs(np.fft.rfft(frames * np.hanning(frame), axis=1))[:, 1:81]
    bands: NDArray[np.float64] = np.sqrt(lines.reshape(len(frames), 20, 4).sum(axis=2))
    return bands


def likeness(heard: NDArray[Any], said: NDArray[Any], rate: int) -> float:
    """How well one recording fits within another at the best place, 0 to 1.

    By spectra: clocks drift and jitter buffers stretch, which no correlation of samples survives."""
    inside, wanted = _spectra(heard, rate), _spectra(said, rate)
    best = 0.0
    for at in range(max(len(inside) - len(wanted), 0) + 1):
        part = inside[at : at + len(wanted)]
        like = wanted[: len(part)]
        best = max(best, float(np.sum(part * like) / (np.linalg.norm(part) * np.linalg.norm(like) + 1e-9)))
    return best
