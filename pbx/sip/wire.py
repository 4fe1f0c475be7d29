"""From packet to message, once, at the edge: everything later code relies on is checked here.

Messages are `sipmessage` requests and responses over a header table that looks names up in one step. What is
wrong with a request is raised as ``PeerFault`` with the status to answer; a fault that cannot be answered has
status 0. Header folding, compact names, any case and stray white space are accepted (RFC 3261 section 7.3.1),
since RFC 4475 section 3.1.1.1 asks for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from sipmessage import URI, Headers, Parameters, Request, Response
from sipmessage.message import COMPACT_FORMS

from .commands import Flow

MAX_MESSAGE_BYTES = 65_535
MAX_HEADERS = 200
MAX_CSEQ = 2**31 - 1
MAX_STATUS = 699
MAX_URI = 2048
MAX_TEL_URI = 128

_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_FOLD = re.compile(r"\r\n[ \t]+")
_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) (\S+) SIP/(\d+)\.(\d+)\Z", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 (\d{1,10})(?: (.*))?\Z", re.IGNORECASE)
_CSEQ = re.compile(r"(\d{1,20})\s+([A-Za-z0-9\-.!%*_+`'~]+)\Z")
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
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_HEADER_LINE = re.compile(r"\r\n([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*([^\r\n]*)")
_PLAIN_TAG = re.compile(r"(?:\"[^\"\\]*\" *|[^\"<;,]*)<sips?:[^<>\"\s]+>(?:;tag=([A-Za-z0-9\-.!%*_+`'~]+))?\Z")
"""From and To as nearly everybody writes them."""
_PARAM = re.compile(r";\s*([^\s=;\"]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;\"]*)\s*)?")

_CANONICAL = {name.lower(): name for name in COMPACT_FORMS.values()}
_CANONICAL |= {short: name for short, name in COMPACT_FORMS.items()}
_KEYS = {name: name.lower() for name in _CANONICAL.values()}
_SINGLE = frozenset(
    ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "event")
)


class PeerFault(Exception):
    """The peer broke a rule. ``status`` is what to answer, 0 if nothing can or may be answered."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class HeaderTable(Headers):
    """`sipmessage.Headers` with one dictionary look-up per access."""

    def __init__(self) -> None:
        super().__init__()
        self._table: dict[str, tuple[str, list[str]]] = {}

    def add(self, key: str, value: str) -> None:
        entry = self._table.get(key.lower())
        if entry is None:
            self._table[key.lower()] = (key, [value])
        else:
            entry[1].append(value)

    def get(self, key: str, default: str | None = None) -> str | None:
        entry = self._table.get(key.lower())
        return default if entry is None else entry[1][0]

    def getlist(self, key: str) -> list[str]:
        entry = self._table.get(key.lower())
        return [] if entry is None else entry[1]

    def keys(self) -> list[str]:
        return [name for name, _ in self._table.values()]

    def remove(self, key: str) -> None:
        self._table.pop(key.lower(), None)

    def set(self, key: str, value: str) -> None:
        self.setlist(key, [value])

    def setlist(self, key: str, values: list[str]) -> None:
        entry = self._table.get(key.lower())
        self._table[key.lower()] = (key if entry is None else entry[0], values)

    def __getitem__(self, key: str) -> str:
        return self._table[key.lower()][1][0]

    def __str__(self) -> str:
        lines = [f"{name}: {value}\r\n" for name, values in self._table.values() for value in values]
        return "".join(lines) + "\r\n"


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


class Packet:
    """A received message with what matching and dialogs need already parsed."""

    __slots__ = (
        "branch",
        "call_id",
        "cseq",
        "flow",
        "from_tag",
        "headers",
        "is_request",
        "message",
        "method",
        "response_head",
        "status",
        "to_tag",
        "via",
    )

    message: Request | Response
    headers: HeaderTable
    flow: Flow
    is_request: bool
    method: str
    """Of the request; for a response that of its CSeq."""
    status: int
    call_id: str
    cseq: int
    from_tag: str
    to_tag: str
    via: TopVia
    branch: str
    response_head: str
    """Cache of the header lines a response repeats; see ``writer``."""

    @property
    def request(self) -> Request:
        assert isinstance(self.message, Request)
        return self.message

    @property
    def response(self) -> Response:
        assert isinstance(self.message, Response)
        return self.message

    @property
    def body(self) -> bytes:
        return self.message.body

    def header(self, name: str) -> str:
        """First value, or an empty string."""
        return self.headers.get(name) or ""

    def tokens(self, name: str) -> list[str]:
        """Comma-separated tokens in lower case of all values of a header."""
        values = self.headers.getlist(name)
        if not values:
            return []
        return [token for value in values for token in value.lower().replace(" ", "").split(",") if token]


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
    if not _SCHEME.match(uri) or uri != uri.strip() or "<" in uri or '"' in uri:
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


