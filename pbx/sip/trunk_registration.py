"""Keeping one trunk registered at its provider (RFC 3261 section 10.2): refresh, back-off with jitter, fail-over.

States: idle, trying (a REGISTER is under way), registered, waiting (after a failure), ended (unregistered).
"""

from __future__ import annotations

from typing import Literal

from sipmessage import URI, Request, Response

from pbx.core.ids import IdSource

from .auth import answer_challenge
from .commands import Flow
from .identity import Addresses
from .policy import SendRequest
from .trunk_spec import RegistrationSpec, TrunkSpec
from .wire import PeerFault, parse_name_addr, split_list

_HOPELESS = frozenset((401, 403, 404, 405, 407, 410, 604, 606))
"""Answers that end a registration at once instead of letting it run out."""
_MAX_EXPIRES = 7 * 86400
_SOON = 2.0
"""Longest wait before registering again over a new connection."""


class TrunkRegistration:
    """One registration. The owner sends what is returned, and calls ``expire`` when ``due``."""

    def __init__(self, trunk: TrunkSpec, spec: RegistrationSpec, ids: IdSource, addresses: Addresses) -> None:
        self._trunk = trunk
        self._spec = spec
        self._ids = ids
        self._addresses = addresses
        self._call_id = ids.token()
        self._cseq = 0
        self._from_tag = ""
        self._expires = spec.expires
        self._auth_tries = 0
        self._failures = 0
        self._nonce_counts: dict[str, int] = {}
        self._closed_at = float("-inf")
        self.token = ids.token()
        """In our Contact: an INVITE whose Request-URI carries it comes from this registrar."""
        self.state: Literal["idle", "trying", "registered", "waiting", "ended"] = "idle"
        self.due: float | None = None
        """When ``expire`` is to be called, monotonic seconds."""
        self.until = 0.0
        """When the provider's binding runs out."""
        self.problem = ""
        """Why the provider would not know where to reach us; empty while the registration holds or is first tried."""
        self.wants_other_target = False
        """The target did not answer: the owner may turn to the next one before the next attempt."""

    @property
    def contact_user(self) -> str:
        return self._spec.contact_user or self._spec.username

    def attempt(self, flow: Flow, now: float) -> list[SendRequest]:
        """Register (again) by way of ``flow``."""
        self.state = "trying"
        self._auth_tries = 0
        self.due = None
        return [self._make_request(flow)]

    def unregister(self, flow: Flow) -> list[SendRequest]:
        """Take the binding back; its answer does not matter any more."""
        held = self.state in ("registered", "trying") or self.until > 0
        self.state, self.due, self.until, self._expires, self._auth_tries = "ended", None, 0.0, 0, 0
        return [self._make_request(flow)] if held else []

    def finish(self, response: Response | None, failure: str, flow: Flow, now: float) -> list[SendRequest]:
        """The end of a REGISTER of ours."""
        if self.state not in ("trying", "ended"):
            return []
        if response is None:
            self.wants_other_target = True
            return self._fail(f"no answer ({failure or 'timeout'})", now)
        if response.code in (401, 407) and self._trunk.credentials is not None and self._auth_tries < 2:
            answer = self._answer(response)
            if answer is not None:
                self._auth_tries += 1
                return [self._make_request(flow, answer)]
        if self.state == "ended":
            return []
        if 200 <= response.code < 300:
            return self._succeed(response, now)
        if response.code == 423:
            return self._lengthen(response, flow, now)
        if response.code >= 500:
            self.wants_other_target = True
        reason = "wrong credentials" if response.code in (401, 403, 407) else f"{response.code} {response.phrase}"
        return self._fail(reason, now, response)

    def connection_closed(self, now: float) -> None:
        """The connection we registered over is gone: register again soon, over a new one."""
        if self.state != "registered":
            return
        # A provider that closes every connection must not be asked in a circle.
        again = now - self._closed_at < 2 * self._spec.retry
        self._closed_at = now
        self.due = now + (self._spec.retry * self._ids.uniform(0.75, 1.0) if again else self._ids.uniform(0.1, _SOON))

    def expire(self, flow: Flow | None, now: float) -> list[SendRequest]:
        """Refresh or try again, if it is time."""
        if self.due is None or self.due > now or self.state == "ended":
            return []
        if self.until and self.until <= now and not self.problem:
            self.problem = "registration ran out"
        if flow is None:
            return self._fail("name cannot be resolved", now)
        return self.attempt(flow, now)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _succeed(self, response: Response, now: float) -> list[SendRequest]:
        granted = max(1, min(self._read_expires(response), _MAX_EXPIRES))
        self.state, self.problem, self._failures = "registered", "", 0
        self.until = now + granted
        # Well before it runs out, and not at the same moment as everybody else's.
        self.due = now + granted * self._ids.uniform(0.7, 0.85)
        self.wants_other_target = False
        return []

    def _lengthen(self, response: Response, flow: Flow, now: float) -> list[SendRequest]:
        text = (response.headers.get("Min-Expires") or "").strip()
        minimum = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not self._expires < minimum <= _MAX_EXPIRES:
            return self._fail("423 without a usable Min-Expires", now, response)
        self._expires = minimum
        return [self._make_request(flow)]

    def _fail(self, reason: str, now: float, response: Response | None = None) -> list[SendRequest]:
        self.state = "waiting"
        self._failures += 1
        wait = min(self._spec.retry * 2 ** min(self._failures - 1, 20), self._spec.retry_maximum)
        wait *= self._ids.uniform(0.75, 1.0)
        if response is not None:
            retry_after = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
            if retry_after.isascii() and retry_after.isdigit():
                wait = max(wait, min(float(retry_after[:12]), 3600.0))
        self.due = now + wait
        hopeless = response is not None and response.code in _HOPELESS
        if hopeless:
            self.until = 0.0
        if hopeless or self.until <= now:
            self.problem = reason
        else:
            self.due = min(self.due, self.until)
        return []

    def _answer(self, response: Response) -> tuple[str, str] | None:
        assert self._trunk.credentials is not None
        if len(self._nonce_counts) > 16:
            self._nonce_counts.clear()
        return answer_challenge(
            response, "REGISTER", f"sip:{self._spec.domain}", self._trunk.credentials, self._nonce_counts,
            self._ids.token(),
        )  # fmt: skip

    def _make_request(self, flow: Flow, answer: tuple[str, str] | None = None) -> SendRequest:
        spec = self._spec
        request = Request("REGISTER", URI(scheme="sip", host=spec.domain))
        address = f"<sip:{spec.username}@{spec.domain}>"
        self._cseq += 1
        if answer is None:
            self._from_tag = self._ids.token()
        # The URI parameter is ours to recognise; a registrar hands a contact back as it got it (RFC 3261 16.5).
        contact = self._addresses.get(flow)[1].partition("@")[2]
        for name, value in (
            ("From", f"{address};tag={self._from_tag}"),
            ("To", address),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Contact", f"<sip:{self.contact_user}@{contact};rt={self.token}>;expires={self._expires}"),
            ("Expires", str(self._expires)),
            ("Supported", "path"),
        ):
            request.headers.add(name, value)
        if answer is not None:
            request.headers.add(*answer)
        return SendRequest(key=f"register:{self._trunk.name}:{self._cseq}", request=request, flow=flow)

    def is_current(self, cseq: str) -> bool:
        """Whether an answer belongs to the last REGISTER sent."""
        return cseq == str(self._cseq)

    def _read_expires(self, response: Response) -> int:
        """The lifetime granted to our own contact; others may be bound to the same address of record."""
        try:
            contacts = [parse_name_addr(value) for value in split_list(response.headers.getlist("Contact"))]
        except PeerFault:
            contacts = []
        own = [c for c in contacts if self.token in c.uri] or (contacts if len(contacts) == 1 else [])
        for contact in own:
            text = contact.params.get("expires", "")
            if text.isascii() and text.isdigit() and len(text) < 10:
                return int(text)
        text = (response.headers.get("Expires") or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else self._expires
