"""The quality bench: its scores rank what ears would rank, and one short run through a real gateway."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools import bench_loss
from tools.bench_loss import FRAME, Score

Samples = NDArray[np.int16]


def speech_like(seconds: float) -> Samples:
    """Noise in syllables: nothing in it repeats, so it can be aligned."""
    rng = np.random.default_rng(3)
    count = round(seconds * 8000)
    return (rng.standard_normal(count) * 4000 * (0.55 + 0.45 * np.sin(np.arange(count) / 300))).astype(np.int16)


def test_what_is_lost_and_late_follows_the_plan() -> None:
    assert bench_loss.plan_packets(100, 0, 0, seed=1) == [(n * 0.02, n) for n in range(100)]
    plan = bench_loss.plan_packets(10_000, 20, 50, seed=1)
    assert 7800 < len(plan) < 8200
    assert plan == sorted(plan)
    assert all(0 <= at - n * 0.02 <= 0.05 for at, n in plan)
    assert [n for _, n in plan] != sorted(n for _, n in plan)  # packets overtake each other
    assert plan == bench_loss.plan_packets(10_000, 20, 50, seed=1)


def test_the_distance_grows_with_what_is_missing_and_forgives_a_moved_buffer() -> None:
    speech = speech_like(4)
    assert bench_loss.loudness_distance(speech, speech) == 0
    distances = [
        bench_loss.loudness_distance(speech, bench_loss.play_plainly(speech, bench_loss.plan_packets(200, loss, 0, 5)))
        for loss in (2, 10, 30)
    ]
    assert distances == sorted(distances)
    assert distances[0] > 0.005
    shifted = np.concatenate([speech[:16_000], np.zeros(FRAME, np.int16), speech[16_000:]])
    assert bench_loss.loudness_distance(speech, shifted) < 0.1


def test_sounds_are_aligned() -> None:
    speech = speech_like(2)
    late = np.concatenate([np.zeros(777, np.int16), speech])
    assert np.array_equal(bench_loss.align(speech, late), speech)


def test_late_packets_are_silence_in_a_fixed_buffer() -> None:
    speech = speech_like(0.1)
    heard = bench_loss.play_plainly(speech, [(0.0, 0), (0.081, 1), (0.04, 2)])
    assert np.array_equal(heard[:FRAME], speech[:FRAME])
    assert not np.any(heard[FRAME : 2 * FRAME])
    assert np.array_equal(heard[2 * FRAME : 3 * FRAME], speech[2 * FRAME : 3 * FRAME])


def test_the_table_has_a_row_per_loss() -> None:
    scores = [Score(0, 0, None, 0.1, None, 0.2), Score(0, 20, 4.0, 0.1, 3.0, 0.2), Score(5, 0, None, 0.3, None, 0.4)]
    assert bench_loss.table([*scores, Score(5, 20, 2.0, 0.3, None, 0.4)]).splitlines() == [
        "| loss | jitter 0 ms | jitter 20 ms |",
        "|---|---|---|",
        "| 0 % | 0.10 (0.20) | 4.00 (3.00) |",
        "| 5 % | 0.30 (0.40) | 2.00 (-) |",
    ]


async def test_a_short_run_through_a_real_gateway() -> None:
    (clean, lossy) = await bench_loss.run(3.0, (0, 20), (0,))
    assert clean.distance < 0.15
    assert clean.distance < lossy.distance < lossy.plain_distance