def parse_packet(data: bytes, flow: Flow) -> Packet:
    """Parse and check one message. Raises ``PeerFault``; its status is 0 for responses and hopeless requests."""
    packet, fault = read_packet(data, flow)
    if fault is not None:
        raise fault
    assert packet is not None
    return packet


def read_packet(data: bytes, flow: Flow) -> tuple[Packet | None, PeerFault | None]:
    """The message and what is wrong with it. With a fault, the packet is only good for answering it."""
    if len(data) > MAX_MESSAGE_BYTES:
        return None, PeerFault(0, "message too large")
    data = data.lstrip(b"\r\n")
    head_bytes, separator, body = data.partition(b"\r\n\r\n")
    try:
        head = head_bytes.decode()
    except UnicodeDecodeError:
        head = head_bytes.decode("utf-8", "replace")
        fault: PeerFault | None = PeerFault(400, "Bad Encoding")
    else:
        fault = None if separator else PeerFault(400, "Incomplete Message")
    if "\r\n " in head or "\r\n\t" in head:
        head = _FOLD.sub(" ", head)
    headers, header_fault = _read_headers(head)
    packet = Packet()
    packet.flow = flow
    packet.headers = headers
    packet.response_head = ""
    packet.status = 0
    try:
        start_fault = _read_start(packet, head.partition("\r\n")[0], body)
        essential_fault = _read_essentials(packet)
    except PeerFault as hopeless:
        return None, hopeless
    fault = fault or start_fault or header_fault or essential_fault or _read_body(packet, body)
    if fault is not None and (not packet.is_request or packet.method == "ACK"):
        fault = PeerFault(0, fault.reason)
    return packet, fault


def _read_headers(head: str) -> tuple[HeaderTable, PeerFault | None]:
    headers = HeaderTable()
    table = headers._table
    fault: PeerFault | None = None
    lines = _HEADER_LINE.findall(head)
    count = head.count("\r\n")
    if count > MAX_HEADERS:
        return headers, PeerFault(0, "too many headers")
    if count != len(lines):
        fault = PeerFault(400, "Bad Header")
    for name, value in lines:
        key = _KEYS.get(name)
        if key is None:
            name = _CANONICAL.get(name.lower(), name)
            key = name.lower()
        if value and value[-1] in " \t":
            value = value.rstrip(" \t")
        entry = table.get(key)
        if entry is None:
            table[key] = (name, [value])
        elif key in _SINGLE:
            fault = fault or PeerFault(400, f"Repeated {entry[0]}")
        else:
            entry[1].append(value)
    return headers, fault


def _read_start(packet: Packet, line: str, body: bytes) -> PeerFault | None:
    """Fill in request or response. Raises for what is neither; returns what an answer can be sent for."""
    fault: PeerFault | None = None
    if line[:4].upper() == "SIP/":
        match = _STATUS_LINE.match(line)
        if match is None:
            raise PeerFault(0, "bad status line")
        packet.is_request = False
        packet.status = int(match[1])
        if not 100 <= packet.status <= MAX_STATUS:
            raise PeerFault(0, "bad status code")
        response = Response(packet.status, match[2] or "", body)
        response.headers = packet.headers
        packet.message = response
        packet.method = ""
        return None
    packet.is_request = True
    match = _REQUEST_LINE.match(line)
    if match is None:
        fault = PeerFault(400, "Bad Request-Line")
        method, target = line.partition(" ")[0], "sip:invalid.invalid"
        if not _NAME.match(method) or "SIP/" not in line.upper():
            raise PeerFault(0, "not SIP")
    else:
        method, target = match[1], match[2]
        if (match[3], match[4]) != ("2", "0"):
            fault = PeerFault(505, "Version Not Supported")
    try:
        uri = parse_uri(target)
        if "?" in target and "?" not in str(uri) and split_uri_headers(target)[1]:
            # Headers are not allowed in a Request-URI (section 19.1.1, table 1).
            fault = fault or PeerFault(400, "Bad Request-URI")
    except ValueError:
        scheme = target.partition(":")[0].lower()
        if len(target) > MAX_TEL_URI and scheme == "tel" or len(target) > MAX_URI:
            fault = fault or PeerFault(414, "Request-URI Too Long")
        known = scheme in ("sip", "sips", "tel") or not _SCHEME.match(target)
        fault = fault or (PeerFault(400, "Bad Request-URI") if known else PeerFault(416, "Unsupported URI Scheme"))
        uri = URI(scheme="sip", host="invalid.invalid")
    request = Request(method, uri, body)
    request.headers = packet.headers
    packet.message = request
    packet.method = method
    return fault


