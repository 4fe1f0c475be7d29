"""tandem.yaml: listeners, gateways, storage, logging, limits and the guard against strangers."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import Field, IPvAnyAddress, PlainValidator, WithJsonSchema, model_validator

from pbx.config.base import (
    KEY,
    Bytes,
    ConfigPath,
    CountryCode,
    Language,
    Model,
    Name,
    Percent,
    Seconds,
    Secret,
    Timezone,
    keyed,
    refuse,
)

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP or UDP port; 0 lets the system choose (tests and the demonstration)."""

Network = IPv4Network | IPv6Network


def _read_network(value: object) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(str(value))
    except ValueError as error:
        hint = str(error).partition(" has host bits")[0] + " names one host" if "host bits" in str(error) else ""
        raise refuse("this is no network", "an address, or a network such as 192.0.2.0/24", hint) from None


Networks = tuple[Annotated[Network, PlainValidator(_read_network), WithJsonSchema({"type": "string"})], ...]

LOCAL_NETWORKS: tuple[Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("127.0.0.0/8"),
    IPv6Network("fc00::/7"),
    IPv6Network("::1/128"),
)


class Listener(Model):
    """One address on which Tandem speaks SIP."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the listener: the key it stands under."""
    transport: Literal["udp", "tcp", "tls", "ws", "wss"]
    """How SIP is carried."""
    address: IPvAnyAddress = Field(default="0.0.0.0", validate_default=True)
    """Local address; 0.0.0.0 or :: is all of them."""
    port: Port = 5060
    """Local port."""
    certificate: ConfigPath | None = None
    """PEM file with the certificate chain (tls, wss). Read again when it changes."""
    key: ConfigPath | None = None
    """PEM file with the private key (tls, wss)."""
    client_authorities: ConfigPath | None = None
    """PEM file of authorities; when given, peers must show a certificate signed by one of them."""
    path: str = "/"
    """URL path of the websocket (ws, wss)."""
    origins: tuple[str, ...] = ()
    """Web origins that may open the websocket; empty: any."""

    @model_validator(mode="after")
    def _check_certificate(self) -> Listener:
        if self.transport in ("tls", "wss") and not (self.certificate and self.key):
            raise refuse(
                f"the {self.transport} listener {self.name!r} lacks its certificate or key",
                "certificate: and key:, both PEM files",
            )
        return self

    @property
    def is_stream(self) -> bool:
        """Whether it is carried by TCP."""
        return self.transport != "udp"


class SipTimers(Model):
    """RFC 3261 section 17.1.1.1."""

    t1: Seconds = 0.5
    """Estimate of the round trip; first retransmission."""
    t2: Seconds = 4.0
    """Longest interval between retransmissions."""
    t4: Seconds = 5.0
    """How long a message can remain in the network."""


class SessionTimer(Model):
    """RFC 4028: finds calls whose other end is gone."""

    enabled: bool = True
    """Ask for session timers."""
    expires: Seconds = 1800.0
    """Interval that is asked for."""
    minimum: Annotated[Seconds, Field(ge=90)] = 90.0
    """Shortest interval that is accepted (Min-SE)."""


class Stir(Model):
    """Proof of callers' numbers (RFC 8224), for trunks whose `stir` asks for it."""

    authorities: ConfigPath | None = None
    """PEM file of the authorities that certify providers."""
    max_age: Annotated[Seconds, Field(ge=1, le=3600)] = 60.0
    """A signature older than this is stale."""
    fetch_timeout: Annotated[Seconds, Field(ge=0.1, le=10)] = 3.0
    """The caller waits so long for his provider's certificate."""


