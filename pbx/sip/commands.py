"""What the switch asks of the SIP stack. ``leg`` names one dialog (or dialog to be) for its whole life."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Flow(NamedTuple):
    """Where a message came from or goes to: one peer over one transport of one listener."""

    transport: str
    """udp, tcp, tls, ws or wss."""
    host: str
    """The peer's IP address."""
    port: int
    listener: str = ""
    """Name of the local listener; empty lets the shell choose by transport and address family."""
    connection: int = 0
    """Number of the stream connection; 0 for UDP, or to let the shell find or open one."""


class Credentials(msgspec.Struct, frozen=True):
    """What Tandem answers a digest challenge with (trunks that challenge us)."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password=<secret>)"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Invite(Command, frozen=True, kw_only=True):
    """Start an outgoing call. Ends in ``Answered`` or ``Ended``."""

    leg: str
    uri: str
    """Request-URI, e.g. ``sip:1001@192.0.2.5:5062;transport=tcp``."""
    flow: Flow
    alternatives: tuple[Flow, ...] = ()
    """Other servers of the same name, in the order they are tried where one is silent, cannot be reached or answers 503
    (RFC 3263 section 4.3)."""
    route: tuple[str, ...] = ()
    """Route header values (Path of a registration, outbound proxy)."""
    from_uri: str
    from_name: str = ""
    to_uri: str = ""
    """Empty: same as ``uri``."""
    sdp: bytes | None = None
    """None: late offer, the answer goes into ``Acknowledge``."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra headers, already formatted (P-Asserted-Identity, Diversion, Session-ID ...)."""
    credentials: Credentials | None = None
    timeout: float = 180.0
    """Seconds of ringing after which the call is cancelled; ends with cause 408."""
    max_forwards: int = 70
    """One less than that of the call this one carries on, so that loops between exchanges end."""
    session_id: str = ""
    """UUID of the call this one carries on (32 hexadecimal digits, RFC 7989); empty: a fresh one."""
    reliable: bool = True
    """False: do not offer 100rel, to a peer that mishandles it."""
    update: bool = True
    """False: never send UPDATE on this leg, whatever the peer allows."""


class Progress(Command, frozen=True, kw_only=True):
    """Send a provisional response (180, 181, 182, 183). Sent reliably where the caller wants 100rel."""

    leg: str
    status: int = 180
    sdp: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reliable: bool = True
    """False: reliably only where the caller requires it, not where it just supports it."""


class Accept(Command, frozen=True, kw_only=True):
    """Answer with 200. Without an offer in the INVITE ``sdp`` is our offer and ``Acknowledged`` brings the answer."""

    leg: str
    sdp: bytes
    headers: tuple[tuple[str, str], ...] = ()
    update: bool = True
    """False: never send UPDATE on this leg, whatever the peer allows."""


class Acknowledge(Command, frozen=True, kw_only=True):
    """Complete a late-offer INVITE of ours: our answer goes into the ACK."""

    leg: str
    sdp: bytes


class Redirect(Command, frozen=True, kw_only=True):
    """Answer with 302 and these contacts."""

    leg: str
    contacts: tuple[str, ...]


class Hangup(Command, frozen=True, kw_only=True):
    """End the leg whatever its state: final response (``status``), CANCEL or BYE. Unknown legs are ignored."""

    leg: str
    status: int = 486
    """Response code where the leg is an unanswered incoming call."""
    reason: str = ""
    """Phrase of that response; empty for the standard one."""
    cause: int = 16
    """Q.850 cause for the Reason header (RFC 3326)."""
    retry_after: int = 0
    """Seconds; adds Retry-After to a 5xx."""


class Reoffer(Command, frozen=True, kw_only=True):
    """Send a re-INVITE (or UPDATE before the answer). Ends in ``ReofferAnswered`` or ``ReofferRefused``.

    The stack retries 491 by itself (RFC 3261 section 14.1) and queues behind a running one.
    """

    leg: str
    sdp: bytes | None


class AnswerReoffer(Command, frozen=True, kw_only=True):
    """Answer the peer's ``Reoffered`` (200 with SDP)."""

    leg: str
    sdp: bytes


class RefuseReoffer(Command, frozen=True, kw_only=True):
    leg: str
    status: int = 488


class SendRefer(Command, frozen=True, kw_only=True):
    """Ask the peer to call ``target`` (RFC 3515). Ends in ``ReferProgress`` events."""

    leg: str
    target: str
    referred_by: str = ""


class AnswerRefer(Command, frozen=True, kw_only=True):
    """Accept (2xx) or refuse the peer's ``Refer``."""

    leg: str
    status: int = 202


class NotifyRefer(Command, frozen=True, kw_only=True):
    """Tell the referrer how it goes (message/sipfrag). A status >= 200 ends the subscription."""

    leg: str
    status: int


class RequestAnswer(Command, frozen=True, kw_only=True):
    """Ask a phone that rings to answer by itself: NOTIFY with Event ``talk`` in the early dialog. Phones that do not
    know it refuse it, and nothing changes."""

    leg: str


class SendInfo(Command, frozen=True, kw_only=True):
    leg: str
    content_type: str
    body: bytes


class SendNotify(Command, frozen=True, kw_only=True):
    """NOTIFY on a subscription that was accepted (RFC 6665)."""

    subscription: str
    state: str = "active"
    """active, pending or terminated."""
    reason: str = ""
    content_type: str = ""
    body: bytes = b""


class SendMessage(Command, frozen=True, kw_only=True):
    """MESSAGE outside a dialog (RFC 3428)."""

    uri: str
    flow: Flow
    from_uri: str
    from_name: str = ""
    asserted: bool = False
    """Say in P-Asserted-Identity (RFC 3325) too that the sender is proven."""
    content_type: str
    body: bytes
    route: tuple[str, ...] = ()


AnyCommand = (
    Invite
    | Progress
    | Accept
    | Acknowledge
    | Redirect
    | Hangup
    | Reoffer
    | AnswerReoffer
    | RefuseReoffer
    | SendRefer
    | AnswerRefer
    | NotifyRefer
    | RequestAnswer
    | SendInfo
    | SendNotify
    | SendMessage
)
