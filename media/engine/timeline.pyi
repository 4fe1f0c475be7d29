class WallClockLine:
    """The mapping for tests and tools: the engine's own code, driven by hand in virtual time."""

    def __init__(self, clock: int = 8000, rate: int = 8000) -> None: ...
    def place(self, ssrc: int, ts: int, arrival: int) -> int:
        """Position of a packet, in samples of the recorder's rate."""
