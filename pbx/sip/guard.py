"""Keeping strangers out before their packets are parsed: rates per source, scanners, bans for wrong credentials.

A source is an IPv4 address or an IPv6 /64. Only *wrong credentials* ban it: a challenge is no failure, and an unknown
number is none either. Trunks and allowed networks pass everything. Memory is bounded whatever arrives.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from pbx.core.timers import Deadline, Timers

from .commands import Flow
from .events import Output, SecurityAlert

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_OUTSIDE_DIALOGS = (b"INVI", b"REGI", b"OPTI", b"SUBS", b"MESS", b"PUBL")
_OTHER_COST = 0.25
"""Tokens that a response or a request inside a dialog takes; one that starts something takes 1."""
_ALERT_PAUSE = 60.0
"""Seconds between alerts of one kind about one source."""
_MAX_ALERTS = 100
_HEAD = 2048
"""Bytes of a packet that are looked at for a scanner's name."""


class GuardRules(msgspec.Struct, frozen=True, kw_only=True):
    """Networks in CIDR. Times in seconds."""

    enabled: bool = True
    requests_per_second: float = 50.0
    burst: int = 100
    wrong_credentials: int = 10
    """So many within ``window`` ban the source."""
    window: float = 60.0
    ban_time: float = 3600.0
    max_sources: int = 50_000
    trusted: tuple[str, ...] = ()
    """Trunks and networks that are never limited nor banned."""
    deny: tuple[str, ...] = ()
    """Never answered."""
    scanners: tuple[str, ...] = ("friendly-scanner", "sipvicious", "sipcli", "sip-scan", "VaxSIPUserAgent", "pplsip")
    """Parts of a User-Agent that are dropped, in any case."""


class Ban(msgspec.Struct, frozen=True):
    source: str
    """IPv4 address or IPv6 /64."""
    until: float
    """Monotonic seconds."""
    reason: str


class _Source:
    """What is remembered of one source."""

    __slots__ = ("alerted_at", "at", "failures", "known", "tokens", "window_from")

    def __init__(self, tokens: float, at: float) -> None:
        self.tokens = tokens
        self.at = at
        self.failures = 0
        self.window_from = at
        self.alerted_at = float("-inf")
        self.known = False
        """Somebody there has proven himself: no need to look for scanners."""


