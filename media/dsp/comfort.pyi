from numpy import int16
from numpy.typing import NDArray

class ComfortNoise:
    """Generates the noise an RFC 3389 payload describes; silence before the first."""

    def __init__(self, seed: int = 1) -> None: ...
    def set(self, payload: bytes) -> bool:
        """Take a payload; False if it is empty."""

    def generate(self, count: int) -> NDArray[int16]:
        """The next samples."""

def describe_noise(samples: NDArray[int16]) -> bytes:
    """RFC 3389 payload (level and four coefficients) for background noise."""
