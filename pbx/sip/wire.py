"""From packet to message, once, at the edge: everything later code relies on is checked here.

Messages are `sipmessage` requests and responses over a header table that looks names up in one step. What is
wrong with a request is raised as ``PeerFault`` with the status to answer; a fault that cannot be answered has
status 0. Header folding, compact names, any case and stray white space are accepted (RFC 3261 section 7.3.1),
since RFC 4475 section 3.1.1.1 asks for it.
"""

from __future__ import annotations

import re

from sipmessage import URI, Headers, Request, Response
from sipmessage.message import COMPACT_FORMS

from .commands import Flow
from .values import (
    MAX_TEL_URI,
    MAX_URI,
    SCHEME,
    NameAddr,
    PeerFault,
    TopVia,
    get_user,
    parse_name_addr,
    parse_params,
    parse_uri,
    parse_via,
    split_list,
    split_uri_headers,
)

__all__ = [
    "HeaderTable",
    "NameAddr",
    "Packet",
    "PeerFault",
    "TopVia",
    "get_user",
    "parse_name_addr",
    "parse_packet",
    "parse_params",
    "parse_uri",
    "parse_via",
    "read_packet",
    "split_list",
    "split_uri_headers",
]

MAX_MESSAGE_BYTES = 65_535
MAX_HEADERS = 200
MAX_CSEQ = 2**31 - 1
MAX_STATUS = 699

_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_FOLD = re.compile(r"\r\n[ \t]+")
_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) (\S+) SIP/(\d+)\.(\d+)\Z", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 (\d{1,10})(?: (.*))?\Z", re.IGNORECASE)
_CSEQ = re.compile(r"(\d{1,20})\s+([A-Za-z0-9\-.!%*_+`'~]+)\Z")
_HEADER_LINE = re.compile(r"\r\n([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*([^\r\n]*)")
_PLAIN_TAG = re.compile(r"(?:\"[^\"\\]*\" *|[^\"<;,]*)<sips?:[^<>\"\s]+>(?:;tag=([A-Za-z0-9\-.!%*_+`'~]+))?\Z")
"""From and To as nearly everybody writes them."""

_CANONICAL = {name.lower(): name for name in COMPACT_FORMS.values()}
_CANONICAL |= {short: name for short, name in COMPACT_FORMS.items()}
_KEYS = {name: name.lower() for name in _CANONICAL.values()}
_SINGLE = frozenset(
    ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "event")
)


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
        known = scheme in ("sip", "sips", "tel") or not SCHEME.match(target)
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
