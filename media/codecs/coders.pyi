from typing import Protocol

from numpy import int16
from numpy.typing import NDArray

DEFAULT_BITRATE: int
OPUS_COMPLEXITY: int
EXPECTED_LOSS_PERCENT: int

class Spec(Protocol):
    """What is needed of the engine's ``CodecSpec``."""

    @property
    def kind(self) -> int: ...
    @property
    def pcm_rate(self) -> int: ...
    @property
    def fmtp(self) -> str: ...

class CoderOwner:
    """Keeps one leg's codec states."""

    @property
    def address(self) -> int:
        """Address of the engine's ``Coder``."""

def open_coder(spec: Spec) -> tuple[CoderOwner, int] | None:
    """State for a codec as (owner, address), None for one that needs none. :raises MemoryError: none to be had."""

def run_coder(address: int, samples: NDArray[int16]) -> tuple[NDArray[int16], list[int]]:
    """Encode 20 ms frames and decode them again as the engine does. Returns samples and packet sizes."""
