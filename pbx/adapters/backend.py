"""What the HTTP API sees of the server: health, numbers, and the stores behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from pbx.adapters.desk_server import DeskServer
from pbx.adapters.gatekeeper import Gatekeeper
from pbx.adapters.runtime import Runtime
from pbx.events.catalogue import AuditEntry
from pbx.ports.backend import Health, Histogram, Metric
from pbx.sip.counters import Sample
from pbx.storage.event_log import EventLog
from pbx.storage.records import Records
from pbx.storage.users import Users


class HttpBackend:
    """Implements ``pbx.ports.backend.Backend`` over a running server."""

    def __init__(
        self,
        runtime: Runtime,
        desk: DeskServer,
        gatekeeper: Gatekeeper,
        users: Users,
        log: EventLog,
        *,
        recordings_root: Path,
        metrics_open: bool,
        wall: Callable[[], float],
        sip_samples: Callable[[], Iterable[Sample]],
    ) -> None:
        self.desk = desk
        self.gatekeeper = gatekeeper
        self.users = users
        self.records = Records(log.engine)
        self.log = log
        self.recordings_root = recordings_root
        self.metrics_open = metrics_open
        self.wall = wall
        self._runtime = runtime
        self._sip_samples = sip_samples
        self._durable: list[tuple[int, asyncio.Future[None]]] = []

    def health(self) -> Health:
        exchange = self._runtime.switch.exchange
        checks = {
            "gateways": "ok" if any(view.up for view in exchange.media.gateways.values()) else "no media gateway is up",
            "storage": "the database is away" if self.log.is_away else "ok",
            "disk": "ok" if exchange.recording.disk == "ok" else f"disk is {exchange.recording.disk}",
        }
        if checks["gateways"] != "ok":
            return Health("down", checks)
        if exchange.stack.draining:
            return Health("draining", checks)
        return Health("ok" if all(value == "ok" for value in checks.values()) else "degraded", checks)

    def metrics(self) -> Iterable[Metric | Histogram]:
        live = self._runtime.switch.live()
        for name, value in live.items():
            yield Metric(f"tandem_live_{name}", f"Live {name.replace('_', ' ')} of the switch.", float(value))
        for sample in self._sip_samples():
            yield Metric(sample.name, sample.help, sample.value, dict(sample.labels))
        for view in self._runtime.switch.exchange.media.gateways.values():
            late = view.lateness
            if late is not None:
                yield Histogram(
                    "tandem_gateway_tick_late_seconds",
                    "How late the playout ticks of a media gateway came",
                    tuple(bound / 1e6 for bound in late.bounds_us),
                    (*late.counts, late.beyond),
                    late.total_s,
                    {"gateway": view.name},
                )

    async def audit(self, user: str, action: str, object: str, detail: str = "") -> None:
        """Append an AuditEntry and return once it is durable."""
        self._runtime.state(AuditEntry(user=user, action=action, object=object, detail=detail))
        done = asyncio.get_running_loop().create_future()
        self._durable.append((self._runtime.switch.exchange.seq, done))
        self.note_durable(self.log.durable_seq)
        await done

    def note_durable(self, seq: int) -> None:
        """Events up to ``seq`` are on disk."""
        while self._durable and self._durable[0][0] <= seq:
            done = self._durable.pop(0)[1]
            if not done.done():
                done.set_result(None)
