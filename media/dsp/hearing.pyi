from typing import Literal

from numpy import int16
from numpy.typing import NDArray

Want = Literal["dtmf", "talk", "fax", "answering_machine", "progress"]

class Ears:
    """All detectors of one leg, for samples of ``rate`` (a multiple of 8000). :raises ValueError: another rate."""

    def __init__(self, rate: int, *wants: Want) -> None: ...
    def feed(self, samples: NDArray[int16]) -> list[tuple[str, str, int, int]]:
        """Take in samples. Returns (kind, value, position in ms, length in ms): kind ``digit`` and ``digit end`` with
        the digit, ``talk`` and ``talk end``, ``detected`` with a value of :class:`media.protocol.Detected`."""
