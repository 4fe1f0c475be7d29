"""Voice quality from what a leg counted: the E-model of ITU-T G.107 with the defaults of its table 2. Pure."""

from __future__ import annotations

# Equipment impairment and packet-loss robustness (ITU-T G.113 appendix I; G.711 with concealment). For Opus no
# Recommendation gives values; those of a codec with built-in redundancy are taken from published listening tests.
_ROBUSTNESS: dict[str, tuple[float, float]] = {
    "PCMU": (0.0, 25.1),
    "PCMA": (0.0, 25.1),
    "G722": (0.0, 25.1),
    "L16": (0.0, 25.1),
    "OPUS": (0.0, 30.0),
}


def estimate_mos(codec: str, one_way_ms: float, loss: float) -> float | None:
    """Mean opinion score (1 to 4.5) for a mouth-to-ear delay and a loss ratio (0 to 1); None for unknown codecs."""
    if codec not in _ROBUSTNESS:
        return None
    base, robustness = _ROBUSTNESS[codec]
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    delay = 0.024 * one_way_ms + (0.11 * (one_way_ms - 177.3) if one_way_ms > 177.3 else 0.0)
    rating = 93.2 - delay - (base + (95.0 - base) * percent / (percent + robustness))
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return round(1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6, 2)
