from numpy import int16
from numpy.typing import NDArray

class DtmfListener:
    """Streaming in-band DTMF detector within ITU-T Q.24; ``least_dbm0`` is the least level of each component."""

    def __init__(self, least_dbm0: float = -27.0) -> None: ...
    def feed(self, samples: NDArray[int16]) -> list[tuple[bool, str, int, int]]:
        """Take in 8 kHz samples. Returns (began, digit, position, length) in samples; length is 0 where it began."""

def generate_dtmf(
    digits: str, rate: int, on_ms: int = 100, off_ms: int = 70, level_dbfs: float = -10.0
) -> NDArray[int16]:
    """Samples of digits, by the generator the engine uses. :raises ValueError: no digit."""
