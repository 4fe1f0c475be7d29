"""trunks.yaml: the lines to and from carriers."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from pbx.config.base import (
    KEY,
    AlsoWritten,
    Digits,
    Model,
    Name,
    PhoneNumber,
    Seconds,
    Secret,
    SecretSource,
    refuse,
)
from pbx.config.recording import Policy
from pbx.config.server import Networks
from pbx.core.patterns import compile_expression

Codec = Literal["PCMU", "PCMA", "G722", "OPUS", "L16"]


def _read_expression(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return compile_expression(value)
    except ValueError as error:
        found, _, expected = str(error).partition(": expected ")
        raise refuse(found, expected or "a regular expression") from None


Expression = Annotated[
    re.Pattern[str],
    BeforeValidator(_read_expression),
    PlainSerializer(lambda pattern: pattern.pattern, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "format": "regex"}),
]


class Rewrite(Model):
    """One rewriting of a number; the first whose `match` fits is applied, the others are not."""

    match: Expression
    """Regular expression for the whole number."""
    replace: str
    r"""What it becomes; \1 ... are groups of the expression."""

    @model_validator(mode="after")
    def _check_groups(self) -> Rewrite:
        groups = [int(group) for group in re.findall(r"\\(\d{1,2})", self.replace)]
        if any(group > self.match.groups for group in groups):
            raise refuse(f"{self.replace!r} uses a group that the expression does not have", "groups that exist")
        try:
            re.compile(self.match).sub(self.replace, "")
        except (re.error, IndexError) as error:
            raise refuse(f"{self.replace!r} cannot replace anything ({error})", r"text with \1, \2 ...") from None
        return self


def _read_rewriting(value: object) -> object:
    return {"form": value} if isinstance(value, str) else {"rules": value} if isinstance(value, list) else value


class Rewriting(Model):
    """How numbers are written on one side of a trunk. Rules are applied first, then the form."""

    form: Literal["as_is", "e164", "e164_without_plus", "national", "international"] = "as_is"
    """As it comes, +8613..., 8613..., the national form with trunk prefix, or 008613..."""
    rules: tuple[Rewrite, ...] = ()
    """Own rules."""


Numbers = Annotated[
    Rewriting,
    BeforeValidator(_read_rewriting),
    AlsoWritten(
        {"enum": ["as_is", "e164", "e164_without_plus", "national", "international"]},
        {"type": "array", "items": {"type": "object", "required": ["match", "replace"]}},
    ),
]


class Registration(Model):
    """Tandem registers at the provider."""

    registrar: str = ""
    """Host or host:port; default: the trunk's."""
    username: Annotated[str, Field(min_length=1)]
    """User part of the address of record, and digest user unless `auth` names another."""
    secret: Secret
    """Password at the provider."""
    expires: Seconds = 600.0
    """Lifetime that is asked for; refreshed well before."""
    contact_user: str = ""
    """User part of our Contact; default: the user name."""
    retry: Seconds = 30.0
    """First wait after a failure; doubles with jitter up to `retry_maximum`."""
    retry_maximum: Seconds = 900.0
    """Longest wait between attempts."""


class TrunkAuth(Model):
    """Answers challenges to our calls; a provider that is registered at needs none of its own."""

    username: Annotated[str, Field(min_length=1)]
    """Digest user."""
    secret: Secret
    """Password."""


class Health(Model):
    """OPTIONS to the provider."""

    interval: Seconds = 30.0
    """Between two probes; 0: no probes."""
    timeout: Seconds = 5.0
    """No answer for so long is a failure."""
    failures: Annotated[int, Field(ge=1, le=100)] = 3
    """So many in a row take the trunk down."""
    successes: Annotated[int, Field(ge=1, le=100)] = 1
    """So many in a row bring it up again."""


class CallerId(Model):
    """What the called party sees on calls through this trunk."""

    mode: Literal["original", "fixed", "anonymous"] = "original"
    """The caller's own number, always `number`, or none."""
    number: PhoneNumber | None = None
    """The fixed number; with mode original used where the caller has no outside number."""
    name: str = ""
    """Display name; empty: the caller's."""
    allowed: tuple[PhoneNumber, ...] = ()
    """Numbers that the provider lets us show; any other becomes `number`. Empty: all."""

    @model_validator(mode="after")
    def _check_number(self) -> CallerId:
        if self.number is None and (self.mode == "fixed" or self.allowed):
            raise refuse("this caller id policy needs a number", "number: the number to show")
        return self


