from collections.abc import Sequence

class Clip:
    """Encoded audio, one immutable copy for all players."""

    data: bytes
    endless: bool

    def __init__(self, data: bytes, frames: Sequence[int] | None = None, endless: bool = False) -> None: ...
