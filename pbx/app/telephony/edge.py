"""The configuration in the words of the SIP edge: trunks, the guard, toll limits; and who a stranger is."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

from sipmessage import Request

from pbx.config.model import Configuration, SecretSource, Trunk
from pbx.config.server import Network
from pbx.sip.commands import Credentials, Flow
from pbx.sip.events import Origin
from pbx.sip.guard import GuardRules
from pbx.sip.policy import Authenticated, Authenticator, Challenge, Challenged, Refuse, Rejected, Trusted
from pbx.sip.registrar import Registrar
from pbx.sip.tollfraud import TollLimits
from pbx.sip.trunk_spec import RegistrationSpec, TrunkSpec
from pbx.sip.trunks import Trunks
from pbx.sip.wire import PeerFault, parse_name_addr, parse_uri


class EdgePolicy:
    """Implements ``pbx.sip.policy.Policy``: a trunk by its address or registered contact, everybody else by digest.

    A trunk and phones may share an address (a NAT, a proxy in front): a request with credentials for our realm is
    judged by them, and one in the name of a phone that registered from that very address has to bring them. REGISTER
    is never taken from a trunk's address alone.
    """

    def __init__(self, realm: str, trunks: Trunks, registrar: Registrar) -> None:
        self._challenge = Challenge(realm)
        self._realm = f'realm="{realm}"'
        self._trunks = trunks
        self._registrar = registrar
        self._origins: dict[str, Trusted] = {}

    def identify(self, request: Request, flow: Flow) -> Trusted | Challenge | Refuse:
        if request.method == "REGISTER" or self._realm in (request.headers.get("Authorization") or ""):
            return self._challenge
        trunk = self._trunks.find_origin(request, flow)
        if not trunk or (self._registrar.knows_peer(flow) and self._is_phone(request, flow)):
            return self._challenge
        trusted = self._origins.get(trunk)
        if trusted is None:
            trusted = self._origins[trunk] = Trusted(Origin("trunk", trunk))
        return trusted

    def _is_phone(self, request: Request, flow: Flow) -> bool:
        """Whether the request speaks for an extension that is registered from where it comes from."""
        try:
            user = parse_uri(parse_name_addr(request.headers["From"]).uri).user
        except (PeerFault, ValueError):
            return True
        bindings = self._registrar.contacts(user, float("-inf")) if user else ()
        return any(binding.flow[:3] == flow[:3] for binding in bindings)


class PlaceGuard:
    """An authenticator in front of another's results: a phone that is bound to networks has to be in one of them."""

    def __init__(self, inner: Authenticator, places: Mapping[str, tuple[Network, ...]]) -> None:
        self._inner = inner
        self.places = places

    def authenticate(
        self, request: Request, realm: str, flow: Flow, now: float
    ) -> Authenticated | Challenged | Rejected:
        result = self._inner.authenticate(request, realm, flow, now)
        if not isinstance(result, Authenticated) or result.origin.kind != "extension":
            return result
        networks = self.places.get(result.origin.name)
        if networks is None or _is_inside(flow.host, networks):
            return result
        return Rejected(403, "Not From Here")


def _is_inside(host: str, networks: Iterable[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


def find_places(configuration: Configuration) -> dict[str, tuple[Network, ...]]:
    """The networks of every extension that is bound to some."""
    return {entry.number: entry.networks for entry in configuration.extensions.values() if entry.networks}


def make_trunk_specs(configuration: Configuration, reveal: Callable[[SecretSource], str]) -> list[TrunkSpec]:
    """The trunks that are enabled. ``reveal`` gives the secret behind a source."""
    return [_make_spec(trunk, reveal) for trunk in configuration.trunks.values() if trunk.enabled]


def _make_spec(trunk: Trunk, reveal: Callable[[SecretSource], str]) -> TrunkSpec:
    registration = None
    server = trunk.outbound_proxy or trunk.host
    if trunk.registration is not None:
        wanted = trunk.registration
        server = trunk.outbound_proxy or wanted.registrar or trunk.host
        registration = RegistrationSpec(
            domain=_bracket(_split(wanted.registrar or trunk.host)[0]),
            username=wanted.username,
            contact_user=wanted.contact_user,
            expires=int(wanted.expires),
            retry=wanted.retry,
            retry_maximum=wanted.retry_maximum,
        )
    credentials = None
    if trunk.credentials is not None:
        username, secret = trunk.credentials
        credentials = Credentials(username, reveal(secret))
    host, port = _split(server)
    if server == trunk.host:
        host, port = trunk.host, trunk.port
    networks = [str(network) for network in trunk.networks]
    if _is_address(trunk.host):
        networks.append(trunk.host)
    return TrunkSpec(
        name=trunk.name,
        host=host,
        port=port,
        transport=trunk.transport,
        listener=trunk.listener or "",
        domain=trunk.host,
        networks=tuple(networks),
        credentials=credentials,
        registration=registration,
        health_interval=trunk.health.interval,
        health_timeout=trunk.health.timeout,
        health_failures=trunk.health.failures,
        health_successes=trunk.health.successes,
    )


def make_guard_rules(configuration: Configuration, trunk_addresses: Iterable[str]) -> GuardRules:
    """The guard's rules. ``trunk_addresses`` (CIDR) are never banned, nor is this host: a proxy on it is everybody."""
    guard = configuration.guard
    return GuardRules(
        enabled=guard.enabled,
        requests_per_second=guard.requests_per_second,
        burst=guard.burst,
        wrong_credentials=guard.wrong_credentials,
        window=guard.window,
        ban_time=guard.ban_time,
        max_sources=guard.max_sources,
        trusted=("127.0.0.0/8", "::1/128", *(str(network) for network in guard.allow), *trunk_addresses),
        deny=tuple(str(network) for network in guard.deny),
        scanners=guard.scanners,
    )


def make_toll_limits(configuration: Configuration) -> TollLimits:
    """Limits of each extension."""
    limits = configuration.toll_fraud
    return TollLimits(
        calls_per_minute=limits.calls_per_minute,
        concurrent=limits.concurrent,
        minutes_per_day=limits.minutes_per_day,
        spend_per_day=limits.spend_per_day,
        countries=tuple(limits.countries),
        alarm_at=limits.alarm_at,
    )


def _split(server: str) -> tuple[str, int]:
    """``host``, ``host:port`` or ``[v6]:port``; port 0 where there is none."""
    if _is_address(server):
        return server, 0
    host, colon, port = server.rpartition(":")
    if not colon or not port.isdigit():
        return server.strip("[]"), 0
    return host.strip("[]"), int(port)


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
