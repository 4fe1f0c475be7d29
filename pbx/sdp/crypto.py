"""SDES keys in a=crypto lines (RFC 4568, RFC 7714)."""

from __future__ import annotations

import base64
import binascii

from .model import Crypto

KEY_BYTES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""Length of master key and salt together, by suite."""


def parse_crypto(value: str) -> Crypto | None:
    """The value of one a=crypto line; None for one we cannot use (unknown suite, MKI, session parameters)."""
    parts = value.split()
    if len(parts) < 3 or not (parts[0].isascii() and parts[0].isdigit()) or len(parts[0]) > 9:
        return None
    suite = parts[1].upper()
    size = KEY_BYTES.get(suite)
    if size is None or len(parts) > 3 or not parts[2].lower().startswith("inline:"):
        return None
    fields = parts[2][len("inline:") :].split("|")
    if any(":" in field for field in fields[1:]):
        # A master key identifier would have to be put into every packet.
        return None
    try:
        key = base64.b64decode(fields[0], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(suite, key, int(parts[0])) if len(key) == size else None


def format_crypto(crypto: Crypto) -> str:
    return f"a=crypto:{crypto.tag} {crypto.suite} inline:{base64.b64encode(crypto.key).decode()}"
