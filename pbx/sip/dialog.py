"""A dialog: tags, sequence numbers, route set and target; nothing of what is done inside it (RFC 3261 section 12)."""

from __future__ import annotations

from typing import Any

from .commands import Flow
from .wire import Packet, PeerFault, parse_name_addr, split_list

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


class Dialog:
    """State shared by all usages of one dialog."""

    __slots__ = (
        "call_id",
        "flow",
        "local",
        "local_cseq",
        "local_tag",
        "remote",
        "remote_cseq",
        "remote_tag",
        "routes",
        "session_line",
        "target",
    )

    def __init__(
        self,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        target: str,
        flow: Flow,
        local_cseq: int = 0,
        remote_cseq: int = -1,
        routes: list[str] | None = None,
        session_line: str = "",
    ) -> None:
        self.call_id = call_id
        self.local = local
        """From value of our requests, with tag."""
        self.local_tag = local_tag
        self.remote = remote
        """To value of our requests, with tag once known."""
        self.remote_tag = remote_tag
        self.target = target
        """Remote target URI."""
        self.flow = flow
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        """-1: nothing received yet."""
        self.routes = routes or []
        """Route values in the order they are sent."""
        self.session_line = session_line
        """Session-ID header line of our requests, empty where there is none (RFC 7989)."""

    @property
    def key(self) -> DialogKey:
        return (self.call_id, self.local_tag, self.remote_tag)

    def make_head(self, method: str, cseq: int) -> str:
        """From, To, Call-ID and CSeq lines of a request."""
        return f"From: {self.local}\r\nTo: {self.remote}\r\nCall-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n"

    def get_next_hop(self) -> tuple[str, list[str]]:
        """Request-URI and Route values; a strict router first in the set takes the URI's place (section 12.2.1.1)."""
        if not self.routes:
            return self.target, self.routes
        first = self.routes[0]
        if ";lr" in first.lower():
            return self.target, self.routes
        address = parse_name_addr(first)
        return address.uri, [*self.routes[1:], f"<{self.target}>"]

    def refresh_target(self, packet: Packet) -> None:
        """Take the Contact of a target refresh request or response, if it has one we can use."""
        contact = read_contact(packet)
        if contact:
            self.target = contact

    def to_state(self) -> dict[str, Any]:
        """Plain data; ``from_state`` is the inverse."""
        state = {name: getattr(self, name) for name in self.__slots__}
        state["flow"] = list(self.flow)
        state["routes"] = list(self.routes)
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Dialog:
        flow = Flow(*state["flow"])
        return cls(**{**state, "flow": flow, "routes": list(state["routes"])})


def read_contact(packet: Packet) -> str:
    """URI of the first Contact, or an empty string if there is none that can be read."""
    value = packet.headers.get("contact")
    if value is None or value.strip() == "*":
        return ""
    try:
        uri = parse_name_addr(split_list([value])[0] if "," in value else value).uri
    except (PeerFault, IndexError):
        return ""
    return uri if uri[:4].lower() in ("sip:", "sips") and not any(c in uri for c in " \r\n") else ""


def make_uas_dialog(packet: Packet, local_tag: str, flow: Flow) -> Dialog:
    """The dialog a request of the peer makes (section 12.1.1). Raises ``PeerFault``."""
    routes = split_list(packet.headers.getlist("record-route"))
    for route in routes:
        parse_name_addr(route)
    remote = packet.header("From")
    # RFC 2543 callers may have no Contact: their From is the best there is.
    target = read_contact(packet) or parse_name_addr(remote).uri
    local = packet.header("To")
    return Dialog(
        packet.call_id,
        f"{local};tag={local_tag}",
        local_tag,
        remote,
        packet.from_tag,
        target,
        flow,
        remote_cseq=packet.cseq,
        routes=routes,
    )


def make_uac_dialog(packet: Packet, base: Dialog, flow: Flow) -> Dialog:
    """The dialog a response to a request of ours makes (section 12.1.2). ``base`` holds what the request said."""
    try:
        routes = split_list(packet.headers.getlist("record-route"))[::-1]
        for route in routes:
            parse_name_addr(route)
    except PeerFault:
        routes = []
    return Dialog(
        base.call_id,
        base.local,
        base.local_tag,
        packet.header("To"),
        packet.to_tag,
        read_contact(packet) or base.target,
        flow,
        local_cseq=base.local_cseq,
        routes=routes,
        session_line=base.session_line,
    )
