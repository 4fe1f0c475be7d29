"""How Tandem names itself to each peer: Via and Contact by listener, and by which side of a NAT the peer is on."""

from __future__ import annotations

import ipaddress

import msgspec

from .commands import Flow
from .writer import VIA_TRANSPORT, bracket


class Listener(msgspec.Struct, frozen=True):
    """One local SIP socket, by the address peers are told."""

    name: str
    transport: str
    """udp, tcp, tls, ws or wss."""
    host: str
    """IP address or name that peers reach it by; not a wildcard."""
    port: int


class LocalIdentity(msgspec.Struct, frozen=True):
    listeners: tuple[Listener, ...]
    user_agent: str = "Tandem"
    realm: str = "tandem"
    contact_user: str = "tandem"
    external_host: str = ""
    """Public address of a NAT in front of Tandem, told to peers outside ``local_networks``."""
    local_networks: tuple[str, ...] = ()
    """CIDR; peers in them are told the listener's own address."""


class Settings(msgspec.Struct, frozen=True):
    """Choices of the stack that are not anybody's identity."""

    session_expires: int = 1800
    """Seconds offered as session interval (RFC 4028); 0: no session timers of ours."""
    min_se: int = 90
    reliable_provisionals: bool = True
    """Send 18x with SDP reliably to peers that only support 100rel, not just where they require it."""
    symmetric: bool = True
    """Send requests inside a dialog to where the peer's last message came from, not to its Contact: right for NAT."""
    tcp_above_bytes: int = 1300
    """UDP requests longer than this go by TCP where there is a TCP listener and the peer's port is its listening
    port (RFC 3261 section 18.1.1); 0: never."""
    session_id: bool = True
    """Send Session-ID (RFC 7989)."""
    max_legs: int = 20_000
    max_transactions: int = 100_000
    retry_after: int = 30
    """Seconds told to callers who are refused while draining or full."""


class Addresses:
    """Via and Contact texts, cached per transport, listener and side of the NAT."""

    def __init__(self, local: LocalIdentity) -> None:
        self.local = local
        self._networks = [ipaddress.ip_network(text, strict=False) for text in local.local_networks]
        self._by_flow: dict[tuple[str, str, str], tuple[str, str]] = {}

    def get(self, flow: Flow) -> tuple[str, str]:
        """(``SIP/2.0/UDP host:port``, Contact URI) for messages to ``flow``."""
        key = (flow.transport, flow.listener, flow.host)
        found = self._by_flow.get(key)
        if found is None:
            if len(self._by_flow) > 10_000:
                self._by_flow.clear()
            found = self._by_flow[key] = self._make(flow)
        return found

    def has_transport(self, transport: str) -> bool:
        return any(listener.transport == transport for listener in self.local.listeners)

    def find_listener(self, transport: str, host: str) -> Listener | None:
        """The listener for messages to ``host`` over ``transport``: same address family if there is one."""
        candidates = [listener for listener in self.local.listeners if listener.transport == transport]
        same = [listener for listener in candidates if (":" in listener.host) == (":" in host)]
        return (same or candidates or [None])[0]  # type: ignore[list-item]

    def _make(self, flow: Flow) -> tuple[str, str]:
        listener = next((item for item in self.local.listeners if item.name == flow.listener and flow.listener), None)
        listener = listener or self.find_listener(flow.transport, flow.host) or self.local.listeners[0]
        host = listener.host
        if self.local.external_host and not self._is_local(flow.host):
            host = self.local.external_host
        where = f"{bracket(host)}:{listener.port}"
        suffix = "" if flow.transport == "udp" else f";transport={flow.transport}"
        if flow.transport == "wss":
            # RFC 7118 section 5.2: the parameter is ws for both.
            suffix = ";transport=ws"
        via = f"SIP/2.0/{VIA_TRANSPORT[flow.transport]} {where}"
        return via, f"sip:{self.local.contact_user}@{where}{suffix}"

    def _is_local(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)
