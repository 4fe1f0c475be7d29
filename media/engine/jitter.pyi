class JitterBench:
    """The buffer of a G.711 leg driven by hand, for tests and tables: no sockets, no clock."""

    def __init__(self, law: int = 0) -> None: ...
    def put(self, seq: int, ts: int, payload: bytes, law: int = 0) -> None:
        """A packet arrives."""
    def pull(self) -> bytes:
        """The next 20 ms as 160 host-order samples."""
    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """(late, concealed, waited for, taken out, held)"""
