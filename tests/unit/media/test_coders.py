"""Codec state as the engine uses it: through function pointers."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import pytest

from media.codecs.coders import DEFAULT_BITRATE, open_coder, run_coder
from tools import listen

PCMU, G722, OPUS = 0, 2, 3


@dataclass(frozen=True)
class Spec:
    kind: int
    pcm_rate: int
    fmtp: str = ""


def tone(hz: float, rate: int) -> np.ndarray:
    return np.round(8000 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)).astype(np.int16)


@pytest.mark.parametrize("spec", [Spec(G722, 16_000), Spec(OPUS, 8000), Spec(OPUS, 16_000), Spec(OPUS, 48_000)])
def test_a_tone_comes_through(spec: Spec) -> None:
    opened = open_coder(spec)
    assert opened is not None
    owner, address = opened
    assert owner.address == address
    heard, sizes = run_coder(address, tone(800, spec.pcm_rate))
    assert len(sizes) == 50
    assert listen.tone_present(listen.from_int16(heard), spec.pcm_rate, 800, 0.2, 0.9) > 0.97


def test_codecs_without_state_need_none() -> None:
    assert open_coder(Spec(PCMU, 8000)) is None


def test_opus_obeys_the_peers_parameters() -> None:
    noise = (np.random.default_rng(1).standard_normal(16_000) * 4000).astype(np.int16)

    def size(fmtp: str) -> int:
        opened = open_coder(Spec(OPUS, 16_000, fmtp))
        assert opened is not None
        return sum(run_coder(opened[1], noise)[1]) * 8

    assert size("") == pytest.approx(DEFAULT_BITRATE, rel=0.2)
    assert size("maxaveragebitrate=12000") == pytest.approx(12_000, rel=0.2)
    assert size("maxaveragebitrate=510000") == pytest.approx(DEFAULT_BITRATE, rel=0.2)


def test_a_rate_opus_does_not_know_is_refused() -> None:
    with pytest.raises(MemoryError, match="no codec state"):
        open_coder(Spec(OPUS, 11_025))


def test_many_legs_come_and_go() -> None:
    for _ in range(200):
        owners = [open_coder(Spec(kind, 16_000)) for kind in (G722, OPUS)]
        assert all(owners)
    gc.collect()
