"""Call-progress tones as each country's network plays them, DTMF and other signals, as samples.

Frequencies and cadences: ITU-T E.180/Q.35 and its Supplement 2, "Various tones used in national networks" (as amended
by the Operational Bulletins). DTMF: ITU-T Q.23; special information tone: E.180 section 8; fax CNG and CED: ITU-T T.30
section 4.

A spec is a comma-separated list of steps ``freq[+freq...]/on_ms[/off_ms]``; ``freq*mod`` is ``freq`` fully amplitude
modulated by ``mod`` Hz, a frequency of 0 is silence. ``440+480/2000/4000`` is the North American ring-back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from media.dsp.level import Floats, Samples, to_int16

MAX_STEPS = 64
MAX_STEP_MS = 60_000
MAX_DURATION_MS = 10 * 60_000
MAX_FREQUENCIES = 8
EDGE_MS = 4
"""Rise and fall of a burst, raised cosine: no click, and well inside what detectors allow."""


class ToneError(ValueError):
    """A tone that cannot be made; the message names what was asked for and what exists."""


@dataclass(frozen=True, slots=True)
class Component:
    hz: float
    modulation_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One burst and the pause behind it. No components: a pause alone."""

    components: tuple[Component, ...]
    on_ms: int
    off_ms: int = 0


_NORTH_AMERICA = {
    "dial": "350+440/1000",
    "ringback": "440+480/2000/4000",
    "busy": "480+620/500/500",
    "congestion": "480+620/250/250",
    "waiting": "440/300/10000",
}

COUNTRIES: dict[str, dict[str, str]] = {
    # E.180 Supplement 2, one row per country: dial, ring-back, busy, congestion, call waiting.
    "us": _NORTH_AMERICA,
    "ca": _NORTH_AMERICA,
    "cn": {  # GB 3380: 450 Hz
        "dial": "450/1000",
        "ringback": "450/1000/4000",
        "busy": "450/350/350",
        "congestion": "450/700/700",
        "waiting": "450/400/4000",
    },
    "tw": {
        "dial": "350+440/1000",
        "ringback": "440+480/1000/2000",
        "busy": "480+620/500/500",
        "congestion": "480+620/250/250",
        "waiting": "350+440/250/250,350+440/250/3250",
    },
    "hk": {
        "dial": "350+440/1000",
        "ringback": "440+480/400/200,440+480/400/3000",
        "busy": "480+620/500/500",
        "congestion": "480+620/250/250",
        "waiting": "440/500/4000",
    },
    "jp": {
        "dial": "400/1000",
        "ringback": "400*16/1000/2000",
        "busy": "400/500/500",
        "congestion": "400/500/500",
        "waiting": "400*16/500/8000",
    },
    "kr": {
        "dial": "350+440/1000",
        "ringback": "440+480/1000/2000",
        "busy": "480+620/500/500",
        "congestion": "480+620/300/200",
        "waiting": "350+440/250/250,350+440/250/3250",
    },
    "sg": {
        "dial": "425/1000",
        "ringback": "425*24/400/200,425*24/400/2000",
        "busy": "425/750/750",
        "congestion": "425/250/250",
        "waiting": "425*24/300/200,425*24/300/3200",
    },
    "in": {
        "dial": "400*25/1000",
        "ringback": "400*25/400/200,400*25/400/2000",
        "busy": "400/750/750",
        "congestion": "400/250/250",
        "waiting": "400/200/100,400/200/7500",
    },
    "au": {
        "dial": "425*25/1000",
        "ringback": "425*25/400/200,425*25/400/2000",
        "busy": "425/375/375",
        "congestion": "425/375/375",
        "waiting": "425/200/200,425/200/4400",
    },
    "nz": {
        "dial": "400/1000",
        "ringback": "400+450/400/200,400+450/400/2000",
        "busy": "400/500/500",
        "congestion": "400/250/250",
        "waiting": "400/200/3000,400/200/5000",
    },
    "gb": {
        "dial": "350+440/1000",
        "ringback": "400+450/400/200,400+450/400/2000",
        "busy": "400/375/375",
        "congestion": "400/400/350,400/225/525",
        "waiting": "400/100/4000",
    },
    "de": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/480/480",
        "congestion": "425/240/240",
        "waiting": "425/200/200,425/200/5000",
    },
    "fr": {
        "dial": "440/1000",
        "ringback": "440/1500/3500",
        "busy": "440/500/500",
        "congestion": "440/250/250",
        "waiting": "440/300/10000",
    },
    "it": {
        "dial": "425/200/200,425/600/1000",
        "ringback": "425/1000/4000",
        "busy": "425/500/500",
        "congestion": "425/200/200",
        "waiting": "425/400/100,425/250/100,425/150/14000",
    },
    "es": {
        "dial": "425/1000",
        "ringback": "425/1500/3000",
        "busy": "425/200/200",
        "congestion": "425/200/200,425/200/200,425/200/600",
        "waiting": "425/175/175,425/175/3500",
    },
    "pt": {
        "dial": "425/1000",
        "ringback": "425/1000/5000",
        "busy": "425/500/500",
        "congestion": "425/200/200",
        "waiting": "425/200/200,425/200/5000",
    },
    "nl": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/500/500",
        "congestion": "425/250/250",
        "waiting": "425/500/9500",
    },
    "be": {
        "dial": "425/1000",
        "ringback": "425/1000/3000",
        "busy": "425/500/500",
        "congestion": "425/167/167",
        "waiting": "1400/175/175,1400/175/3500",
    },
    "ch": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/500/500",
        "congestion": "425/200/200",
        "waiting": "425/200/200,425/200/4000",
    },
    "at": {
        "dial": "420/1000",
        "ringback": "420/1000/5000",
        "busy": "420/400/400",
        "congestion": "420/200/200",
        "waiting": "420/40/1950",
    },
    "se": {
        "dial": "425/1000",
        "ringback": "425/1000/5000",
        "busy": "425/250/250",
        "congestion": "425/250/750",
        "waiting": "425/200/500,425/200/9100",
    },
    "ru": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/350/350",
        "congestion": "425/175/175",
        "waiting": "425/200/5000",
    },
    "br": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/250/250",
        "congestion": "425/250/250,425/750/250",
        "waiting": "425/50/1000",
    },
    "mx": {
        "dial": "425/1000",
        "ringback": "425/1000/4000",
        "busy": "425/250/250",
        "congestion": "425/250/250",
        "waiting": "425/200/600,425/200/10000",
    },
    "za": {
        "dial": "400*33/1000",
        "ringback": "400*33/400/200,400*33/400/2000",
        "busy": "400/500/500",
        "congestion": "400/250/250",
        "waiting": "400*33/400/4000",
    },
}

