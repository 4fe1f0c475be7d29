"""The recorder's time line in virtual time: an hour of loss, jitter and drifting clocks in a second."""

from __future__ import annotations

import random

import pytest

from media.engine.timeline import WallClockLine

RATE = 8000


def run(drift_ppm: float, loss: float, jitter_ms: float, seconds: int, seed: int = 1) -> list[float]:
    """Errors (ms) of where packets were put against when they were spoken, over the last minute."""
    chance = random.Random(seed)
    line = WallClockLine()
    errors = []
    for count in range(seconds * 50):
        # The sender's sample clock is off by drift_ppm: its 160 samples last a little longer or shorter.
        spoken = count * 0.02 * (1 + drift_ppm * 1e-6)
        if chance.random() < loss:
            continue
        arrival = spoken + 0.03 + chance.random() * jitter_ms / 1000
        position = line.place(7, 4_294_900_000 + count * 160, int(arrival * RATE))
        if count > (seconds - 60) * 50:
            errors.append((position / RATE - spoken) * 1000 - 30)
    return errors


@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 100.0])
def test_an_hour_with_loss_and_drift_stays_within_20_ms(drift_ppm: float) -> None:
    errors = run(drift_ppm, 0.05, 10.0, 3600)
    assert max(abs(error) for error in errors) < 20
    two_channels = run(0.0, 0.0, 0.0, 3600)
    offset = abs(sum(errors) / len(errors) - sum(two_channels) / len(two_channels))
    assert offset < 12


def test_jitter_moves_nothing() -> None:
    line = WallClockLine()
    chance = random.Random(3)
    first = line.place(1, 0, 100)
    positions = [line.place(1, 160 * n, 100 + 160 * n + chance.randrange(300)) for n in range(1, 90)]
    assert positions == [first + 160 * n for n in range(1, 90)]


def test_reordered_packets_go_to_their_own_place() -> None:
    line = WallClockLine()
    line.place(1, 0, 1000)
    line.place(1, 480, 1480)
    assert line.place(1, 160, 1490) == 1160


def test_a_jump_or_a_new_source_starts_at_its_arrival() -> None:
    line = WallClockLine()
    line.place(1, 0, 1000)
    assert line.place(1, 160 + 80_000, 1160) == 1160
    assert line.place(2, 5, 9000) == 9000


def test_another_clock_is_scaled() -> None:
    line = WallClockLine(clock=48000, rate=16000)
    line.place(1, 0, 0)
    assert line.place(1, 960, 320) == 320
