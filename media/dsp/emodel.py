"""How good a call sounds, estimated from loss and delay: the E-model of ITU-T G.107 with the values of G.113.

Only what the recommendations have figures for is estimated; for anything else the answer is None, not a guess.
"""

from __future__ import annotations

import math
from typing import Literal

Concealment = Literal["none", "plc"]

_BASE = 93.2
"""R of a connection with nothing wrong but G.107's default noise and loudness."""

_CODECS: dict[tuple[str, Concealment], tuple[float, float]] = {
    # (Ie, Bpl) of G.113 Appendix I, table I.4: equipment impairment and robustness against random loss
    ("PCMU", "none"): (0.0, 4.3),
    ("PCMA", "none"): (0.0, 4.3),
    ("PCMU", "plc"): (0.0, 25.1),
    ("PCMA", "plc"): (0.0, 25.1),
}


def estimate_r(
    codec: str, loss_percent: float, one_way_ms: float, *, concealment: Concealment = "none", burst_ratio: float = 1.0
) -> float | None:
    """Transmission rating R (0-100), or None for a codec without published figures.

    :param loss_percent: packets lost or too late, 0-100.
    :param one_way_ms: mouth to ear: network, jitter buffer, packets and codec.
    :param burst_ratio: G.107's BurstR; 1 for losses independent of each other, more for bursts."""
    figures = _CODECS.get((codec.upper(), concealment))
    if figures is None or not 0 <= loss_percent <= 100 or one_way_ms < 0 or burst_ratio < 1:
        return None
    ie, bpl = figures
    ie_eff = ie + (95 - ie) * loss_percent / (loss_percent / burst_ratio + bpl)  # G.107 equation 7-29
    return max(_BASE - _delay_impairment(one_way_ms) - ie_eff, 0.0)


def _delay_impairment(one_way_ms: float) -> float:
    """Idd, G.107 equation 7-28 (echo is taken to be cancelled)."""
    if one_way_ms <= 100:
        return 0.0
    x = math.log2(one_way_ms / 100)
    return 25 * (math.pow(1 + x**6, 1 / 6) - 3 * math.pow(1 + (x / 3) ** 6, 1 / 6) + 2)


def mos_of(r: float) -> float:
    """Mean opinion score (1-4.5) of a rating, G.107 Annex B."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0)


def estimate_mos(
    codec: str,
    loss_percent: float,
    one_way_ms: float | None,
    *,
    concealment: Concealment = "none",
    burst_ratio: float = 1.0,
) -> float | None:
    """:func:`estimate_r` as a mean opinion score; None where delay or codec figures are not known."""
    if one_way_ms is None:
        return None
    r = estimate_r(codec, loss_percent, one_way_ms, concealment=concealment, burst_ratio=burst_ratio)
    return None if r is None else round(mos_of(r), 2)