class Sip(Model):
    """SIP in general."""

    listeners: Annotated[Mapping[Name, Listener], keyed("name")] = Field(
        default_factory=lambda: {
            "udp": Listener(name="udp", transport="udp"),
            "tcp": Listener(name="tcp", transport="tcp"),
        },
    )
    """Where SIP is spoken."""
    realm: Annotated[str, Field(pattern=r'^[^"\\\s]{1,100}$')] = "tandem"
    """Digest realm. Part of every HA1: changing it makes hashes written in the configuration worthless."""
    external_address: IPvAnyAddress | None = None
    """Address of this host as seen from outside, when it is behind NAT."""
    local_networks: Networks = LOCAL_NETWORKS
    """Peers in these networks see local addresses; all others the external one."""
    user_agent: Annotated[str, Field(max_length=100)] = "Tandem"
    """User-Agent and Server header."""
    timers: SipTimers = SipTimers()
    """Timers of transactions."""
    session_timer: SessionTimer = SessionTimer()
    """Refreshing of established calls."""
    reliable_provisional: Literal["off", "supported", "required"] = "supported"
    """100rel (RFC 3262): never, when the peer wants it, or only so."""
    stir: Stir = Stir()
    """Proof of callers' numbers."""
    session_id: bool = True
    """Send Session-ID (RFC 7989) in all messages of a call, so that it can be followed through other exchanges."""
    max_forwards: Annotated[int, Field(ge=2, le=255)] = 70
    """Exchanges that a call of ours may pass; a call that is carried on has what it came with, less one."""
    registration_minimum: Seconds = 60.0
    """Shortest lifetime of a registration; shorter ones are answered 423."""
    registration_maximum: Seconds = 3600.0
    """Longest lifetime of a registration; longer ones are shortened."""
    registration_default: Seconds = 600.0
    """Lifetime where the phone names none."""
    max_message: Bytes = 65535
    """Larger messages are refused."""
    udp_switch_bytes: Annotated[int, Field(ge=500, le=65000)] = 1300
    """Requests above this go by TCP where the peer can (RFC 3261 section 18.1.1)."""
    stream_idle_timeout: Seconds = 600.0
    """A stream connection silent for so long is closed, unless a call or registration uses it."""
    authorities: ConfigPath | None = None
    """PEM file of authorities believed, beside the system's, when Tandem opens a TLS connection (trunks)."""
    trace_bytes: Bytes = 32 * 2**20
    """Memory for the SIP ladder of recent calls (`tandem trace`)."""
    hep: str = ""
    """HEPv3 collector by udp, tcp or tls, for example udp:homer.example.net:9060; empty: none."""

    @model_validator(mode="after")
    def _check_order(self) -> Sip:
        if not self.listeners:
            raise refuse("there is no SIP listener", "at least one listener")
        if not self.registration_minimum <= self.registration_default <= self.registration_maximum:
            raise refuse(
                "the lifetimes of registrations are out of order",
                "registration_minimum <= registration_default <= registration_maximum",
            )
        return self


class Rtp(Model):
    """Where a media gateway sends and receives voice."""

    address: IPvAnyAddress = Field(default="0.0.0.0", validate_default=True)
    """Local address of the RTP sockets."""
    advertised_address: IPvAnyAddress | None = None
    """Address in SDP for peers outside `sip.local_networks`; default: `sip.external_address`, then `address`."""
    port_min: Annotated[int, Field(ge=1024, le=65535)] = 10000
    """First port (even: RTP, the next: RTCP)."""
    port_max: Annotated[int, Field(ge=1024, le=65535)] = 20000
    """Last port."""
    timeout: Seconds = 30.0
    """Without a packet for so long a talking leg counts as dead; 0: never."""

    @model_validator(mode="after")
    def _check_range(self) -> Rtp:
        if self.port_max - self.port_min < 3:
            raise refuse(
                f"the RTP ports {self.port_min}-{self.port_max} are too few for one call", "port_max above port_min"
            )
        return self


class Gateway(Model):
    """One media gateway process."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the gateway: the key it stands under."""
    control: Annotated[str, Field(pattern=r"^(unix:.+|tcp:.+:\d+)?$")] = ""
    """Control socket: unix:PATH or tcp:HOST:PORT; empty: a Unix socket in the data folder."""
    managed: bool = True
    """Started and watched over by Tandem; otherwise somebody else starts it."""
    secret: Secret | None = None
    """Shared secret; a TCP gateway needs one."""
    rtp: Rtp | None = None
    """Its own RTP settings; default: those of the whole server."""

    @model_validator(mode="after")
    def _check_secret(self) -> Gateway:
        if self.control.startswith("tcp:") and self.secret is None:
            raise refuse(
                f"the gateway {self.name!r} on TCP has no secret", "secret: {generated: gateway-NAME} or the like"
            )
        return self


class Http(Model):
    """The HTTP server: API, CTI websocket, metrics."""

    address: IPvAnyAddress = Field(default="127.0.0.1", validate_default=True)
    """Local address. The default answers only this host; put a TLS proxy in front before opening it."""
    port: Port = 8080
    """Local port."""
    certificate: ConfigPath | None = None
    """PEM file with the certificate chain, to serve HTTPS itself."""
    key: ConfigPath | None = None
    """PEM file with the private key."""
    origins: tuple[str, ...] = ()
    """Web origins of browser desktops on other hosts."""
    metrics_open: bool = False
    """Serve /metrics without a token."""

    @model_validator(mode="after")
    def _check_pair(self) -> Http:
        if (self.certificate is None) != (self.key is None):
            raise refuse("HTTPS needs both a certificate and a key", "certificate: and key:, or neither")
        return self


