def expand_bytes(data: bytes, law: int) -> bytes:
    """G.711 codes as host-order 16-bit samples; `law` 0 is µ-law, 1 A-law."""

def compress_bytes(samples: bytes, law: int) -> bytes:
    """Host-order 16-bit samples as G.711 codes."""
