"""The fuzzing targets hold on their own seeds, so that a fuzzing run starts from a sound place."""

import pytest

from tests.fuzz.fuzz_sip import fuzz_one, list_seeds


@pytest.mark.parametrize("seed", list_seeds(), ids=lambda seed: f"{seed[0]}-{len(seed)}")
def test_seed(seed: bytes) -> None:
    fuzz_one(seed)
    for end in range(1, len(seed), max(1, len(seed) // 20)):
        fuzz_one(seed[:end])


def test_nothing_at_all() -> None:
    fuzz_one(b"")