class Storage(Model):
    """The database of the event log, call records and registrations."""

    url: Annotated[str, Field(pattern=r"^(sqlite:///.+|postgresql://[^:@/]*@?[^@]*)?$")] = ""
    """Empty: SQLite in the data folder. postgresql://user@host/database for PostgreSQL; its password goes below."""
    password: Secret | None = None
    """Password of the database user."""
    event_retention: Seconds = 400 * 86400.0
    """Events and call records older than this are deleted; 0: never."""


class Logging(Model):
    """What the server says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important level that is written."""
    format: Literal["console", "json"] = "console"
    """For people or for machines."""
    file: ConfigPath | None = None
    """Write here instead of standard error."""
    hide_numbers: bool = False
    """Show only the last digits of callers' numbers."""


class Locale(Model):
    """Where the call centre is and what it speaks."""

    country: CountryCode = "CN"
    """Whose national numbers are meant where a number has no country code; also the country of tones."""
    timezone: Timezone = "Asia/Shanghai"
    """Time zone where no other is given (IANA name)."""
    language: Language = "zh"
    """Language where a flow, queue or call has none."""
    languages: tuple[Language, ...] = ("zh", "en")
    """Languages that callers can be served in."""

    @model_validator(mode="after")
    def _check_language(self) -> Locale:
        if self.language not in self.languages:
            languages = ", ".join(self.languages)
            raise refuse(f"{self.language!r} is not among the languages", f"one of {languages}", at=("language",))
        return self


class Limits(Model):
    """How much is taken on at once; what is beyond is refused with 503."""

    max_calls: Annotated[int, Field(ge=1)] = 1000
    """Calls at the same time."""
    calls_per_second: Annotated[float, Field(gt=0)] = 100.0
    """New calls a second."""
    max_call_duration: Seconds = 4 * 3600.0
    """A call is ended after this; 0: never."""
    cti_buffer: Annotated[Bytes, Field(ge=65536)] = 4 * 2**20
    """What may wait for a slow CTI client before it is closed."""


class Guard(Model):
    """Keeping strangers out."""

    enabled: bool = True
    """Whether sources are watched at all."""
    requests_per_second: Annotated[float, Field(gt=0)] = 50.0
    """Requests outside dialogs allowed to one source that is no trunk."""
    burst: Annotated[int, Field(ge=1)] = 100
    """How many of them may come at once."""
    wrong_credentials: Annotated[int, Field(ge=1)] = 10
    """So many wrong answers to a challenge within `window` ban the source. A challenge alone never counts."""
    window: Seconds = 60.0
    """Time over which wrong credentials are counted."""
    ban_time: Seconds = 3600.0
    """How long a ban lasts."""
    max_sources: Annotated[int, Field(ge=100)] = 50_000
    """Sources that are remembered; the least recent are forgotten first."""
    allow: Networks = ()
    """Networks that are never banned (trunks never are)."""
    deny: Networks = ()
    """Networks that are never answered."""
    scanners: tuple[str, ...] = (
        "friendly-scanner",
        "sipvicious",
        "sipcli",
        "sip-scan",
        "sipsak",
        "VaxSIPUserAgent",
        "pplsip",
    )
    """Parts of User-Agent values that are dropped without an answer."""


class TollFraud(Model):
    """Limits on calls to the outside; emergency numbers pass all of them. 0: no limit."""

    calls_per_minute: Annotated[int, Field(ge=0)] = 20
    """New outside calls of one extension a minute."""
    concurrent: Annotated[int, Field(ge=0)] = 4
    """Outside calls of one extension at the same time."""
    minutes_per_day: Annotated[int, Field(ge=0)] = 600
    """Outside minutes of one extension a day."""
    spend_per_day: Annotated[float, Field(ge=0)] = 0.0
    """Money one extension may spend a day, in the currency of the routes' `cost_per_minute`."""
    countries: tuple[CountryCode, ...] = ()
    """Countries that may be called; empty: those of the outbound routes."""
    alarm_at: Percent = 80.0
    """A security event is written when so much of a limit is used."""
    calendar: Name | None = None
    """Outside calls only while this calendar is open."""


class Drain(Model):
    """What happens on SIGTERM."""

    timeout: Seconds = 300.0
    """Calls in progress may go on for so long."""
    retry_after: Seconds = 30.0
    """Retry-After in the 503 that new calls get meanwhile."""
