def make_header(format: str, rate: int, samples: int) -> bytes:
    """The header the writer puts before `samples` stereo samples (for tests: it must be that of :mod:`media.wav`)."""