class Quirks(Model):
    """What this provider does differently."""

    called_from: Literal["request_uri", "to", "p_called_party_id", "diversion"] = "request_uri"
    """Where the number that was called stands."""
    caller_from: Literal["auto", "from", "p_asserted_identity", "remote_party_id"] = "auto"
    """Where the caller's number stands; auto: the best trusted header."""
    send_identity: tuple[Literal["p_asserted_identity", "remote_party_id", "diversion", "history_info"], ...] = (
        "p_asserted_identity",
    )
    """Identity headers we write."""
    from_domain: str = ""
    """Host part of our From; empty: the listener's address or the registrar's domain."""
    user_phone: bool = False
    """Add user=phone to URIs."""
    late_offer: bool = False
    """Send INVITE without SDP."""
    reliable_provisional: bool = True
    """Offer 100rel (RFC 3262) and send reliable provisional responses; no: only where the provider requires them."""
    update: bool = True
    """Send UPDATE (RFC 3311) where the provider allows it; no: always re-INVITE."""


class Trunk(Model):
    """A line to a carrier or to another exchange."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the trunk: the key it stands under."""
    enabled: bool = True
    """A disabled trunk takes and makes no calls."""
    host: str = ""
    """Where calls are sent: host name or address. A name is looked up by RFC 3263 when no port is given."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the host; 0: by DNS, else 5060 (5061 for TLS)."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """How SIP is carried to the host."""
    listener: Name | None = None
    """Send through this listener; default: the first of the transport."""
    outbound_proxy: str = ""
    """host or host:port that every request goes through first."""
    networks: Networks = ()
    """Requests from these addresses are this trunk's calls."""
    realm_users: tuple[str, ...] = ()
    """Digest users that a provider which registers or authenticates at Tandem logs in with; see `inbound_secret`."""
    inbound_secret: Secret | None = None
    """Password of `realm_users`."""
    registration: Registration | None = None
    """Tandem registers at the provider, who then sends calls to the registered contact."""
    auth: TrunkAuth | None = None
    """Credentials for our calls."""
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] = ("PCMA", "PCMU")
    """Codecs in order of preference."""
    srtp: Literal["off", "optional", "required"] = "off"
    """SRTP with keys in SDP (RFC 4568)."""
    dtmf: Literal["rfc4733", "info", "inband"] = "rfc4733"
    """How digits travel."""
    max_calls: Annotated[int, Field(ge=0)] = 0
    """Calls at the same time, both directions; 0: as many as the server takes."""
    calls_per_second: Annotated[float, Field(ge=0)] = 0.0
    """New outgoing calls a second; 0: no limit."""
    caller_id: CallerId = CallerId()
    """What is shown on outgoing calls."""
    numbers_in: Numbers = Rewriting()
    """How caller and called number of incoming calls are rewritten before routing."""
    numbers_out: Numbers = Rewriting()
    """How caller and called number of outgoing calls are rewritten for the provider."""
    prefix: Digits = ""
    """Put before every called number that goes out (a technical prefix)."""
    health: Health = Health()
    """Watching whether the provider answers."""
    weight: Annotated[int, Field(ge=0, le=1000)] = 100
    """Share of calls among trunks of the same rank in a route."""
    recording: Policy | None = None
    """Recording of this trunk's calls; default: the general policy."""
    trust_identity: bool = False
    """Believe P-Asserted-Identity, Remote-Party-ID and Diversion of the provider, and show private numbers to it."""
    stir: Literal["ignore", "flag", "refuse"] = "ignore"
    """Calls from the provider whose signed identity (STIR/SHAKEN, RFC 8224) is missing or wrong: taken without a look,
    taken with the result as call data (`stir`, `stir_attestation`), or refused (428, 436, 437, 438)."""
    ring_timeout: Seconds = 120.0
    """An outgoing call that is not answered by then is cancelled."""
    fail_over_on: tuple[Annotated[int, Field(ge=300, le=699)], ...] = (408, 480, 500, 502, 503, 504)
    """Final answers after which the route's next trunk is tried; beside no answer at all."""
    data_headers: tuple[str, ...] = ()
    """SIP headers of incoming calls that become call data, beside User-to-User."""
    language: str = ""
    """Language of calls from this trunk; empty: the server's."""
    quirks: Quirks = Quirks()
    """What this provider does differently."""

    @model_validator(mode="after")
    def _check_reachable(self) -> Trunk:
        if not self.host and not self.networks and self.registration is None and not self.realm_users:
            raise refuse(
                f"the trunk {self.name!r} has no way in or out",
                "host:, networks:, registration: or realm_users: (or several)",
            )
        if bool(self.realm_users) != (self.inbound_secret is not None):
            raise refuse(
                f"the trunk {self.name!r} has users without secret or the reverse", "realm_users: and inbound_secret:"
            )
        if self.registration and not (self.registration.registrar or self.host):
            raise refuse(f"the trunk {self.name!r} registers nowhere", "host: or registration.registrar:")
        return self

    @property
    def credentials(self) -> tuple[str, SecretSource] | None:
        """Digest user and secret for challenges to our requests."""
        if self.auth:
            return self.auth.username, self.auth.secret
        if self.registration:
            return self.registration.username, self.registration.secret
        return None