def _read_essentials(packet: Packet) -> PeerFault | None:
    """Via, Call-ID, CSeq, From and To. Raises when even an answer cannot be addressed."""
    table = packet.headers._table
    top = table.get("via")
    if top is None:
        raise PeerFault(0, "no Via")
    fault: PeerFault | None = None
    try:
        packet.via = parse_via(top[1][0])
    except PeerFault:
        # The answer goes back where the packet came from, with the Via as it is.
        packet.via = TopVia("", "", None, {}, "")
        fault = PeerFault(400, "Bad Via")
    packet.branch = packet.via.params.get("branch", "")
    packet.call_id = _first(table, "call-id")
    if not packet.call_id or " " in packet.call_id:
        fault = fault or PeerFault(400, "Bad Call-ID" if packet.call_id else "Missing Call-ID")
    packet.cseq = 0
    match = _CSEQ.match(_first(table, "cseq"))
    if match is None:
        fault = fault or PeerFault(400, "Bad CSeq" if "cseq" in table else "Missing CSeq")
    else:
        packet.cseq = int(match[1])
        if packet.cseq > MAX_CSEQ:
            fault = fault or PeerFault(400, "CSeq Out Of Range")
            packet.cseq = 0
        if not packet.is_request:
            packet.method = match[2]
        elif match[2] != packet.method:
            fault = fault or PeerFault(400, "CSeq Does Not Match Method")
    packet.from_tag, from_fault = _read_tag(_first(table, "from"), "From")
    packet.to_tag, to_fault = _read_tag(_first(table, "to"), "To")
    return fault or from_fault or to_fault


def _first(table: dict[str, tuple[str, list[str]]], key: str) -> str:
    entry = table.get(key)
    return "" if entry is None else entry[1][0]


def _read_tag(value: str, name: str) -> tuple[str, PeerFault | None]:
    match = _PLAIN_TAG.match(value)
    if match is not None:
        return match[1] or "", None
    if not value:
        return "", PeerFault(400, f"Missing {name}")
    try:
        return parse_name_addr(value).params.get("tag", ""), None
    except PeerFault:
        return "", PeerFault(400, f"Bad {name}")


def _read_body(packet: Packet, body: bytes) -> PeerFault | None:
    """Content-Length (section 18.3) and the scalar headers RFC 4475 section 3.1.2.4 names."""
    table = packet.headers._table
    if "content-length" in table:
        length = table["content-length"][1][0]
        if not (length.isascii() and length.isdigit()) or len(length) > 9:
            return PeerFault(400, "Bad Content-Length")
        size = int(length)
        if size > len(body):
            return PeerFault(400, "Incomplete Body")
        if size < len(body):
            packet.message.body = body[:size]
    elif packet.flow.transport not in ("udp", "ws", "wss"):
        return PeerFault(400, "Missing Content-Length")
    if packet.is_request:
        forwards = _first(table, "max-forwards")
        if "max-forwards" in table and not (_is_number(forwards) and int(forwards[:9]) <= 255):
            return PeerFault(400, "Bad Max-Forwards")
        expires = _first(table, "expires")
        if "expires" in table and not (_is_number(expires) and int(expires[:12]) < 2**32):
            return PeerFault(400, "Bad Expires")
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
