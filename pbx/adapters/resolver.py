"""Finding SIP servers (RFC 3263): NAPTR, SRV, A and AAAA, cached; addresses pass straight through.

NAPTR and SRV are asked of the name servers; addresses of the system, so that /etc/hosts and containers' names work.
When DNS is away, the last good answer is used for up to an hour: calls do not end because of a name server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import structlog
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

log = structlog.get_logger()

_ADDRESS_TTL = 60.0
_MIN_TTL, _MAX_TTL = 5.0, 3600.0
_FAILURE_TTL = 5.0
_STALE = 3600.0
_MAX_CACHED = 10_000
_MAX_TARGETS = 16
_TIMEOUT = 5.0
_SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}


class ResolveError(OSError):
    """A name that leads nowhere, or name servers that do not answer."""


class Target(NamedTuple):
    """One address of a SIP server."""

    host: str
    """IP address."""
    port: int
    transport: str


class SrvRecord(NamedTuple):
    priority: int
    weight: int
    port: int
    target: str


class NaptrRecord(NamedTuple):
    order: int
    preference: int
    service: str
    replacement: str


class Dns(Protocol):
    """The questions that are asked. Each gives records and their lifetime in seconds; none is an empty list.

    Raise ``ResolveError`` where the question got no answer at all.
    """

    async def naptr(self, name: str) -> tuple[list[NaptrRecord], float]: ...

    async def srv(self, name: str) -> tuple[list[SrvRecord], float]: ...

    async def addresses(self, name: str) -> tuple[list[str], float]: ...


class SystemDns:
    """The name servers of this host (dnspython) and its own idea of addresses (getaddrinfo)."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if nameservers:
            self._resolver.nameservers = list(nameservers)
        self._resolver.lifetime = _TIMEOUT

    async def naptr(self, name: str) -> tuple[list[NaptrRecord], float]:
        records, ttl = await self._ask(name, dns.rdatatype.NAPTR)
        return [
            NaptrRecord(r.order, r.preference, r.service.decode("ascii", "replace").upper(), str(r.replacement))
            for r in records
            if isinstance(r, NAPTR) and r.flags.upper() == b"S"
        ], ttl

    async def srv(self, name: str) -> tuple[list[SrvRecord], float]:
        records, ttl = await self._ask(name, dns.rdatatype.SRV)
        return [SrvRecord(r.priority, r.weight, r.port, str(r.target)) for r in records if isinstance(r, SRV)], ttl

    async def addresses(self, name: str) -> tuple[list[str], float]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TIMEOUT):
                found = await loop.getaddrinfo(name.rstrip("."), None, type=socket.SOCK_DGRAM)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                return [], _FAILURE_TTL
            raise ResolveError(f"{name}: {error.strerror}") from error
        except TimeoutError as error:
            raise ResolveError(f"{name}: no answer") from error
        except UnicodeError as error:
            raise ResolveError(f"{name}: no host name") from error
        return list(dict.fromkeys(str(item[4][0]) for item in found)), _ADDRESS_TTL

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[list[object], float]:
        try:
            answer = await self._resolver.resolve(name, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], _ADDRESS_TTL
        except (dns.exception.DNSException, OSError) as error:
            raise ResolveError(f"{name}: {error}") from error
        return list(answer), float(answer.rrset.ttl if answer.rrset is not None else _ADDRESS_TTL)


