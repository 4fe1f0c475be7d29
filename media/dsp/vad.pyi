from numpy import int16
from numpy.typing import NDArray

native: bool
"""Whether WebRTC's detector was found; else speech is told by energy."""

class VoiceDetector:
    """Voice activity in 8 kHz samples. ``aggressiveness`` 0-3: how much is filtered out; ``hangover_ms``: the silence
    that ends talk. :raises ValueError: another aggressiveness."""

    def __init__(self, aggressiveness: int = 2, hangover_ms: int = 400, *, by_energy: bool = False) -> None: ...
    def voiced(self, samples: NDArray[int16]) -> list[bool]:
        """One flag per whole 20 ms frame."""

    def feed(self, samples: NDArray[int16]) -> list[tuple[bool, int]]:
        """Take in whole frames; returns (talking, position in ms) for every change."""
