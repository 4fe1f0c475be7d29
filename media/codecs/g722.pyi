from numpy import int16
from numpy.typing import NDArray

class G722Encoder:
    """One outgoing stream, 64 kbit/s."""

    def encode(self, samples: NDArray[int16]) -> bytes:
        """Code 16 kHz samples, one byte a pair; an odd last one is left out."""

class G722Decoder:
    """One incoming stream."""

    def decode(self, data: bytes | bytearray | memoryview) -> NDArray[int16]:
        """Decode to 16 kHz samples, two a byte. Any bytes are valid."""
