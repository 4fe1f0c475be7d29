"""Digest authentication, both ends (RFC 3261 section 22, RFC 7616, RFC 8760).

Server: nonces carry their own time and a signature over the address they were given to, so a challenge costs no memory;
only nonces that were *used* are remembered, with the counts seen, until they expire. A failure counts against a source
only with a nonce of its own: nobody gets somebody else banned by forging his address.

Client: ``answer_challenge`` for trunks that challenge us.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import unquote

import msgspec
from sipmessage import Request, Response

from .commands import Credentials, Flow
from .digest import ALGORITHMS, DigestError, base_algorithm, compute_ha1, compute_response, parse_digest, quote
from .events import Origin, Output
from .policy import Authenticated, Challenged, Rejected

MD5_ONLY_AGENTS: Final = r"baresip v[01]\.|SIPp"
"""User agents that give up at a second challenge they do not know, against RFC 8760 section 2.4; a regular expression
for the beginning of User-Agent."""

_MAX_UNANSWERED: Final = 8192
_MAX_CALL_ID: Final = 64
"""Characters that tell one Call-ID from another; strangers choose its length."""
_STAMP_BYTES: Final = 11
_MAC_BYTES: Final = 16
_WINDOW: Final = 64
"""How far a nonce count may lag behind the highest seen: requests overtake each other on UDP."""


class Account(msgspec.Struct, frozen=True):
    """Someone who proves himself by digest: an extension, or a trunk that logs in to us."""

    username: str
    origin: Origin
    ha1: Mapping[str, str]
    """H(username:realm:password) in hexadecimal by algorithm (MD5, SHA-256); the password itself is never kept."""

    def __repr__(self) -> str:
        return f"Account(username={self.username!r}, origin={self.origin!r}, ha1=<secret>)"


def make_account(username: str, realm: str, password: str, origin: Origin) -> Account:
    """An account whose HA1 are computed from a password, for the algorithms the server offers."""
    ha1 = {algorithm: compute_ha1(username, realm, password, algorithm) for algorithm in ("MD5", "SHA-256")}
    return Account(username, origin, ha1)


class FailureSink(Protocol):
    """Told how credentials turned out. ``pbx.sip.guard.SourceGuard`` is one."""

    def wrong_credentials(self, flow: Flow, username: str, known: bool, now: float) -> Sequence[Output]:
        """Returns alerts to pass on."""
        ...

    def right_credentials(self, flow: Flow, now: float) -> None: ...


class DigestAuthenticator:
    """Checks Authorization headers; implements ``pbx.sip.policy.Authenticator``.

    ``key``: at least 16 secret random bytes that sign the nonces; nodes that share it accept each other's nonces.
    ``algorithms``: offered in this order (RFC 8760 section 2.4). Wrong password and unknown user get the same answer.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        key: bytes,
        *,
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
        nonce_lifetime: float = 600.0,
        max_nonces: int = 65536,
        failures: FailureSink | None = None,
        md5_only_agents: str = MD5_ONLY_AGENTS,
    ) -> None:
        if len(key) < 16:
            raise ValueError("the nonce key must have at least 16 bytes")
        if not algorithms or any(name not in ALGORITHMS for name in algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
        self._key = key
        self._algorithms = tuple(algorithms)
        self._lifetime_ms = int(nonce_lifetime * 1000)
        self._failures = failures
        self._md5_only = re.compile(md5_only_agents, re.IGNORECASE)
        self._unanswered: dict[str, None] = {}
        self._count = 0
        self._counts = _NonceCounts(max_nonces)
        self._nobody_ha1 = compute_ha1("", "", binascii.hexlify(key).decode())
        self.replace_accounts(accounts)

    def replace_accounts(self, accounts: Mapping[str, Account]) -> None:
        """Use these, by username, from now on (configuration reload). Nonces stay good.

        Only algorithms that every account has a hash for are offered, to everybody alike: a challenge that depended on
        the user would tell strangers who exists.
        """
        self._accounts = accounts
        common = tuple(a for a in self._algorithms if all(a in account.ha1 for account in accounts.values()))
        self._offered = common or self._algorithms

    def authenticate(
        self, request: Request, realm: str, flow: Flow, now: float
    ) -> Authenticated | Challenged | Rejected:
        """Judge ``request`` by its Authorization (or Proxy-Authorization) for ``realm``.

        No credentials for this realm, an unsupported algorithm or a stale nonce are no failure: they are challenged.
        """
        try:
            given = _find_credentials(request, realm)
        except DigestError as error:
            return Rejected(400, f"Bad Authorization: {error}")
        if given is None:
            return self._challenge_anew(request, realm, flow, now)
        algorithm = given.get("algorithm", "MD5").upper()
        qop = given.get("qop", "").lower()
        if algorithm not in self._offered or qop not in ("", "auth"):
            return self.challenge(realm, flow, now)
        nc = _parse_count(given.get("nc", "")) if qop else 1
        if nc is None or (qop and not given.get("cnonce")):
            return Rejected(400, "Bad Authorization: nc and cnonce expected")
        account = self._accounts.get(given["username"])
        if not _same_user(given["uri"], request):
            return Rejected(400, "Bad Authorization: uri is not the request's")
        # An unknown user costs the same hash as a known one, so that answers tell nothing by their timing.
        ha1 = account.ha1.get(algorithm) if account else self._nobody_ha1
        if ha1 is None:
            return self.challenge(realm, flow, now)
        expected = compute_response(
            algorithm,
            ha1,
            request.method,
            given["uri"],
            given["nonce"],
            qop=qop,
            nc=given.get("nc", ""),
            cnonce=given.get("cnonce", ""),
        )
        right = hmac.compare_digest(expected.encode(), given["response"].lower().encode("utf-8", "replace"))
        stamp = self._open_nonce(given["nonce"], realm, flow.host, now)
        if account is None or not right:
            return self._refuse(given["username"], account is not None, realm, flow, now, counts=stamp is not None)
        if stamp is None or not self._counts.take(stamp, nc, int(now * 1000) - self._lifetime_ms):
            return self.challenge(realm, flow, now, stale=True)
        if self._failures is not None:
            self._failures.right_credentials(flow, now)
        self._unanswered.pop((request.headers.get("Call-ID") or "")[:_MAX_CALL_ID], None)
        return Authenticated(account.origin)

    def _challenge_anew(self, request: Request, realm: str, flow: Flow, now: float) -> Challenged:
        """Who comes back on the same Call-ID without an answer did not understand the challenge: he gets MD5 alone."""
        if len(self._offered) == 1 or "MD5" not in self._offered:
            return self.challenge(realm, flow, now)
        call_id = (request.headers.get("Call-ID") or "")[:_MAX_CALL_ID]
        puzzled = call_id in self._unanswered
        if not puzzled:
            if len(self._unanswered) >= _MAX_UNANSWERED:
                del self._unanswered[next(iter(self._unanswered))]
            self._unanswered[call_id] = None
        if puzzled or self._md5_only.match(request.headers.get("User-Agent") or ""):
            return self.challenge(realm, flow, now, only="MD5")
        return self.challenge(realm, flow, now)

    def _refuse(
        self, username: str, known: bool, realm: str, flow: Flow, now: float, *, counts: bool
    ) -> Challenged | Rejected:
        if not counts:
            return self.challenge(realm, flow, now)
        outputs: Sequence[Output] = ()
        if self._failures is not None:
            outputs = self._failures.wrong_credentials(flow, username, known, now)
        return Rejected(403, "Wrong credentials", outputs=tuple(outputs))

    def challenge(self, realm: str, flow: Flow, now: float, *, stale: bool = False, only: str = "") -> Challenged:
        """A fresh challenge per offered algorithm (RFC 8760 section 2.3), or for ``only`` one of them."""
        nonce = self._make_nonce(realm, flow.host, now)
        tail = ", stale=true" if stale else ""
        return Challenged(
            tuple(
                (
                    "WWW-Authenticate",
                    f'Digest realm={quote(realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}',
                )
                for algorithm in ((only,) if only else self._offered)
            )
        )

    def nonces_remembered(self) -> int:
        """How many used nonces are kept; for leak checks."""
        return len(self._counts)

    def _make_nonce(self, realm: str, host: str, now: float) -> str:
        self._count = (self._count + 1) & 0xFFFFFFFFFF
        stamp = int(now * 1000).to_bytes(6, "big") + self._count.to_bytes(5, "big")
        return urlsafe_b64encode(stamp + self._sign(stamp, realm, host)).decode()

    def _sign(self, stamp: bytes, realm: str, host: str) -> bytes:
        return hmac.digest(self._key, stamp + f"{realm}\0{host}".encode(), "sha256")[:_MAC_BYTES]

    def _open_nonce(self, nonce: str, realm: str, host: str, now: float) -> bytes | None:
        """The stamp of a nonce that we gave to ``host`` and that is still good, else None."""
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii"))
        except (ValueError, UnicodeEncodeError):
            return None
        stamp = raw[:_STAMP_BYTES]
        if len(raw) != _STAMP_BYTES + _MAC_BYTES or not hmac.compare_digest(
            raw[_STAMP_BYTES:], self._sign(stamp, realm, host)
        ):
            return None
        age = int(now * 1000) - int.from_bytes(stamp[:6], "big")
        return stamp if 0 <= age <= self._lifetime_ms else None


class _NonceCounts:
    """Counts used per nonce: a sliding window each, forgotten when the nonce expires, bounded in number.

    What is pushed out by the bound must not become usable again: every unknown nonce issued before the newest one
    pushed out is refused.
    """

    __slots__ = ("_floor", "_limit", "_seen")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._floor = -1
        self._seen: dict[bytes, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, stamp: bytes, nc: int, oldest: int) -> bool:
        """True if ``nc`` is new for this nonce. Nonces issued before ``oldest`` (milliseconds) are forgotten."""
        entry = self._seen.get(stamp)
        if entry is None:
            if int.from_bytes(stamp[:6], "big") <= self._floor:
                return False
            self._forget(oldest)
            self._seen[stamp] = (nc, 1)
            return True
        highest, window = entry
        if nc > highest:
            window = ((window << (nc - highest)) | 1) & ((1 << _WINDOW) - 1) if nc - highest < _WINDOW else 1
            self._seen[stamp] = (nc, window)
            return True
        behind = highest - nc
        if behind >= _WINDOW or window >> behind & 1:
            return False
        self._seen[stamp] = (highest, window | 1 << behind)
        return True

    def _forget(self, oldest: int) -> None:
        # In order of first use, which is nearly that of issue: a few at a time keeps the cost per request flat.
        for _ in range(4):
            stamp = next(iter(self._seen), None)
            if stamp is None:
                return
            issued = int.from_bytes(stamp[:6], "big")
            full = len(self._seen) >= self._limit
            if issued >= oldest and not full:
                return
            del self._seen[stamp]
            if issued >= oldest:
                self._floor = max(self._floor, issued)


def _find_credentials(request: Request, realm: str) -> dict[str, str] | None:
    """The first digest credentials of ``request`` for ``realm`` with all mandatory parameters."""
    headers = request.headers
    for value in (*headers.getlist("Authorization")[:8], *headers.getlist("Proxy-Authorization")[:8]):
        given = parse_digest(value)
        if given is None or given.get("realm") != realm:
            continue
        missing = [name for name in ("username", "nonce", "uri", "response") if name not in given]
        if missing:
            raise DigestError(f"{', '.join(missing)} missing")
        return given
    return None


def _parse_count(text: str) -> int | None:
    """A nonce count: eight hexadecimal digits (RFC 7616 section 3.4), 1 or more."""
    if len(text) != 8:
        return None
    try:
        return int(text, 16) or None
    except ValueError:
        return None


def _same_user(uri: str, request: Request) -> bool:
    """Whether the digest-uri names the user of the Request-URI (RFC 3261 section 22.4 point 5).

    Host and parameters are not compared: a proxy in front may have rewritten them, and phones leave parameters out.
    """
    _, colon, rest = uri.partition(":")
    user = rest.rpartition("@")[0].partition(":")[0] if colon else ""
    return not user or not request.uri.user or unquote(user) == request.uri.user


def answer_challenge(
    response: Response,
    method: str,
    uri: str,
    credentials: Credentials,
    nonce_counts: dict[str, int],
    cnonce: str,
    *,
    body: bytes = b"",
) -> tuple[str, str] | None:
    """The Authorization or Proxy-Authorization header (name, value) that answers a 401 or 407.

    None when there is no challenge we can answer, or when it refuses credentials that were just sent: the same nonce
    again without ``stale=true``. ``nonce_counts`` (nonce to uses) is updated; ``body`` matters for qop auth-int only.
    The first algorithm we know is taken, as RFC 8760 section 2.4 asks.
    """
    name = "Proxy-Authenticate" if response.code == 407 else "WWW-Authenticate"
    for value in response.headers.getlist(name)[:8]:
        try:
            challenge = parse_digest(value)
        except DigestError:
            continue
        if challenge is None or "nonce" not in challenge:
            continue
        algorithm = challenge.get("algorithm", "MD5")
        offered = [item.strip().lower() for item in challenge.get("qop", "").split(",") if item.strip()]
        qop = next((item for item in ("auth", "auth-int") if item in offered), "")
        if base_algorithm(algorithm) not in ALGORITHMS or (offered and not qop):
            continue
        nonce = challenge["nonce"]
        if nonce in nonce_counts and challenge.get("stale", "").lower() != "true":
            return None
        header = _make_credentials(challenge, algorithm, qop, method, uri, credentials, nonce_counts, cnonce, body)
        return ("Proxy-Authorization" if response.code == 407 else "Authorization"), header
    return None


def _make_credentials(
    challenge: Mapping[str, str],
    algorithm: str,
    qop: str,
    method: str,
    uri: str,
    credentials: Credentials,
    nonce_counts: dict[str, int],
    cnonce: str,
    body: bytes,
) -> str:
    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    nonce_counts[nonce] = count = nonce_counts.get(nonce, 0) + 1
    nc = f"{count:08x}"
    ha1 = compute_ha1(credentials.username, realm, credentials.password, algorithm)
    response = compute_response(algorithm, ha1, method, uri, nonce, qop=qop, nc=nc, cnonce=cnonce, body=body)
    parts = [
        f"username={quote(credentials.username)}",
        f"realm={quote(realm)}",
        f"nonce={quote(nonce)}",
        f"uri={quote(uri)}",
        f'response="{response}"',
    ]
    if "algorithm" in challenge:
        parts.append(f"algorithm={algorithm}")
    if qop:
        parts += [f"qop={qop}", f"nc={nc}", f'cnonce="{cnonce}"']
    elif algorithm.upper().endswith("-SESS"):
        parts.append(f'cnonce="{cnonce}"')
    if "opaque" in challenge:
        parts.append(f"opaque={quote(challenge['opaque'])}")
    return "Digest " + ", ".join(parts)
