from numpy import int16
from numpy.typing import NDArray

available: bool
"""Whether libopus was found."""

class OpusError(ValueError):
    """A setting or packet libopus refuses, or no library."""

def find_library() -> str | None:
    """Path or name of a libopus to open: PyAV's own copy, else the system's; None where there is neither."""

class OpusEncoder:
    """One outgoing mono stream; ``rate`` is 8000, 12000, 16000, 24000 or 48000. :raises OpusError: another rate."""

    def __init__(
        self,
        rate: int,
        *,
        bitrate: int = 0,
        fec: bool = True,
        loss_percent: int = 5,
        dtx: bool = False,
        cbr: bool = False,
        complexity: int = 5,
        max_bandwidth: int = 0,
    ) -> None: ...
    def encode(self, samples: NDArray[int16]) -> bytes:
        """Code one frame of 2.5, 5, 10, 20, 40 or 60 ms; 1-2 bytes are DTX. :raises OpusError: another length."""

class OpusDecoder:
    """One incoming stream, delivered as mono samples of ``rate`` whatever the peer sends."""

    def __init__(self, rate: int) -> None: ...
    def decode(self, packet: bytes | bytearray | memoryview) -> NDArray[int16]:
        """Decode one packet. :raises OpusError: garbage."""

    def conceal(self) -> NDArray[int16]:
        """What is heard in place of a lost packet, as long as the last one."""

    def recover(self, following: bytes | bytearray | memoryview) -> NDArray[int16]:
        """The lost packet, rebuilt from the redundancy in the one behind it. :raises OpusError: garbage."""
