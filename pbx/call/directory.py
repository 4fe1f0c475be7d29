"""Names as callers spell them on the keys of a phone (ITU-T E.161): letters, and pinyin for Chinese characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice, product

_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_WORDS = re.compile(r"[a-z]+|[\u3400-\u9fff]")
"""Words of Latin letters, and single Chinese characters."""
_MAX_SPELLINGS = 64
"""Of one name: characters with several readings multiply."""


def find_names(names: Mapping[str, str], keys: str) -> list[str]:
    """Numbers of those whose name may begin with ``keys``. ``names``: name by number.

    A name is found by its keys from any of its words on (张伟: zhangwei or wei; Maria Gomez: maria or gomez) and by
    those of its initials (zw, mg).
    """
    return [number for number, name in names.items() if any(s.startswith(keys) for s in spell(name))]


@lru_cache(maxsize=20_000)
def spell(name: str) -> frozenset[str]:
    """Keys of a name: whole, from each further word on, and its initials; of all readings of its characters."""
    words = [list(_read(word)) for word in _WORDS.findall(_simplify(name))]
    found: set[str] = set()
    for reading in islice(product(*words), _MAX_SPELLINGS):
        keys = [word.translate(_KEYS) for word in reading]
        found.update("".join(keys[first:]) for first in range(len(keys)))
        if len(keys) > 1:
            found.add("".join(key[0] for key in keys))
    return frozenset(found)


def _simplify(name: str) -> str:
    """Small letters without accents; ``ü`` lies on the key of ``u`` and of the ``v`` that stands for it in pinyin."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _read(word: str) -> Iterator[str]:
    if word.isascii():
        yield word
        return
    from pypinyin import Style, pinyin  # its tables take 50 MB: only where names are Chinese

    (readings,) = pinyin(word, style=Style.NORMAL, heteronym=True, errors="ignore") or [[]]
    yield from dict.fromkeys(readings)
