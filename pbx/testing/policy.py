"""Who a stranger is in a simulation: a trunk by its address, everybody else by digest."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from sipmessage import Request

from pbx.config.model import Configuration
from pbx.sip.commands import Flow
from pbx.sip.events import Origin
from pbx.sip.policy import Challenge, Refuse, Trusted


class SourcePolicy:
    """Implements ``pbx.sip.policy.Policy``."""

    def __init__(self, configuration: Configuration) -> None:
        self._challenge = Challenge(configuration.sip.realm)
        self._networks = [
            (network, Origin("trunk", trunk.name))
            for trunk in configuration.trunks.values()
            if trunk.enabled
            for network in trunk.networks
        ]
        self._networks.sort(key=lambda entry: -entry[0].prefixlen)
        self._extensions = configuration.extensions
        self._find = lru_cache(maxsize=10_000)(self._look_up)

    def identify(self, request: Request, flow: Flow) -> Trusted | Challenge | Refuse:
        """A phone behind a trunk's address that names an extension of ours still has to prove it."""
        trunk = self._find(flow.host)
        if trunk is None or request.method == "REGISTER":
            return self._challenge
        return Trusted(trunk)

    def _look_up(self, host: str) -> Origin | None:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        return next((origin for network, origin in self._networks if address in network), None)
