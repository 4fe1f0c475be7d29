"""What the stack asks of its neighbours: who a stranger is, the registrar, trunk registrations, the guard.

Everything here is called synchronously from inside one stack entry point and must be pure: ``now`` is
monotonic seconds. Requests inside a dialog are never identified or challenged: the dialog's tags are the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from sipmessage import Request, Response

from pbx.core.timers import Deadline

from .commands import Credentials, Flow
from .events import Origin, Output

# --- identification ---------------------------------------------------------------------------------------------


class Trusted(msgspec.Struct, frozen=True):
    """The source address or connection proves who it is (an IP trunk)."""

    origin: Origin


class Challenge(msgspec.Struct, frozen=True):
    """Only digest credentials for this realm prove it."""

    realm: str


class Refuse(msgspec.Struct, frozen=True):
    """Not welcome. ``status`` 0: say nothing, drop it."""

    status: int
    reason: str = ""


class Policy(Protocol):
    def identify(self, request: Request, flow: Flow) -> Trusted | Challenge | Refuse:
        """Judge a request outside dialogs by where it came from. Called once per new server transaction."""
        ...


class Authenticated(msgspec.Struct, frozen=True):
    origin: Origin
    headers: tuple[tuple[str, str], ...] = ()
    """For the response, e.g. Authentication-Info."""


class Challenged(msgspec.Struct, frozen=True):
    """Ask for credentials: one WWW-Authenticate header per algorithm, best first (RFC 8760)."""

    headers: tuple[tuple[str, str], ...]
    status: int = 401


class Rejected(msgspec.Struct, frozen=True):
    """Credentials were given and are wrong. ``outputs`` (SecurityAlert ...) are passed on."""

    status: int = 403
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    outputs: tuple[Output, ...] = ()


class Authenticator(Protocol):
    def authenticate(
        self, request: Request, realm: str, flow: Flow, now: float
    ) -> Authenticated | Challenged | Rejected:
        """Check the Authorization header of ``request`` (RFC 3261 section 22, RFC 7616, RFC 8760)."""
        ...


class ChallengeAnswerer(Protocol):
    def __call__(
        self,
        response: Response,
        method: str,
        uri: str,
        credentials: Credentials,
        nonce_counts: dict[str, int],
        cnonce: str,
    ) -> tuple[str, str] | None:
        """Header (name, value) answering a 401 or 407 to a request of ours, or None where it cannot be answered.

        ``nonce_counts`` is kept by the caller per dialog and updated here.
        """
        ...


# --- registrar --------------------------------------------------------------------------------------------------


class RegisterReply(msgspec.Struct, frozen=True):
    """What to answer to a REGISTER; Contact, Path, Service-Route, Min-Expires ... are in ``headers``."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Registrar(Protocol):
    def register(
        self, request: Request, origin: Origin, flow: Flow, now: float
    ) -> tuple[RegisterReply, Sequence[Output]]: ...

    def flow_closed(self, flow: Flow, now: float) -> Sequence[Output]: ...

    def expire(self, now: float) -> Sequence[Output]: ...

    def next_deadline(self) -> Deadline | None: ...


# --- requests of ours outside dialogs ---------------------------------------------------------------------------


class SendRequest(Output, frozen=True, kw_only=True):
    """Asks the stack to run a client transaction for ``request``; consumed by the façade, never seen outside.

    ``request`` carries From (with tag), To, Call-ID, CSeq and its own headers; the stack puts Via, Max-Forwards
    and, where absent, User-Agent and Contact. The same object must not be sent twice: each attempt is a new CSeq.
    """

    key: str
    request: Request
    flow: Flow


class RequestDone(Output, frozen=True, kw_only=True):
    """End of a ``SendRequest``: its final response, or None after a timeout or a transport failure."""

    key: str
    response: Response | None
    flow: Flow
    failure: str = ""
    """``timeout`` or ``transport`` where ``response`` is None."""


class Requester(Protocol):
    """A pure machine that sends requests outside dialogs: trunk registrations and OPTIONS health checks.

    Its outputs may contain ``SendRequest``.
    """

    def request_done(self, done: RequestDone, now: float) -> Sequence[Output]: ...

    def flow_closed(self, flow: Flow, now: float) -> Sequence[Output]: ...

    def expire(self, now: float) -> Sequence[Output]: ...

    def next_deadline(self) -> Deadline | None: ...


# --- guard ------------------------------------------------------------------------------------------------------


class Guard(Protocol):
    """Keeps strangers out before anything is parsed."""

    def admit(self, packet: bytes, flow: Flow, now: float) -> str:
        """Empty: let it in. Otherwise the reason it is dropped for (``banned``, ``flood``, ``scanner``)."""
        ...

    def drain(self) -> Sequence[Output]:
        """Security alerts raised since the last call; emptied by reading."""
        ...

    def expire(self, now: float) -> Sequence[Output]: ...

    def next_deadline(self) -> Deadline | None: ...