class SourceGuard:
    """Implements ``pbx.sip.policy.Guard`` and ``pbx.sip.auth.FailureSink``."""

    def __init__(self, rules: GuardRules | None = None) -> None:
        self._sources: dict[str, _Source] = {}
        self._bans: dict[str, Ban] = {}
        self._timers: Timers[str] = Timers()
        self._alerts: list[Output] = []
        self._keys: dict[str, tuple[str, str]] = {}
        self.counts: Counter[str] = Counter()
        """What was refused or alarming so far, by kind, for metrics."""
        self.configure(rules or GuardRules())

    def configure(self, rules: GuardRules) -> None:
        """Use these rules from now on; bans of sources now trusted end. Raises ``ValueError`` for a bad network."""
        trusted = [ipaddress.ip_network(text, strict=False) for text in rules.trusted]
        denied = [ipaddress.ip_network(text, strict=False) for text in rules.deny]
        names = b"|".join(re.escape(name.encode()) for name in rules.scanners if name)
        self._rules = rules
        self._trusted: Sequence[Network] = trusted
        self._denied: Sequence[Network] = denied
        self._scanner = (
            re.compile(rb"\r\n(?:user-agent|server)[ \t]*:[^\r\n]*(?:" + names + rb")[^\r\n]*", re.IGNORECASE)
            if names
            else None
        )
        self._keys.clear()
        for source in list(self._bans):
            if self._classify(source.partition("/")[0])[1] == "trusted":
                self._forget_ban(source)

    # --- policy.Guard -----------------------------------------------------------------------------------------------

    def admit(self, packet: bytes, flow: Flow, now: float) -> str:
        """Empty: let it in; else why it is dropped: banned, denied, flood or scanner."""
        rules = self._rules
        if not rules.enabled:
            return ""
        key, verdict = self._keys.get(flow.host) or self._classify(flow.host)
        if verdict:
            return "" if verdict == "trusted" else "denied"
        if key in self._bans:
            self.counts["banned"] += 1
            return "banned"
        source = self._sources.get(key)
        if source is None:
            source = self._remember(key, now)
        tokens = min(rules.burst, source.tokens + (now - source.at) * rules.requests_per_second)
        source.at = now
        cost = 1.0 if packet[:4] in _OUTSIDE_DIALOGS else _OTHER_COST
        if tokens < cost:
            source.tokens = tokens
            self._alert("flood", flow, source, f"more than {rules.requests_per_second:g} requests a second", now)
            return "flood"
        source.tokens = tokens - cost
        if not source.known and self._scanner is not None:
            match = self._scanner.search(packet, 0, _HEAD)
            if match is not None:
                agent = match[0].decode("utf-8", "replace").partition(":")[2].strip()[:80]
                self._alert("scanner", flow, source, agent, now)
                return "scanner"
        return ""

    def is_shut_out(self, host: str) -> bool:
        """Whether a connection from there is not even to be taken."""
        if not self._rules.enabled:
            return False
        key, verdict = self._keys.get(host) or self._classify(host)
        return verdict == "denied" or (verdict != "trusted" and key in self._bans)

    def drain(self) -> Sequence[Output]:
        if not self._alerts:
            return ()
        alerts, self._alerts = self._alerts, []
        return alerts

    def expire(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (source := self._timers.pop(now)) is not None:
            ban = self._bans.pop(source)
            outputs.append(_make_alert("unbanned", source, f"after {ban.reason}"))
        return outputs

    def next_deadline(self) -> Deadline | None:
        entry = self._timers.peek()
        return None if entry is None else Deadline(entry[0], f"ban of {entry[1]} ends")

    # --- auth.FailureSink -------------------------------------------------------------------------------------------

    def wrong_credentials(self, flow: Flow, username: str, known: bool, now: float) -> list[Output]:
        """Count a failure; too many ban the source. Returns the alerts."""
        rules = self._rules
        self.counts["wrong_credentials"] += 1
        detail = f"user {username[:64]!r}"
        alerts: list[Output] = [
            SecurityAlert(what="wrong_credentials" if known else "unknown_user", flow=flow, detail=detail)
        ]
        key, verdict = self._keys.get(flow.host) or self._classify(flow.host)
        if not rules.enabled or verdict == "trusted":
            return alerts
        source = self._sources.get(key) or self._remember(key, now)
        if now - source.window_from > rules.window:
            source.window_from, source.failures = now, 0
        source.failures += 1
        if source.failures >= rules.wrong_credentials and key not in self._bans:
            source.failures = 0
            source.known = False
            self._set_ban(Ban(key, now + rules.ban_time, f"{rules.wrong_credentials} wrong credentials, last {detail}"))
            alerts.append(SecurityAlert(what="banned", flow=flow, detail=self._bans[key].reason))
        return alerts

    def right_credentials(self, flow: Flow, now: float) -> None:
        """Somebody at this source is one of ours: his mistyped password before is forgiven."""
        key, verdict = self._keys.get(flow.host) or self._classify(flow.host)
        source = self._sources.get(key)
        if source is not None and not verdict:
            source.known = True

    # --- by hand ------------------------------------------------------------------------------------------------------

    def bans(self) -> list[Ban]:
        """Bans in force, the one that ends first in front."""
        return sorted(self._bans.values(), key=lambda ban: ban.until)

    def ban(self, host: str, now: float, *, seconds: float = 0.0, reason: str = "by hand") -> list[Output]:
        """Ban a source; ``seconds`` 0: for the configured time. Raises ``ValueError`` for a trusted or bad address."""
        key, verdict = self._classify(str(ipaddress.ip_address(host)))
        if verdict == "trusted":
            raise ValueError(f"{host} belongs to a trunk or an allowed network")
        self._set_ban(Ban(key, now + (seconds or self._rules.ban_time), reason))
        return [_make_alert("banned", key, reason)]

    def lift(self, host: str) -> list[Output]:
        """End a ban early; nothing if there is none. Raises ``ValueError`` for what is no address."""
        key = host if "/" in host else self._classify(str(ipaddress.ip_address(host)))[0]
        if key not in self._bans:
            return []
        self._forget_ban(key)
        return [_make_alert("unbanned", key, "by hand")]

    def restore(self, bans: Iterable[Ban], now: float) -> None:
        """Take back bans that were kept over a restart, ``until`` on the clock of ``now``."""
        for ban in bans:
            if ban.until > now and self._classify(ban.source.partition("/")[0])[1] != "trusted":
                self._set_ban(ban)

    def sources_remembered(self) -> int:
        return len(self._sources)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _classify(self, host: str) -> tuple[str, str]:
        """Key of the source and verdict of the networks it is in; cached by address."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return host, ""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        verdict = ""
        if any(address in network for network in self._trusted):
            verdict = "trusted"
        elif any(address in network for network in self._denied):
            verdict = "denied"
        key = str(address)
        if address.version == 6:
            key = f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
        if len(self._keys) >= self._rules.max_sources:
            self._keys.clear()
        self._keys[host] = (key, verdict)
        return key, verdict

    def _remember(self, key: str, now: float) -> _Source:
        sources = self._sources
        if len(sources) >= self._rules.max_sources:
            # Oldest first, but those active a moment ago get another turn: a flood of forged addresses must not
            # wipe out what is known of real ones. A few steps keep the cost per packet flat.
            for _ in range(4):
                oldest = next(iter(sources))
                source = sources.pop(oldest)
                if not (source.known or source.failures) or now - source.at > self._rules.window:
                    break
                sources[oldest] = source
            else:
                del sources[next(iter(sources))]
        source = sources[key] = _Source(float(self._rules.burst), now)
        return source

    def _alert(self, what: Literal["flood", "scanner"], flow: Flow, source: _Source, detail: str, now: float) -> None:
        self.counts[what] += 1
        if now - source.alerted_at >= _ALERT_PAUSE and len(self._alerts) < _MAX_ALERTS:
            source.alerted_at = now
            self._alerts.append(SecurityAlert(what=what, flow=flow, detail=detail))

    def _set_ban(self, ban: Ban) -> None:
        if len(self._bans) >= self._rules.max_sources and ban.source not in self._bans:
            self._forget_ban(next(iter(self._bans)))
        self._bans[ban.source] = ban
        self._timers.set(ban.source, ban.until)

    def _forget_ban(self, source: str) -> None:
        del self._bans[source]
        self._timers.cancel(source)


def _make_alert(what: Literal["banned", "unbanned"], source: str, detail: str) -> SecurityAlert:
    return SecurityAlert(what=what, flow=Flow("", source.partition("/")[0], 0), detail=detail)
