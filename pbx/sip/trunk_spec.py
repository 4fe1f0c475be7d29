"""What the trunk machine needs to know of each trunk."""

from __future__ import annotations

import msgspec

from .commands import Credentials, Flow


class RegistrationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Tandem registers at the provider. Times in seconds."""

    domain: str
    """Host part of the Request-URI, From and To: the registrar's name."""
    username: str
    """User part of the address of record."""
    contact_user: str = ""
    """User part of our Contact; empty: the user name."""
    expires: int = 600
    retry: float = 30.0
    """First wait after a failure; doubles up to ``retry_maximum``."""
    retry_maximum: float = 900.0


class TrunkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk. Times in seconds."""

    name: str
    host: str = ""
    """Address or name that requests are sent to (the outbound proxy where there is one); empty: nothing is sent."""
    port: int = 0
    """0: by DNS, else the default of the transport."""
    transport: str = "udp"
    listener: str = ""
    domain: str = ""
    """Host part of the URI that OPTIONS asks; empty: ``host``."""
    networks: tuple[str, ...] = ()
    """CIDR: requests from there are this trunk's."""
    credentials: Credentials | None = None
    """For challenges to our requests."""
    registration: RegistrationSpec | None = None
    health_interval: float = 30.0
    """Between two OPTIONS; 0: none."""
    health_timeout: float = 5.0
    health_failures: int = 3
    """So many in a row take the trunk down."""
    health_successes: int = 1
    """So many in a row bring it up again."""

    @property
    def default_port(self) -> int:
        return self.port or (5061 if self.transport == "tls" else 5060)

    def make_flow(self, host: str, port: int = 0) -> Flow:
        """The way to one of the trunk's addresses."""
        return Flow(self.transport, host, port or self.default_port, self.listener)
