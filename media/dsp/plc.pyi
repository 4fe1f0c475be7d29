from numpy import int16
from numpy.typing import NDArray

class Concealer:
    """Packet-loss concealment at 8000 or 16000 Hz. :raises ValueError: another rate."""

    def __init__(self, rate: int) -> None: ...
    def good(self, samples: NDArray[int16]) -> NDArray[int16]:
        """A frame that arrived. Returns it as it is to be played: led over into, behind a loss."""

    def lost(self, count: int) -> NDArray[int16]:
        """What to play in place of ``count`` samples. :raises ValueError: more than 20 ms."""
