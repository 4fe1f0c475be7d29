"""TNAuthList of a certificate (RFC 8226 section 9): for which telephone numbers it speaks.

The three shapes of DER in it are read here: the ASN.1 module of ``cryptography`` calls itself experimental and takes
no list without a class around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_ENTRIES: Final = 10_000
_SEQUENCE, _INTEGER, _IA5 = 0x30, 0x02, 0x16
_SPC, _RANGE, _ONE = 0xA0, 0xA1, 0xA2


def covers(der: bytes, number: str) -> bool:
    """Whether the list allows ``number`` (digits of E.164, no plus). Raises ``ValueError`` for what is no such list.

    A provider's code (SPC) allows every number: which ones a provider serves is in no certificate.
    """
    entries = list(_items(_only(der, _SEQUENCE)))
    if not 0 < len(entries) <= MAX_ENTRIES:
        raise ValueError("no entries, or too many")
    # All are read, so that a broken one is found whatever number calls.
    return any([_allows(tag, content, number) for tag, content in entries])


def _allows(tag: int, content: bytes, number: str) -> bool:
    if tag == _SPC:
        if not _only(content, _IA5):
            raise ValueError("an empty provider code")
        return True
    if tag == _ONE:
        return _read_number(_only(content, _IA5)) == number
    if tag != _RANGE:
        raise ValueError("an unknown kind of entry")
    fields = list(_items(_only(content, _SEQUENCE)))
    # Fields behind these two are left to later versions.
    if [kind for kind, _ in fields[:2]] != [_IA5, _INTEGER]:
        raise ValueError("a range without its start or count")
    start, count = _read_number(fields[0][1]), int.from_bytes(fields[1][1], "big", signed=True)
    if count < 2:
        raise ValueError("a range of fewer than two numbers")
    # Numbers of one range have one length: it does not run from 99 on to 100.
    if not (start.isdecimal() and number.isdecimal() and len(start) == len(number)):
        return False
    return 0 <= int(number) - int(start) < count


def _read_number(content: bytes) -> str:
    text = content.decode("ascii")
    if not 1 <= len(text) <= 15 or not set(text) <= set("0123456789#*"):
        raise ValueError("no telephone number")
    return text


def _only(data: bytes, tag: int) -> bytes:
    """The content of the single element ``data`` is."""
    items = list(_items(data))
    if len(items) != 1 or items[0][0] != tag:
        raise ValueError("unexpected element")
    return items[0][1]


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (DER: definite lengths, as short as they can be)."""
    at = 0
    while at < len(data):
        tag, first = data[at], data[at + 1 : at + 2]
        at += 2
        if not first:
            raise ValueError("cut short")
        length = first[0]
        if length > 0x7F:
            width = length & 0x7F
            field = data[at : at + width]
            length = int.from_bytes(field, "big")
            at += width
            if not 1 <= width <= 3 or len(field) < width or length < 0x80 or field[0] == 0:
                raise ValueError("a length that is no DER")
        if at + length > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + length]
        at += length
