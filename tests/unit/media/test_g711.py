"""G.711 against the decision values of ITU-T G.711 tables 1 and 2, which the code under test does not use."""

from __future__ import annotations

import numpy as np
import pytest

from media import g711

ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)


def alaw_magnitudes() -> tuple[list[int], list[int]]:
    """Decision values x(n) and quantised values y(n) of G.711 table 1a, written out segment by segment."""
    decisions = [0]
    for step, count in ((2, 32), (4, 16), (8, 16), (16, 16), (32, 16), (64, 16), (128, 16)):
        for _ in range(count):
            decisions.append(decisions[-1] + step)
    values = [(low + high) // 2 for low, high in zip(decisions, decisions[1:], strict=False)]
    return decisions, values


def ulaw_magnitudes() -> tuple[list[int], list[int]]:
    """Decision values x(n) and quantised values y(n) of G.711 table 2a."""
    decisions = [0, 1]
    for step, count in ((2, 15), (4, 16), (8, 16), (16, 16), (32, 16), (64, 16), (128, 16), (256, 16)):
        for _ in range(count):
            decisions.append(decisions[-1] + step)
    values = [0] + [(low + high) // 2 for low, high in zip(decisions[1:], decisions[2:], strict=False)]
    return decisions, values


def test_tables_end_where_the_recommendation_says() -> None:
    decisions, values = alaw_magnitudes()
    assert (len(values), decisions[-1], values[-1]) == (128, 4096, 4032)
    decisions, values = ulaw_magnitudes()
    assert (len(values), decisions[-1], values[-1]) == (128, 8159, 8031)


def test_every_alaw_sample_is_coded_by_its_decision_interval() -> None:
    decisions, values = alaw_magnitudes()
    for sample, code in zip(ALL_SAMPLES.tolist(), g711.encode_alaw(ALL_SAMPLES), strict=True):
        magnitude = sample if sample >= 0 else -sample - 1
        interval = int(np.searchsorted(decisions, magnitude / 8, side="right")) - 1
        assert code == (interval | (0x80 if sample >= 0 else 0)) ^ 0x55, sample
    for code in range(256):
        word = code ^ 0x55
        wanted = values[word & 0x7F] * 8 * (1 if word & 0x80 else -1)
        assert g711.decode_alaw(bytes([code]))[0] == wanted


def test_every_ulaw_sample_is_coded_by_its_decision_interval() -> None:
    decisions, values = ulaw_magnitudes()
    for sample, code in zip(ALL_SAMPLES.tolist(), g711.encode_ulaw(ALL_SAMPLES), strict=True):
        magnitude = (sample if sample >= 0 else -sample - 1) // 4
        interval = min(int(np.searchsorted(decisions, magnitude, side="right")) - 1, 127)
        assert code == ~(interval | (0 if sample >= 0 else 0x80)) & 0xFF, sample
    for code in range(256):
        word = ~code & 0xFF
        wanted = values[word & 0x7F] * 4 * (-1 if word & 0x80 else 1)
        assert g711.decode_ulaw(bytes([code]))[0] == wanted


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_code_word_survives_decoding_and_coding(law: g711.Law) -> None:
    words = bytes(range(256))
    again = g711.encode(g711.decode(words, law), law)
    # µ-law has two zeros; the negative one (0x7F) decodes to 0 and comes back as the positive one (0xFF).
    assert again == (words.replace(b"\x7f", b"\xff") if law == "PCMU" else words)


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_silence_is_the_smallest_positive_value(law: g711.Law) -> None:
    assert g711.encode(np.zeros(3, np.int16), law) == bytes([g711.SILENCE[law]]) * 3
    assert 0 <= g711.decode(bytes([g711.SILENCE[law]]), law)[0] <= 8


def test_transcoding_tables_agree_with_going_through_linear() -> None:
    words = bytes(range(256))
    assert g711.ULAW_TO_ALAW.tobytes() == g711.encode_alaw(g711.decode_ulaw(words))
    assert g711.ALAW_TO_ULAW.tobytes() == g711.encode_ulaw(g711.decode_alaw(words))


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_a_tone_keeps_the_signal_to_noise_ratio_of_the_law(law: g711.Law) -> None:
    tone = (8000 * np.sin(2 * np.pi * 1004 * np.arange(8000) / 8000)).astype(np.int16)
    heard = g711.decode(g711.encode(tone, law), law)
    noise = np.mean((heard.astype(float) - tone) ** 2)
    assert 10 * np.log10(np.mean(tone.astype(float) ** 2) / noise) > 35


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        g711.ULAW_TO_LINEAR[0] = 1
