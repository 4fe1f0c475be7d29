"""What the HTTP API needs of the server around it. The server (or a test) implements it with one small object."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from pbx.adapters.desk_server import DeskServer
    from pbx.adapters.gatekeeper import Gatekeeper
    from pbx.storage.event_log import EventLog
    from pbx.storage.records import Records
    from pbx.storage.users import Users


class Health(msgspec.Struct, frozen=True):
    """``degraded`` still takes calls; ``down`` does not."""

    status: Literal["ok", "degraded", "draining", "down"]
    checks: dict[str, str] = {}
    """Part to ``ok`` or what is wrong with it; shown to everybody, so without addresses and names."""


class Metric(NamedTuple):
    """One number for Prometheus. Counters end in ``_total``."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = {}


class Histogram(NamedTuple):
    """A distribution for Prometheus."""

    name: str
    help: str
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """Up to each bound and above the one before it; one more for what is beyond the last."""
    sum: float
    labels: dict[str, str] = {}


class Backend(Protocol):
    desk: DeskServer
    gatekeeper: Gatekeeper
    users: Users
    records: Records
    log: EventLog
    recordings_root: Path
    metrics_open: bool
    """Serve /metrics without a token."""

    def wall(self) -> float:
        """Seconds since 1970."""
        ...

    def health(self) -> Health: ...

    def metrics(self) -> Iterable[Metric | Histogram]:
        """What only the server knows; live state, log and CTI are counted by the HTTP API itself."""
        ...

    async def audit(self, user: str, action: str, object: str, detail: str = "") -> None:
        """Append an AuditEntry and return once it is durable."""
        ...