ANYWHERE: dict[str, str] = {
    "sit": "950/330,1400/330,1800/330/1000",
    "beep": "1000/400",
    "record": "1400/500",
    "confirm": "880/120/60,1320/160",
    "error": "400/160/60,300/240",
    "cng": "1100/500/3000",
    "ced": "2100/3000",
    "milliwatt": "1004/1000",
}
"""Tones that are the same in all countries."""

ALIASES = {"uk": "gb", "ring": "ringback", "reorder": "congestion", "callwaiting": "waiting", "info": "sit"}

DTMF: dict[str, tuple[int, int]] = {
    digit: (low, high)
    for low, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, digit in zip((1209, 1336, 1477, 1633), row, strict=True)
}
"""Frequencies of each digit, ITU-T Q.23."""

_FREQUENCY = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)(?:\*(\d{1,3}(?:\.\d{1,3})?))?")


def parse_spec(spec: str) -> tuple[Step, ...]:
    """Read a spec (see the module's head). :raises ToneError: naming the step that is wrong."""
    steps = tuple(_parse_step(part.strip(), spec) for part in spec.split(",", MAX_STEPS))
    if len(steps) > MAX_STEPS:
        raise ToneError(f"tone with more than {MAX_STEPS} steps")
    if sum(step.on_ms + step.off_ms for step in steps) == 0:
        raise ToneError(f"tone {spec!r} lasts 0 ms")
    return steps


def _parse_step(part: str, spec: str) -> Step:
    fields = part.split("/")
    wanted = "freq[+freq...]/on_ms[/off_ms]"
    if not 2 <= len(fields) <= 3 or not all(f.isascii() and f.isdigit() and len(f) <= 6 for f in fields[1:]):
        raise ToneError(f"tone {spec[:200]!r}: step {part[:80]!r} is not {wanted}")
    on_ms, off_ms = int(fields[1]), int(fields[2]) if len(fields) == 3 else 0
    if on_ms > MAX_STEP_MS or off_ms > MAX_STEP_MS:
        raise ToneError(f"tone {spec[:200]!r}: step {part[:80]!r} is longer than {MAX_STEP_MS} ms")
    components: list[Component] = []
    for text in fields[0].split("+", MAX_FREQUENCIES):
        match = _FREQUENCY.fullmatch(text)
        if match is None or float(match[1]) > 20_000 or len(components) == MAX_FREQUENCIES:
            raise ToneError(f"tone {spec[:200]!r}: {text[:80]!r} is not a frequency; a step is {wanted}")
        if float(match[1]) > 0:
            components.append(Component(float(match[1]), float(match[2] or 0)))
    return Step(tuple(components), on_ms, off_ms)


