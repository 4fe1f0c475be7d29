"""ITU-T G.711 µ-law and A-law as look-up tables.

The tables follow the ITU's own reference (G.191 Software Tool Library): a 16-bit sample is cut to the 14 bits
(µ-law) or 13 bits (A-law) of G.711, negative values by one's complement, and no zero-code suppression is done.
Samples are 16-bit, left-justified: full scale of the coder is +3.17 dBm0 (µ-law) or +3.14 dBm0 (A-law).

Encode tables are indexed by the sample's bit pattern seen as unsigned (``sample & 0xFFFF``), decode tables by the
code word. The arrays are read-only; a native engine takes their addresses once and keeps them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Law = Literal["PCMU", "PCMA"]
Samples = NDArray[np.int16]

SILENCE: dict[Law, int] = {"PCMU": 0xFF, "PCMA": 0xD5}
"""Code word of the smallest positive value: what silence is made of."""


def _expand_ulaw() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF  # G.711 table 2: all bits are sent inverted
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = ((mantissa * 2 + 33) << exponent) - 33
    table: Samples = np.where(code & 0x80, -magnitude << 2, magnitude << 2).astype(np.int16)
    return table


def _compress_ulaw() -> NDArray[np.uint8]:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(linear < 0, ~linear, linear) >> 2
    biased = np.minimum(magnitude + 33, 0x1FFF)
    exponent = np.frexp(biased.astype(np.float64))[1] - 6  # position of the leading one
    mantissa = (biased >> (exponent + 1)) & 15
    code = ~((exponent << 4) | mantissa) & 0x7F
    table: NDArray[np.uint8] = np.where(linear < 0, code, code | 0x80).astype(np.uint8)
    return table


def _expand_alaw() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55  # G.711 table 1: even bits are sent inverted
    exponent, mantissa = (code >> 4) & 7, code & 15
    step = np.where(exponent > 0, mantissa + 16, mantissa) * 2 + 1
    magnitude = step << np.maximum(exponent - 1, 0)
    table: Samples = np.where(code & 0x80, magnitude << 3, -magnitude << 3).astype(np.int16)
    return table


def _compress_alaw() -> NDArray[np.uint8]:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(linear < 0, ~linear, linear) >> 4
    exponent = np.maximum(np.frexp(magnitude.astype(np.float64))[1] - 4, 0)
    mantissa = (magnitude >> np.maximum(exponent - 1, 0)) & 15
    code = (exponent << 4) | mantissa
    table: NDArray[np.uint8] = (np.where(linear < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)
    return table


def _freeze(table: NDArray[np.int16] | NDArray[np.uint8]) -> None:
    table.setflags(write=False)


ULAW_TO_LINEAR: Samples = _expand_ulaw()
ALAW_TO_LINEAR: Samples = _expand_alaw()
LINEAR_TO_ULAW: NDArray[np.uint8] = _compress_ulaw()
LINEAR_TO_ALAW: NDArray[np.uint8] = _compress_alaw()
ULAW_TO_ALAW: NDArray[np.uint8] = LINEAR_TO_ALAW[ULAW_TO_LINEAR.view(np.uint16)]
ALAW_TO_ULAW: NDArray[np.uint8] = LINEAR_TO_ULAW[ALAW_TO_LINEAR.view(np.uint16)]
for _table in (ULAW_TO_LINEAR, ALAW_TO_LINEAR, LINEAR_TO_ULAW, LINEAR_TO_ALAW, ULAW_TO_ALAW, ALAW_TO_ULAW):
    _freeze(_table)

DECODE: dict[Law, Samples] = {"PCMU": ULAW_TO_LINEAR, "PCMA": ALAW_TO_LINEAR}
ENCODE: dict[Law, NDArray[np.uint8]] = {"PCMU": LINEAR_TO_ULAW, "PCMA": LINEAR_TO_ALAW}


def encode(samples: Samples, law: Law) -> bytes:
    """Code 16-bit samples; one byte each."""
    return ENCODE[law][np.ascontiguousarray(samples, dtype=np.int16).view(np.uint16)].tobytes()


def decode(payload: bytes | bytearray | memoryview, law: Law) -> Samples:
    """Decode code words to 16-bit samples; any byte string is valid."""
    return DECODE[law][np.frombuffer(payload, dtype=np.uint8)]


def encode_ulaw(samples: Samples) -> bytes:
    """:func:`encode` to µ-law (PCMU)."""
    return encode(samples, "PCMU")


def encode_alaw(samples: Samples) -> bytes:
    """:func:`encode` to A-law (PCMA)."""
    return encode(samples, "PCMA")


def decode_ulaw(payload: bytes | bytearray | memoryview) -> Samples:
    """:func:`decode` from µ-law (PCMU)."""
    return decode(payload, "PCMU")


def decode_alaw(payload: bytes | bytearray | memoryview) -> Samples:
    """:func:`decode` from A-law (PCMA)."""
    return decode(payload, "PCMA")
