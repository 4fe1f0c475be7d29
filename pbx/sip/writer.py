"""From what we want to say to bytes. Header values arrive formatted; nothing here decides anything.

Written as text rather than through `sipmessage.Message` because the repeated part of a response (Via, From, To,
Call-ID, CSeq) is copied as it came, and because a call's cost is mostly the cost of its messages.
"""

from __future__ import annotations

from .commands import Flow
from .wire import Packet

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
VIA_TRANSPORT = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS"}

HeaderLines = tuple[tuple[str, str], ...]


def get_reason(status: int) -> str:
    """The registered phrase of a status code, or that of its class."""
    return REASONS.get(status) or REASONS.get(status // 100 * 100, "Error")


def clean(value: str) -> str:
    """A header value that cannot break out of its line."""
    return value.replace("\r", " ").replace("\n", " ") if "\r" in value or "\n" in value else value


def bracket(host: str) -> str:
    """An IP address or name as it stands in a URI: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def stamp_via(packet: Packet) -> str:
    """The top Via line with ``received`` and ``rport`` filled in (RFC 3261 section 18.2.1, RFC 3581)."""
    via, flow = packet.via, packet.flow
    value = packet.headers["via"]
    host = via.host[1:-1] if via.host.startswith("[") else via.host
    wants_port = "rport" in via.params
    if not host or (host == flow.host and not wants_port and "received" not in via.params):
        return value
    if not via.rest and "received" not in via.params and value.endswith(";rport"):
        return f"{value}={flow.port};received={flow.host}"
    first = value[: len(value) - len(via.rest)] if via.rest else value
    kept = first.partition(";")
    params = "".join(
        f";{name}" if not text else f";{name}={text}"
        for name, text in _raw_params(kept[2])
        if name.lower() not in ("rport", "received")
    )
    tail = f";rport={flow.port}" if wants_port else ""
    return f"{kept[0].rstrip()}{params};received={flow.host}{tail}{via.rest}"


def _raw_params(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(";"):
        name, _, value = part.partition("=")
        pairs.append((name.strip(), value.strip()))
    return [pair for pair in pairs if pair[0]]


def build_response_head(packet: Packet) -> str:
    """The header lines every response to ``packet`` repeats, but To."""
    if packet.response_head:
        return packet.response_head
    headers = packet.headers
    lines = [f"Via: {stamp_via(packet)}\r\n"]
    vias = headers.getlist("via")
    if len(vias) > 1:
        lines += [f"Via: {value}\r\n" for value in vias[1:]]
    for name in ("From", "Call-ID", "CSeq"):
        value = headers.get(name)
        if value is not None:
            lines.append(f"{name}: {value}\r\n")
    packet.response_head = "".join(lines)
    return packet.response_head


def build_response(
    packet: Packet,
    status: int,
    reason: str,
    to_tag: str,
    headers: str = "",
    content_type: str = "application/sdp",
    body: bytes = b"",
) -> bytes:
    """A response to ``packet``. ``headers``: further lines, each ending in CRLF."""
    to = packet.headers.get("to")
    if to is not None:
        to = f"To: {to};tag={to_tag}\r\n" if to_tag and not packet.to_tag else f"To: {to}\r\n"
    content = f"Content-Type: {content_type}\r\n" if body else ""
    head = (
        f"SIP/2.0 {status} {clean(reason) or get_reason(status)}\r\n"
        f"{build_response_head(packet)}{to or ''}{headers}{content}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def build_request(
    method: str,
    uri: str,
    via: str,
    routes: list[str],
    headers: str,
    content_type: str = "application/sdp",
    body: bytes = b"",
    max_forwards: int = 70,
) -> bytes:
    """A request. ``headers``: From, To, Call-ID, CSeq and further lines, each ending in CRLF."""
    route = "".join([f"Route: {value}\r\n" for value in routes]) if routes else ""
    content = f"Content-Type: {content_type}\r\n" if body else ""
    head = (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: {max_forwards}\r\n{route}{headers}"
        f"{content}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def format_headers(headers: HeaderLines) -> str:
    """Header lines from pairs."""
    return "".join([f"{name}: {clean(value)}\r\n" for name, value in headers]) if headers else ""


def get_response_flow(packet: Packet) -> Flow:
    """Where the response to ``packet`` goes (RFC 3261 section 18.2.2, RFC 3581 section 4)."""
    flow, via = packet.flow, packet.via
    if flow.transport != "udp" or "rport" in via.params or via.port == flow.port or not via.host:
        return flow
    return Flow("udp", flow.host, via.port or 5060, flow.listener, flow.connection)
