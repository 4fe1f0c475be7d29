"""Header values that `sipmessage` reads too strictly or too late: URIs, addresses, parameters, lists, Via.

Each parser raises ``PeerFault`` (400), or ``ValueError`` for URIs, and takes linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from sipmessage import URI, Parameters

MAX_URI = 2048
MAX_TEL_URI = 128

_VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?:\s*:\s*(\d{1,5}))?\s*"
    r"((?:;[^;,\"]*(?:\"(?:[^\"\\]|\\.)*\"[^;,\"]*)?)*)(,[^\r\n]*)?\Z",
    re.IGNORECASE,
)
_LENIENT_URI = re.compile(
    r"(sips?):(?:([^@<>\"\s:]*)(?::([^@<>\"\s]*))?@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::(\d{1,5}))?((?:;[^;?\s<>\"]+)*)\Z"
)
"""What phones send besides the grammar: ``#`` in the user part, host names with underscores or ending in digits."""
_BREAKOUT = re.compile(r"[<>\"@%\\\s\x00-\x1f\x7f]")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_PARAM = re.compile(r";\s*([^\s=;\"]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;\"]*)\s*)?")


class PeerFault(Exception):
    """The peer broke a rule. ``status`` is what to answer, 0 if nothing can or may be answered."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class TopVia(NamedTuple):
    """The first Via: where the response goes and which transaction it belongs to."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str]
    rest: str
    """Further values of the same header line, with the leading comma."""


class NameAddr(NamedTuple):
    """A From, To, Contact, Route ... value: display name, URI as text, header parameters."""

    name: str
    uri: str
    params: dict[str, str]


@lru_cache(maxsize=4096)
def parse_uri(text: str) -> URI:
    """A SIP, SIPS or TEL URI; URI headers (``?Replaces=``) are left out.

    Raises ``ValueError``.
    """
    uri, _, _ = text.partition("?") if "@" not in text else _cut_uri_headers(text)
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    # The library's pattern for tel takes quadratic time.
    if len(uri) > MAX_URI or (scheme == "tel" and len(uri) > MAX_TEL_URI):
        raise ValueError("URI is too long")
    uri = scheme + colon + rest
    try:
        return URI.parse(uri)
    except ValueError:
        match = _LENIENT_URI.match(uri)
        if match is None:
            raise
    _, user, password, host, port, params = match.groups()
    return URI(
        scheme=scheme,
        host=host,
        user=unquote(user) if user is not None else None,
        password=unquote(password) if password is not None else None,
        port=int(port) if port else None,
        parameters=Parameters(**{name: value or None for name, value in parse_params(params).items()}),
    )


def get_user(uri: URI) -> str:
    """The user part, unescaped but for what could break out of a URI or header it is put into again.

    Numbers and names come out as people write them; ``<``, ``>``, ``"``, ``@``, blanks and controls stay escaped.
    """
    return escape_breakout(uri.user or "")


def escape_breakout(text: str) -> str:
    """Percent-encode what could end a URI, an address or a header line; everything else stays as it is."""
    if _BREAKOUT.search(text) is None:
        return text
    return _BREAKOUT.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


def _cut_uri_headers(text: str) -> tuple[str, str, str]:
    # A question mark may stand in the user part, so headers begin after the last "@" before them.
    at = text.rindex("@", 0, text.index("?", text.index("@"))) if "?" in text[text.index("@") :] else 0
    mark = text.find("?", at) if at else -1
    return (text, "", "") if mark < 0 else (text[:mark], "?", text[mark + 1 :])


def split_uri_headers(text: str) -> tuple[str, str]:
    """A URI without its headers, and the headers (``Replaces=...&...``) as they stand."""
    uri, _, headers = text.partition("?") if "@" not in text else _cut_uri_headers(text)
    return uri, headers


def parse_params(text: str) -> dict[str, str]:
    """``;a=b;c`` as a dictionary with names in lower case; a flag has an empty value, quotes are taken off.

    Raises ``PeerFault`` (400) for anything else.
    """
    params: dict[str, str] = {}
    if '"' not in text and " " not in text and "\t" not in text:
        head, *parts = text.split(";")
        if head:
            raise PeerFault(400, "Bad Parameter")
        for part in parts:
            name, _, value = part.partition("=")
            if not name:
                raise PeerFault(400, "Bad Parameter")
            params.setdefault(name.lower(), value)
        return params
    at, end = 0, len(text)
    while at < end:
        match = _PARAM.match(text, at)
        if match is None:
            if not text[at:].strip():
                break
            raise PeerFault(400, "Bad Parameter")
        name, value = match.groups()
        if value and value[0] == '"':
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        params.setdefault(name.lower(), value or "")
        at = match.end()
    return params


def parse_name_addr(value: str) -> NameAddr:
    """One From/To/Contact/Route value (RFC 3261 section 20.10). Raises ``PeerFault`` (400)."""
    value = value.strip()
    name = ""
    if value.startswith('"'):
        end = _closing_quote(value, 0)
        name = re.sub(r"\\(.)", r"\1", value[1:end])
        left = value.find("<", end)
        if left < 0 or value[end + 1 : left].strip():
            raise PeerFault(400, "Bad Address")
    else:
        left = value.find("<")
        if left > 0:
            name = value[:left].strip()
            if '"' in name or ";" in name:
                raise PeerFault(400, "Bad Address")
    if left < 0:
        uri, semi, params = value.partition(";")
        uri = uri.strip()
        # Without angle brackets a question mark or a comma makes the value ambiguous (section 20.10).
        if "?" in uri or "," in uri or " " in uri or ">" in uri:
            raise PeerFault(400, "Bad Address")
        parsed = parse_params(semi + params) if semi else {}
    else:
        right = value.find(">", left)
        if right < 0:
            raise PeerFault(400, "Bad Address")
        uri = value[left + 1 : right]
        rest = value[right + 1 :].strip()
        if rest and rest[0] != ";":
            raise PeerFault(400, "Bad Address")
        parsed = parse_params(rest) if rest else {}
    if not SCHEME.match(uri) or uri != uri.strip() or "<" in uri or '"' in uri:
        raise PeerFault(400, "Bad Address")
    return NameAddr(name, uri, parsed)


def _closing_quote(value: str, start: int) -> int:
    at = start + 1
    while at < len(value):
        if value[at] == "\\":
            at += 2
            continue
        if value[at] == '"':
            return at
        at += 1
    raise PeerFault(400, "Unbalanced Quotes")


def split_list(values: list[str]) -> list[str]:
    """Comma-separated values of a header, minding quotes and angle brackets. Raises ``PeerFault`` (400)."""
    result: list[str] = []
    for value in values:
        if "," not in value:
            result.append(value)
            continue
        start, at, end, depth = 0, 0, len(value), 0
        while at < end:
            char = value[at]
            if char == '"' and depth == 0:
                at = _closing_quote(value, at)
            elif char == "<":
                depth = 1
            elif char == ">":
                depth = 0
            elif char == "," and depth == 0:
                result.append(value[start:at].strip())
                start = at + 1
            at += 1
        result.append(value[start:].strip())
    return [item for item in result if item]


def parse_via(value: str) -> TopVia:
    """The first value of a Via header line (RFC 3261 section 20.42). Raises ``PeerFault`` (400)."""
    match = _VIA.match(value)
    if match is None:
        raise PeerFault(400, "Bad Via")
    transport, host, port, params, rest = match.groups()
    number = int(port) if port else None
    if number is not None and not 0 < number < 65536:
        raise PeerFault(400, "Bad Via")
    return TopVia(transport.upper(), host, number, parse_params(params) if params else {}, rest or "")
