"""What the SIP stack tells the switch, and what it wants sent. Facts are in the past tense."""

from __future__ import annotations

from typing import Literal

import msgspec
from sipmessage import Request, Response

from .commands import Flow


class Output(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Transmit(Output, frozen=True, kw_only=True):
    """Send these bytes. ``leg`` and ``note`` (``retransmission``, ``response`` ...) are for the ladder only."""

    flow: Flow
    data: bytes
    leg: str = ""
    note: str = ""


class Dropped(Output, frozen=True, kw_only=True):
    """A packet was not acted on, and why; for counters, the ladder and the guard against strangers."""

    flow: Flow
    reason: str
    leg: str = ""


class Origin(msgspec.Struct, frozen=True):
    """Who sent a request, as far as it was proven."""

    kind: Literal["trunk", "extension"]
    name: str
    """Trunk name, or extension number (authenticated by digest)."""


class IncomingCall(Output, frozen=True, kw_only=True):
    """A new INVITE from a known origin; 100 is sent and the leg made. Answer with Progress, Accept or Hangup."""

    leg: str
    origin: Origin
    flow: Flow
    request: Request
    """For headers beyond the fields below."""
    called: str
    """User part of the Request-URI."""
    caller: str
    """User part of P-Asserted-Identity where the origin is trusted, else of From."""
    caller_name: str = ""
    sdp: bytes | None = None
    replaces: str = ""
    """Leg that this call is to replace (RFC 3891), already matched; empty if none."""
    referred_by: str = ""
    max_forwards: int = 70
    """Hops left; a call sent on carries one less (RFC 3261 section 16.6)."""


class Ringing(Output, frozen=True, kw_only=True):
    """A provisional response above 100 to our INVITE. ``sdp``: early media (an answer in a 18x)."""

    leg: str
    status: int
    sdp: bytes | None = None


class Answered(Output, frozen=True, kw_only=True):
    """Our INVITE got a 2xx; the ACK is sent (for late offer once ``Acknowledge`` came)."""

    leg: str
    sdp: bytes | None
    response: Response


class Acknowledged(Output, frozen=True, kw_only=True):
    """The ACK of an incoming call's 200 arrived: the leg is confirmed. Also the ACK that answers an offer of ours
    in the 200 to a re-INVITE."""

    leg: str
    sdp: bytes | None = None


class Ended(Output, frozen=True, kw_only=True):
    """The leg is over; exactly one per leg that was announced or invited."""

    leg: str
    by: Literal["remote", "local", "timeout", "transport"]
    status: int = 0
    """Final response where the leg was never answered, else 0."""
    cause: int = 16
    """Q.850, from the Reason header or mapped from ``status`` (RFC 3398)."""
    reason: str = ""
    contacts: tuple[str, ...] = ()
    """Where a 3xx points, best first."""
    retry_after: int = 0
    """Seconds the peer asked us to stay away for (Retry-After of a 4xx, 5xx or 6xx)."""


class Reoffered(Output, frozen=True, kw_only=True):
    """re-INVITE or UPDATE from the peer; ``sdp`` None wants our offer. Ends by AnswerReoffer or RefuseReoffer."""

    leg: str
    sdp: bytes | None


class ReofferAnswered(Output, frozen=True, kw_only=True):
    leg: str
    sdp: bytes | None


class ReofferRefused(Output, frozen=True, kw_only=True):
    leg: str
    status: int


class Refer(Output, frozen=True, kw_only=True):
    """The peer wants us to transfer it. Answer with AnswerRefer, then NotifyRefer."""

    leg: str
    target: str
    """Refer-To URI without the Replaces header."""
    target_user: str
    replaces: str = ""
    """Leg named by Replaces (attended transfer), matched; empty if none."""
    referred_by: str = ""


class ReferProgress(Output, frozen=True, kw_only=True):
    """NOTIFY to a SendRefer of ours."""

    leg: str
    status: int
    final: bool


class Info(Output, frozen=True, kw_only=True):
    """INFO inside a dialog other than a digit; already answered."""

    leg: str
    content_type: str
    body: bytes


class InfoDigit(Output, frozen=True, kw_only=True):
    """A DTMF digit by INFO (application/dtmf-relay or application/dtmf)."""

    leg: str
    digit: str
    duration_ms: int


class Registered(Output, frozen=True, kw_only=True):
    """A binding was added or refreshed; to be kept in storage."""

    extension: str
    contact: str
    flow: Flow
    path: tuple[str, ...]
    expires_at: float
    """Monotonic seconds."""
    call_id: str
    cseq: int
    user_agent: str = ""
    instance: str = ""
    """+sip.instance (RFC 5626), if any."""
    reg_id: int = 0
    """reg-id (RFC 5626), 0 if none."""
    q: float = 1.0
    """Preference among the contacts of one extension, 0 to 1."""
    refreshed: bool = False
    """True: the same contact registered again; nothing changed but the time."""


class Unregistered(Output, frozen=True, kw_only=True):
    extension: str
    contact: str
    reason: Literal["request", "expired", "replaced", "flow_closed"]


class TrunkState(Output, frozen=True, kw_only=True):
    """Result of registration at a provider or of OPTIONS health checks."""

    trunk: str
    state: Literal["up", "down"]
    reason: str


class Subscribed(Output, frozen=True, kw_only=True):
    """SUBSCRIBE accepted in principle (event package known); answer at once with SendNotify."""

    subscription: str
    origin: Origin
    event: str
    """dialog, message-summary, presence."""
    target: str
    """User part asked about."""
    uri: str = ""
    """The same as the subscriber wrote it, without parameters."""
    expires: float
    accept: tuple[str, ...] = ()


class Unsubscribed(Output, frozen=True, kw_only=True):
    subscription: str


class TextMessage(Output, frozen=True, kw_only=True):
    """MESSAGE; already answered 202."""

    origin: Origin | None
    """None: inside a call of ours."""
    to: str
    """User part of who it is for."""
    content_type: str
    body: bytes
    leg: str = ""
    """The call it came in, if any."""


class SecurityAlert(Output, frozen=True, kw_only=True):
    """For the event log: wrong credentials, a scanner, a ban."""

    what: Literal["wrong_credentials", "unknown_user", "scanner", "flood", "banned", "unbanned", "malformed"]
    flow: Flow
    detail: str


AnyOutput = (
    Transmit
    | Dropped
    | IncomingCall
    | Ringing
    | Answered
    | Acknowledged
    | Ended
    | Reoffered
    | ReofferAnswered
    | ReofferRefused
    | Refer
    | ReferProgress
    | Info
    | InfoDigit
    | Registered
    | Unregistered
    | TrunkState
    | Subscribed
    | Unsubscribed
    | TextMessage
    | SecurityAlert
)
