"""The E-model against figures published with it, and its silence where there are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.dsp.emodel import estimate_mos, estimate_r, mos_of


@pytest.mark.parametrize(
    ("r", "mos"),
    [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)],  # G.107 table B.1
)
def test_scores_of_ratings(r: float, mos: float) -> None:
    assert mos_of(r) == pytest.approx(mos, abs=0.01)


def test_a_clean_local_call() -> None:
    assert estimate_r("PCMU", 0, 60) == 93.2
    assert estimate_mos("PCMU", 0, 60) == 4.41


def test_delay_hurts_from_150_ms_on() -> None:
    ratings = [estimate_r("PCMA", 0, delay) or 0 for delay in (100, 150, 200, 300, 400)]
    assert ratings == sorted(ratings, reverse=True)
    # G.107's curve without echo: about 90 at 150 ms, 79 at 300 ms, 70 at 400 ms
    assert ratings[1] == pytest.approx(91.6, abs=2)
    assert ratings[3] == pytest.approx(78.5, abs=2)


def test_concealment_is_worth_what_g113_says() -> None:
    without, with_plc = (estimate_mos("PCMU", 5, 80, concealment=c) or 0 for c in ("none", "plc"))
    assert without == pytest.approx(2.1, abs=0.25)
    assert with_plc == pytest.approx(4.0, abs=0.25)
    assert (estimate_mos("PCMU", 5, 80, concealment="plc", burst_ratio=2.0) or 5) < with_plc


def test_what_is_not_known_is_not_guessed() -> None:
    assert estimate_mos("OPUS", 0, 60) is None
    assert estimate_mos("PCMU", 0, None) is None
    for loss, delay, burst in ((-1.0, 0.0, 1.0), (101.0, 0.0, 1.0), (0.0, -1.0, 1.0), (0.0, 0.0, 0.5)):
        assert estimate_r("PCMU", loss, delay, burst_ratio=burst) is None


@given(st.floats(0, 100), st.floats(0, 5000), st.floats(1, 10))
def test_scores_stay_on_the_scale(loss: float, delay: float, burst: float) -> None:
    score = estimate_mos("PCMA", loss, delay, burst_ratio=burst)
    assert score is not None and 1.0 <= score <= 4.5
