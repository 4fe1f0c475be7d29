"""A binding of the registrar: one contact of an extension, and what makes two of them the same."""

from __future__ import annotations

from collections.abc import Sequence

from .commands import Flow
from .events import Registered
from .wire import PeerFault, parse_name_addr, parse_uri


class Binding:
    """One contact of an extension. Owned by the registrar: read it, do not change it."""

    __slots__ = (
        "call_id",
        "contact",
        "cseq",
        "expires_at",
        "extension",
        "flow",
        "instance",
        "key",
        "path",
        "q",
        "reg_id",
        "user_agent",
    )

    def __init__(
        self,
        extension: str,
        key: str,
        contact: str,
        flow: Flow,
        path: tuple[str, ...],
        expires_at: float,
        call_id: str,
        cseq: int,
        user_agent: str,
        instance: str,
        reg_id: int,
        q: float,
    ) -> None:
        self.extension = extension
        self.key = key
        self.contact = contact
        self.flow = flow
        self.path = path
        self.expires_at = expires_at
        self.call_id = call_id
        self.cseq = cseq
        self.user_agent = user_agent
        self.instance = instance
        self.reg_id = reg_id
        self.q = q

    def to_event(self, *, refreshed: bool = False) -> Registered:
        """The binding as the event that storage keeps."""
        return Registered(
            extension=self.extension,
            contact=self.contact,
            flow=self.flow,
            path=self.path,
            expires_at=self.expires_at,
            call_id=self.call_id,
            cseq=self.cseq,
            user_agent=self.user_agent,
            instance=self.instance,
            reg_id=self.reg_id,
            q=self.q,
            refreshed=refreshed,
        )


def make_contact_key(uri: str) -> str:
    """What makes two contact URIs the same binding (RFC 3261 section 19.1.4): scheme, user, host, port, transport.

    Raises ``PeerFault`` (400) for anything but a SIP or SIPS URI.
    """
    try:
        parsed = parse_uri(uri)
    except ValueError:
        raise PeerFault(400, "Bad Contact") from None
    if parsed.scheme not in ("sip", "sips"):
        raise PeerFault(400, "Contact Is Not SIP")
    transport = (parsed.parameters.get("transport") or "").lower()
    return f"{parsed.scheme}:{parsed.user or ''}@{parsed.host.lower()}:{parsed.port or ''};{transport}"


def make_key(contact_key: str, instance: str, reg_id: int) -> str:
    """Key of a binding: an outbound instance with its flow number (RFC 5626 section 6), else the contact."""
    return f"{instance};{reg_id}" if instance and reg_id else contact_key


def reroute(flow: Flow, contact: str, reg_id: int, path: Sequence[str] = ()) -> Flow | None:
    """How ``contact`` can be reached once its connection is gone; None if it cannot.

    Only a phone that registered from the very address in its contact (no NAT between) can be connected to. Behind a
    proxy (RFC 3327) the connection was the proxy's, and its entry in the Path says where it listens.
    """
    if flow.connection == 0 or flow.transport == "udp":
        return flow
    try:
        uri = parse_uri(parse_name_addr(path[0]).uri if path else contact)
    except ValueError:
        return None
    port = uri.port or (5061 if flow.transport == "tls" else 5060)
    if path:
        return Flow(flow.transport, uri.host.strip("[]"), port, flow.listener)
    if reg_id or flow.transport in ("ws", "wss") or uri.host.strip("[]") != flow.host:
        return None
    return Flow(flow.transport, flow.host, port, flow.listener)


def format_contact(binding: Binding, now: float) -> str:
    """The Contact value of a 200 to REGISTER."""
    text = f"<{binding.contact}>;expires={max(0, round(binding.expires_at - now))}"
    if binding.q != 1.0:
        text += f";q={binding.q:g}"
    if binding.instance:
        text += f';+sip.instance="{binding.instance}"'
    if binding.reg_id:
        text += f";reg-id={binding.reg_id}"
    return text
