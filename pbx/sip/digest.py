"""The arithmetic and the grammar of HTTP digest as SIP uses it (RFC 3261 section 22.4, RFC 7616, RFC 8760).

Header values are parsed here and not with ``sipmessage``: that one splits quoted strings at their commas, so
``qop="auth,auth-int"`` is an error for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType(
    {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
)
"""Digest algorithms of RFC 7616 with their names in hashlib. Each exists with ``-sess`` too."""

MAX_HEADER = 4096
"""Characters of a digest header; a longer one is refused unread."""
MAX_PARAMETERS = 24

_PARAMETER = re.compile(r'[ \t,]*([A-Za-z0-9.!%*_+`\'~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))[ \t]*(?=,|$)')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class DigestError(ValueError):
    """A digest header that breaks its grammar."""


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of an Authorization or WWW-Authenticate value, names in lower case, strings unquoted.

    None for another scheme than Digest. Raises ``DigestError`` for a broken or oversized value, or one that names
    a parameter twice.
    """
    if len(value) > MAX_HEADER:
        raise DigestError("digest header too long")
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    rest = rest.replace("\r\n", " ").strip()
    parameters: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise DigestError(f"digest parameter expected at character {position}")
        name, quoted, token = match.group(1, 2, 3)
        name = name.lower()
        if name in parameters:
            raise DigestError(f"digest parameter {name} given twice")
        if len(parameters) == MAX_PARAMETERS:
            raise DigestError("too many digest parameters")
        if quoted is not None:
            parameters[name] = _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
        else:
            parameters[name] = token
        position = match.end()
        if rest[position : position + 1] == ",":
            position += 1
    if not parameters:
        raise DigestError("digest header without parameters")
    return parameters


def quote(value: str) -> str:
    """``value`` as a quoted-string (RFC 3261 section 25.1)."""
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def hasher(algorithm: str) -> Callable[[str], str]:
    """The hash function of ``algorithm`` (with or without ``-sess``), from text to lower-case hexadecimal.

    Raises ``KeyError`` for an unknown algorithm. MD5 protects nothing else here: it is what most phones speak.
    """
    name = ALGORITHMS[base_algorithm(algorithm)]

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

    if name == "md5":
        return _md5
    return _sha256 if name == "sha256" else digest


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def base_algorithm(algorithm: str) -> str:
    """``algorithm`` in capitals without ``-sess``."""
    return algorithm.upper().removesuffix("-SESS")


def compute_ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """H(username:realm:password): all that a server needs to keep of a password (RFC 7616 section 3.4.2)."""
    return hasher(algorithm)(f"{username}:{realm}:{password}")


def compute_response(
    algorithm: str,
    ha1: str,
    method: str,
    uri: str,
    nonce: str,
    *,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The ``response`` parameter (RFC 7616 section 3.4.1). ``qop`` empty: the older form of RFC 2069.

    ``ha1`` is that of the base algorithm; for ``-sess`` the session key is derived here.
    """
    digest = hasher(algorithm)
    if algorithm.upper().endswith("-SESS"):
        ha1 = digest(f"{ha1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        name = ALGORITHMS[base_algorithm(algorithm)]
        a2 += ":" + hashlib.new(name, body, usedforsecurity=False).hexdigest()
    ha2 = digest(a2)
    if qop:
        return digest(f"{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}")
    return digest(f"{ha1}:{nonce}:{ha2}")
