"""Ways out: registered phones and trunks, with caller id, limits and fail-over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.app.sessions.dial import Round, Target
from pbx.app.telephony.legs import UNREACHABLE, Failure, Launch
from pbx.call.model import Call
from pbx.call.numbers import country_of, rewrite
from pbx.call.routing import External
from pbx.config.model import Trunk, TrunkChoice
from pbx.sip.commands import Credentials, Flow
from pbx.sip.party import Diverted, write_identity

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

EMERGENCY = "emergency"
"""Rule of targets that pass every limit."""


class Outbound:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self.down: set[str] = set()
        """Trunks that do not answer or are not registered."""
        self._starts: dict[str, list[float]] = {}
        """When the last calls of a trunk began, for its calls-per-second limit."""

    # --- which trunks -----------------------------------------------------------------------------------------

    def refusal(self, call: Call, device: str, external: External) -> str | None:
        """Why ``device`` may not call ``external``, or None."""
        if external.emergency is not None:
            return None
        if external.route is not None and external.route.countries:
            country = country_of(external.number, self._ex.settings.country)
            if country and country not in external.route.countries:
                return f"calls to {country} are not allowed by route {external.route.name}"
        return self._ex.toll_guard(device, external, call)

    def rounds(self, call: Call, external: External, by: str) -> list[Round]:
        """The trunks of ``external`` in the order they are tried."""
        configuration = self._ex.settings.configuration
        if external.emergency is not None:
            names = list(external.emergency.trunks)
        elif external.route is not None:
            names = self._order(external.route.trunks)
        else:
            names = []
        rounds = []
        for name in names:
            trunk = configuration.trunks.get(name)
            if trunk is None or not trunk.host:
                continue
            caller, caller_name = self._caller_id(call, external, trunk, by)
            target = Target(
                device=f"trunk:{name}",
                number=trunk.prefix + rewrite(external.number, trunk.numbers_out, self._ex.settings.country),
                caller=caller,
                caller_name=caller_name,
                rule=EMERGENCY if external.emergency is not None else "",
            )
            rounds.append(
                Round(targets=(target,), seconds=trunk.ring_timeout, failover=True, technical=trunk.fail_over_on)
            )
        return rounds

    def _order(self, choices: tuple[TrunkChoice, ...]) -> list[str]:
        """By rank; trunks of one rank in random order by weight."""
        weighted = []
        for place, choice in enumerate(choices):
            trunk = self._ex.settings.configuration.trunks.get(choice.trunk)
            weight = choice.weight if choice.weight is not None else trunk.weight if trunk else 0
            rank = choice.rank if choice.rank is not None else place + 1
            # Efraimidis-Spirakis: sorting by u^(1/w) draws without replacement in proportion to the weights.
            draw = self._ex.ids.uniform(0.0, 1.0) ** (1.0 / max(weight, 1e-6))
            weighted.append((rank, -draw, choice.trunk))
        return [name for _, _, name in sorted(weighted)]

    def _caller_id(self, call: Call, external: External, trunk: Trunk, by: str) -> tuple[str, str]:
        kind, _, name = by.partition(":")
        extension = self._ex.settings.configuration.extensions.get(name) if kind == "extension" else None
        number, shown = call.caller, call.caller_name
        if extension is not None:
            number = str(extension.caller_id or trunk.caller_id.number or "")
        if external.route is not None and external.route.caller_id:
            number = str(external.route.caller_id)
        if external.emergency is not None and external.emergency.caller_id:
            number = str(external.emergency.caller_id)
        policy = trunk.caller_id
        if policy.mode == "anonymous":
            return "anonymous", "Anonymous"
        if policy.mode == "fixed" or (policy.allowed and number not in policy.allowed):
            number = str(policy.number or "")
        number = number or str(policy.number or "") or call.caller
        return rewrite(number, trunk.numbers_out, self._ex.settings.country), policy.name or shown

    # --- INVITEs ----------------------------------------------------------------------------------------------

    def to_phones(self, call: Call, extension: str, target: Target, timeout: float) -> list[Launch] | Failure:
        """One INVITE per registered contact of ``extension``."""
        ex = self._ex
        bindings = ex.registrar.contacts(extension, ex.now)
        if not bindings:
            return UNREACHABLE
        realm = ex.settings.configuration.sip.realm
        caller = target.caller or call.caller or "anonymous"
        name = target.caller_name or call.caller_name
        headers = [("X-Tandem-Call", call.id)]
        agent = ex.settings.agents_by_extension.get(extension)
        if agent and ex.settings.configuration.agents[agent].auto_answer and target.rule != "direct":
            headers.append(("Alert-Info", "<http://tandem>;info=alert-autoanswer;delay=0"))
            headers.append(("Call-Info", "<sip:tandem>;answer-after=0"))
        return [
            Launch(
                uri=binding.contact,
                flow=binding.flow,
                route=binding.path,
                from_uri=f"sip:{caller}@{realm}",
                from_name=name,
                headers=tuple(headers),
                timeout=timeout,
            )
            for binding in bindings
        ]

    def to_trunk(self, call: Call, name: str, target: Target, timeout: float) -> list[Launch] | Failure:
        ex = self._ex
        trunk = ex.settings.configuration.trunks.get(name)
        if trunk is None or not trunk.enabled:
            return 503, 34, f"trunk {name} is disabled"
        if target.rule != EMERGENCY:
            if name in self.down:
                return 503, 38, f"trunk {name} is down"
            if trunk.max_calls and ex.device_legs.count(f"trunk:{name}") >= trunk.max_calls:
                return 503, 34, f"trunk {name} is full"
            if not self._may_start(trunk):
                return 503, 42, f"trunk {name} takes {trunk.calls_per_second:g} calls a second"
        host = f"[{trunk.host}]" if ":" in trunk.host else trunk.host
        port = f":{trunk.port}" if trunk.port else ""
        parameter = "" if trunk.transport == "udp" else f";transport={trunk.transport}"
        user = ";user=phone" if trunk.quirks.user_phone else ""
        proxy_host, _, proxy_port = (
            (trunk.outbound_proxy or trunk.host).rpartition(":")
            if trunk.outbound_proxy
            else (
                trunk.host,
                "",
                str(trunk.port or ""),
            )
        )
        default_port = 5061 if trunk.transport == "tls" else 5060
        domain = trunk.quirks.from_domain or trunk.host
        flow = ex.find_trunk_flow(name) or Flow(
            trunk.transport, proxy_host or trunk.host, int(proxy_port or default_port), trunk.listener or ""
        )
        return [
            Launch(
                uri=f"sip:{target.number}@{host}{port}{user}{parameter}",
                flow=flow,
                alternatives=ex.find_trunk_others(name),
                from_uri=f"sip:{target.caller or 'anonymous'}@{domain}",
                from_name=target.caller_name,
                headers=self._identity(call, trunk, target, domain),
                credentials=self._credentials(trunk),
                timeout=min(timeout, trunk.ring_timeout),
                late_offer=trunk.quirks.late_offer,
            )
        ]

    def _identity(self, call: Call, trunk: Trunk, target: Target, domain: str) -> tuple[tuple[str, str], ...]:
        anonymous = trunk.caller_id.mode == "anonymous"
        number = str(trunk.caller_id.number or "") if anonymous else target.caller
        country = self._ex.settings.country
        extensions = self._ex.settings.configuration.extensions
        diverted = []
        for extension, reason in call.diverted:
            entry = extensions.get(extension)
            # Outside nobody knows an extension by its number: where it has none of its own, the trunk's stands for it.
            own = str((entry.caller_id if entry is not None else None) or trunk.caller_id.number or "")
            if own:
                diverted.append(Diverted(rewrite(own, trunk.numbers_out, country), reason))
        return write_identity(
            trunk.quirks.send_identity,
            number=number,
            domain=domain,
            private=anonymous,
            # The number shown to the provider alone was configured for it.
            trusted=True,
            diverted=tuple(diverted),
            called=target.number,
        )

    def _credentials(self, trunk: Trunk) -> Credentials | None:
        found = trunk.credentials
        if found is None:
            return None
        username, source = found
        return Credentials(username=username, password=self._ex.settings.reveal(source))

    def _may_start(self, trunk: Trunk) -> bool:
        if not trunk.calls_per_second:
            return True
        starts = self._starts.setdefault(trunk.name, [])
        now = self._ex.now
        starts[:] = [start for start in starts if now - start < 1.0]
        if len(starts) >= trunk.calls_per_second:
            return False
        starts.append(now)
        return True