def find_tone(name: str, country: str = "us") -> tuple[Step, ...]:
    """One full cadence of a named tone. :raises ToneError: unknown name or country."""
    name, country = ALIASES.get(name.lower(), name.lower()), ALIASES.get(country.lower(), country.lower())
    if name in ANYWHERE:
        return parse_spec(ANYWHERE[name])
    if country not in COUNTRIES:
        raise ToneError(f"no tones of country {country[:40]!r}; known: {', '.join(sorted(COUNTRIES))}")
    if name not in COUNTRIES[country]:
        known = sorted({*COUNTRIES[country], *ANYWHERE})
        raise ToneError(f"no tone {name[:40]!r}; known: {', '.join(known)}")
    return parse_spec(COUNTRIES[country][name])


def cadence_ms(steps: tuple[Step, ...]) -> int:
    """Length of one pass."""
    return sum(step.on_ms + step.off_ms for step in steps)


@lru_cache(maxsize=64)
def _edge(rate: int) -> Floats:
    count = rate * EDGE_MS // 1000
    ramp: Floats = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)
    return ramp


def _burst(components: tuple[Component, ...], count: int, rate: int, amplitude: float, edges: bool) -> Floats:
    t = np.arange(count) / rate
    wave = np.zeros(count)
    for component in components:
        part = np.sin(2 * np.pi * component.hz * t)
        if component.modulation_hz:
            part *= 0.5 + 0.5 * np.sin(2 * np.pi * component.modulation_hz * t)
        wave += part
    burst = (amplitude * wave).astype(np.float32)
    ramp = _edge(rate)
    if edges and count >= 2 * len(ramp):
        burst[: len(ramp)] *= ramp
        burst[count - len(ramp) :] *= ramp[::-1]
    return burst


def render_steps(steps: tuple[Step, ...], rate: int, *, duration_ms: int = 0, level_db: float = -16.0) -> Samples:
    """Samples of a cadence, repeated or cut to ``duration_ms`` (0: one pass).

    ``level_db`` is the level of each component in dBFS. A cadence without a pause gets no edges, so that a player may
    loop it without a seam wherever its frequencies fit the pass a whole number of times."""
    if duration_ms > MAX_DURATION_MS:
        raise ToneError(f"tone of {duration_ms} ms; the limit is {MAX_DURATION_MS} ms")
    continuous = len(steps) == 1 and steps[0].off_ms == 0
    wanted = rate * (duration_ms or cadence_ms(steps)) // 1000
    # The level is RMS against full scale: a sine of amplitude a has a²/2.
    amplitude = min(10 ** (level_db / 20) * 2**0.5, 1.0)
    if continuous:
        return to_int16(_burst(steps[0].components, wanted, rate, amplitude, edges=duration_ms > 0))
    parts: list[Floats] = []
    for step in steps:
        parts.append(_burst(step.components, rate * step.on_ms // 1000, rate, amplitude, edges=True))
        parts.append(np.zeros(rate * step.off_ms // 1000, np.float32))
    once = to_int16(np.concatenate(parts))
    return np.resize(once, wanted)  # repeats as often as it takes


def render_dtmf(
    digits: str, rate: int, *, on_ms: int = 100, gap_ms: int = 70, level_db: float = -10.0, twist_db: float = 0.0
) -> Samples:
    """DTMF as audio; each digit is followed by its gap. ``twist_db``: high group over low group.

    :raises ToneError: a character that is no digit (0-9, ``*``, ``#``, A-D, and ``,`` for half a second of pause)."""
    parts: list[Floats] = []
    for digit in digits.upper():
        if digit == ",":
            parts.append(np.zeros(rate // 2, np.float32))
            continue
        if digit not in DTMF:
            raise ToneError(f"{digit!r} is not a DTMF digit")
        low, high = DTMF[digit]
        count = rate * on_ms // 1000
        amplitude = 10 ** (level_db / 20) * 2**0.5
        burst = _burst((Component(low),), count, rate, amplitude * 10 ** (-twist_db / 40), edges=False)
        burst += _burst((Component(high),), count, rate, amplitude * 10 ** (twist_db / 40), edges=False)
        parts += [burst, np.zeros(rate * gap_ms // 1000, np.float32)]
    return to_int16(np.concatenate(parts)) if parts else np.zeros(0, np.int16)
