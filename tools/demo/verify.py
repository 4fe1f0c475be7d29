"""Judging the call by what was recorded and heard, not by what was reported."""

from __future__ import annotations

from pathlib import Path

from tools import listen

CALLER_HZ, AGENT_HZ = 440.0, 1000.0
SLACK_S = 0.45
"""How far a tone may begin or end from the event that says so: ringing buffers and re-INVITEs take their time."""


class Findings:
    """A list of checks; each says what was found."""

    def __init__(self) -> None:
        self.lines: list[tuple[bool, str]] = []

    def check(self, right: bool, text: str) -> None:
        self.lines.append((right, text))

    @property
    def failed(self) -> list[str]:
        return [text for right, text in self.lines if not right]


def judge_recording(path: Path, talks: list[tuple[float, float]], hold: tuple[float, float], found: Findings) -> None:
    """``talks`` and ``hold``: seconds from the start of the recording."""
    sound = listen.load(path)
    left, right = sound.channels
    end = len(left) / sound.rate
    share = _covered(listen.find_tone_intervals(left, sound.rate, CALLER_HZ, bridge_ms=60), 0.3, end - 0.2)
    found.check(share > 0.9, f"left channel: the caller's {CALLER_HZ:.0f} Hz fills {share:.0%} of the call")
    tones = listen.find_tone_intervals(right, sound.rate, AGENT_HZ, bridge_ms=60)
    for began, ended in talks:
        share = _covered(tones, began + SLACK_S, ended - SLACK_S)
        found.check(
            share > 0.95,
            f"right channel: the agent's {AGENT_HZ:.0f} Hz from {began:.1f} s to {ended:.1f} s ({share:.0%})",
        )
    before = _covered(tones, 0.0, talks[0][0] - 0.05)
    found.check(before < 0.02, f"right channel: nothing of the agent before the answer ({before:.0%})")
    held = _covered(tones, hold[0] + SLACK_S, hold[1] - SLACK_S)
    level = listen.level_dbfs(right, sound.rate, hold[0] + SLACK_S, hold[1] - SLACK_S)
    found.check(held < 0.05 and level > -50, f"right channel: music instead of the agent on hold ({level:.0f} dBFS)")
    crossed = _covered(listen.find_tone_intervals(left, sound.rate, AGENT_HZ, bridge_ms=60), 0.0, end)
    found.check(crossed < 0.02, f"left channel: nothing of the agent ({crossed:.0%})")


def judge_ear(path: Path, who: str, hz: float, at_least_s: float, found: Findings) -> None:
    """What a phone heard."""
    sound = listen.load(path)
    tones = listen.find_tone_intervals(sound.channels[0], sound.rate, hz, bridge_ms=60)
    heard = sum(ended - began for began, ended in tones)
    found.check(heard >= at_least_s, f"the {who} heard {hz:.0f} Hz for {heard:.1f} s (at least {at_least_s:.1f})")


def _covered(tones: list[tuple[float, float]], began: float, ended: float) -> float:
    """Share of a span that tones fill."""
    if ended <= began:
        return 0.0
    return sum(max(0.0, min(b, ended) - max(a, began)) for a, b in tones) / (ended - began)