class Resolver:
    """Answers from its cache, or asks. ``uniform(low, high)`` draws lots among SRV records by weight."""

    def __init__(self, uniform: Callable[[float, float], float], source: Dns | None = None) -> None:
        self._dns: Dns = source or SystemDns()
        self._uniform = uniform
        self._cache: dict[tuple[str, int, str], tuple[float, tuple[Target, ...]]] = {}
        self._asking: dict[tuple[str, int, str], asyncio.Task[tuple[Target, ...]]] = {}

    def known(self, host: str, port: int = 0, transport: str = "") -> tuple[Target, ...] | None:
        """What is known without asking; None if it has to be asked."""
        if _is_address(host):
            return (_make_target(host, port, transport),)
        entry = self._cache.get((host.lower(), port, transport))
        now = asyncio.get_running_loop().time()
        return entry[1] if entry is not None and entry[0] > now and entry[1] else None

    async def resolve(self, host: str, port: int = 0, transport: str = "") -> tuple[Target, ...]:
        """The addresses of a server, in the order to be tried. ``port`` 0 and ``transport`` empty: as DNS says.

        Raises ``ResolveError``.
        """
        known = self.known(host, port, transport)
        if known is not None:
            return known
        key = (host.lower(), port, transport)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._refresh(key))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # One that gives up waiting must not take the answer from the others.
        return await asyncio.shield(task)

    async def _refresh(self, key: tuple[str, int, str]) -> tuple[Target, ...]:
        loop = asyncio.get_running_loop()
        old = self._cache.get(key)
        if old is not None and not old[1] and old[0] > loop.time():
            raise ResolveError(f"{key[0]}: no such host")
        try:
            targets, ttl = await self._look_up(*key)
        except ResolveError as error:
            if old is not None and old[1] and old[0] + _STALE > loop.time():
                log.warning("sip.dns.stale_answer_used", name=key[0], error=str(error))
                return old[1]
            raise
        if len(self._cache) >= _MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        if not targets:
            self._cache[key] = (loop.time() + _FAILURE_TTL, ())
            raise ResolveError(f"{key[0]}: no such host")
        self._cache[key] = (loop.time() + min(max(ttl, _MIN_TTL), _MAX_TTL), targets)
        return targets

    async def _look_up(self, host: str, port: int, transport: str) -> tuple[tuple[Target, ...], float]:
        """RFC 3263 sections 4.1 and 4.2."""
        if port:
            return await self._look_up_addresses([(host, port)], transport or "udp", _MAX_TTL)
        if transport:
            services, ttl = [(_PREFIXES.get(transport, "_sip._tcp.") + host, transport)], _MAX_TTL
        else:
            records, ttl = await self._dns.naptr(host)
            ordered = sorted(record for record in records if record.service in _SERVICES)
            services = [(record.replacement, _SERVICES[record.service]) for record in ordered]
            services = services or [(prefix + host, name) for name, prefix in _PREFIXES.items()]
        targets: list[Target] = []
        for name, kind in services:
            records_srv, srv_ttl = await self._dns.srv(name)
            if not records_srv:
                continue
            ttl = min(ttl, srv_ttl)
            servers = [(r.target.rstrip("."), r.port) for r in self._order(records_srv) if r.target != "."]
            found, ttl = await self._look_up_addresses(servers, kind, ttl)
            targets += found
        if targets:
            return tuple(targets[:_MAX_TARGETS]), ttl
        chosen = transport or "udp"
        return await self._look_up_addresses([(host, 5061 if chosen in ("tls", "wss") else 5060)], chosen, ttl)

    async def _look_up_addresses(
        self, servers: Iterable[tuple[str, int]], transport: str, ttl: float
    ) -> tuple[tuple[Target, ...], float]:
        targets: list[Target] = []
        for name, port in servers:
            if len(targets) >= _MAX_TARGETS:
                break
            addresses, own_ttl = await self._dns.addresses(name)
            targets += [Target(address, port, transport) for address in addresses]
            ttl = min(ttl, own_ttl)
        return tuple(targets[:_MAX_TARGETS]), ttl

    def _order(self, records: list[SrvRecord]) -> list[SrvRecord]:
        """By priority; within one at random by weight (RFC 2782)."""
        ordered: list[SrvRecord] = []
        for priority in sorted({record.priority for record in records}):
            left = sorted((r for r in records if r.priority == priority), key=lambda r: r.weight)
            while left:
                total = sum(record.weight for record in left)
                draw = self._uniform(0.0, total) if total else 0.0
                for record in left:
                    draw -= record.weight
                    if draw < 0 or (not total):
                        break
                left.remove(record)
                ordered.append(record)
        return ordered


class NameWatch:
    """Resolves a set of names again and again and tells what they mean now; used for trunks."""

    def __init__(
        self, resolver: Resolver, on_resolved: Callable[[str, tuple[Target, ...]], None], *, interval: float = 30.0
    ) -> None:
        """``on_resolved(name of the entry, targets)`` is called after every look-up; with nothing where it failed."""
        self._resolver = resolver
        self._on_resolved = on_resolved
        self._interval = interval
        self._tasks: dict[tuple[str, str, int, str], asyncio.Task[None]] = {}

    def watch(self, entries: Iterable[tuple[str, str, int, str]]) -> None:
        """From now on these (name of the entry, host, port, transport), and no others."""
        wanted = set(entries)
        for entry in self._tasks.keys() - wanted:
            self._tasks.pop(entry).cancel()
        for entry in wanted - self._tasks.keys():
            self._tasks[entry] = asyncio.get_running_loop().create_task(self._follow(*entry))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, name: str, host: str, port: int, transport: str) -> None:
        while True:
            try:
                targets = await self._resolver.resolve(host, port, transport)
            except ResolveError as error:
                log.warning("sip.dns.unresolved", trunk=name, host=host, error=str(error))
                targets = ()
            self._on_resolved(name, targets)
            await asyncio.sleep(self._interval if targets else min(self._interval, 10.0))


def _make_target(host: str, port: int, transport: str) -> Target:
    return Target(host, port or (5061 if transport in ("tls", "wss") else 5060), transport or "udp")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
