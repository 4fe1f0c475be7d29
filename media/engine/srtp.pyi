SUITES: dict[str, tuple[int, int]]

def open_session(suite: str, key: bytes, inbound: bool) -> tuple[object, int]:
    """A libsrtp session for one direction and the address the engine calls it by.

    Raises ValueError for a suite that is not known or a key of the wrong length.
    """
