"""The SIP edge in an event loop: trunks with names resolved, guard, ladder, counters and HEP, wired together.

The server gives the stack ``policy``, ``guard`` and ``trunks``, the runtime ``on_packet`` and ``on_dropped``, and the
control socket ``answer_trace`` and ``answer_bans``.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from pbx.adapters.hep import HepSender
from pbx.adapters.hep_stream import HepStream
from pbx.adapters.resolver import NameWatch, Resolver, Target
from pbx.adapters.sip_tls import make_client_context
from pbx.app.telephony.edge import EdgePolicy, make_guard_rules, make_trunk_specs
from pbx.config.model import Configuration, SecretSource
from pbx.core.ids import IdSource
from pbx.sip.capture import write_pcap
from pbx.sip.commands import Flow
from pbx.sip.counters import Sample, SipCounters
from pbx.sip.events import Dropped, Output, Transmit
from pbx.sip.guard import SourceGuard
from pbx.sip.identity import LocalIdentity
from pbx.sip.ladder import Ladder, LadderEntry
from pbx.sip.ladder_text import render_ladder
from pbx.sip.registrar import Registrar
from pbx.sip.trunks import Trunks

log = structlog.get_logger()

NOISE = frozenset(("banned", "denied", "flood", "scanner", "keep-alive"))
"""Drops that are not worth a place in the ladder."""


class SipEdge:
    """``perform`` carries out outputs of the edge's machines that come outside of the stack's turns;
    ``set_server_name(address, port, name)`` tells what name a TLS server of a trunk has to prove; ``close_flow`` ends
    the connection of somebody who is shut out."""

    def __init__(
        self,
        ids: IdSource,
        registrar: Registrar,
        resolver: Resolver,
        *,
        clock: Callable[[], float],
        epoch: float,
        perform: Callable[[Sequence[Output]], None],
        set_server_name: Callable[[str, int, str], None] = lambda host, port, name: None,
        close_flow: Callable[[Flow], None] = lambda flow: None,
    ) -> None:
        self._ids = ids
        self._registrar = registrar
        self._clock = clock
        self._epoch = epoch
        self._perform = perform
        self._set_server_name = set_server_name
        self._close_flow = close_flow
        self._watch = NameWatch(resolver, self._resolved)
        self._configuration: Configuration
        self._hep: HepSender | HepStream | None = None
        self._hep_address = ""
        self.guard = SourceGuard()
        self.trunks: Trunks
        self.policy: EdgePolicy
        self.ladder = Ladder(0)
        self.counters = SipCounters(self._find_trunk)

    # --- life -------------------------------------------------------------------------------------------------------

    def build(self, configuration: Configuration, local: LocalIdentity) -> None:
        """Make the machines, before the stack is made."""
        self.trunks = Trunks(self._ids, local)
        self.policy = EdgePolicy(configuration.sip.realm, self.trunks, self._registrar)
        self._take(configuration, local)

    async def configure(
        self, configuration: Configuration, reveal: Callable[[SecretSource], str], local: LocalIdentity
    ) -> None:
        """Start, or go on with another configuration."""
        self.policy = EdgePolicy(configuration.sip.realm, self.trunks, self._registrar)
        outputs = self.trunks.configure(make_trunk_specs(configuration, reveal), self._clock(), local)
        self._take(configuration, local)
        self._perform(outputs)
        self._watch.watch((spec.name, spec.host, spec.port, spec.transport) for spec in self.trunks.names())
        await self._open_hep(configuration.sip.hep)

    async def stop(self) -> None:
        """Unregister at the providers, giving them a second to challenge that, and let go of everything."""
        await self._watch.stop()
        self._perform(self.trunks.stop(self._clock()))
        for _ in range(50):
            if not self.trunks.is_leaving():
                break
            await asyncio.sleep(0.02)
        if self._hep is not None:
            self._hep.close()
            self._hep = None

    # --- what the runtime shows -------------------------------------------------------------------------------------

    def on_packet(self, sent: bool, flow: Flow, data: bytes, leg: str, note: str) -> None:
        """A message came or went."""
        now = self._clock()
        if sent:
            output = Transmit(flow=flow, data=data, leg=leg, note=note)
            self.counters.sent(output)
            entry = self.ladder.sent(output, now)
        else:
            self.counters.received(data, flow)
            entry = self.ladder.received(data, flow, now)
        if self._hep is not None:
            self._hep.send(entry)

    def on_dropped(self, dropped: Dropped) -> None:
        self.counters.dropped(dropped)
        if dropped.reason in NOISE:
            self.ladder.forget_last()
            if dropped.flow.connection and dropped.reason in ("banned", "denied"):
                self._close_flow(dropped.flow)
        else:
            self.ladder.note_drop(dropped)

    def samples(self) -> Iterator[Sample]:
        """For the metrics."""
        yield from self.counters.samples()
        yield Sample("tandem_sip_registrations", "Bindings of phones", float(len(self._registrar)), {})
        yield Sample("tandem_sip_bans", "Sources that are banned now", float(len(self.guard.bans())), {})
        for what, count in self.guard.counts.items():
            yield Sample(
                "tandem_sip_guard_total", "Packets refused, by reason, and wrong credentials", count, {"what": what}
            )
        for status in self.trunks.statuses():
            up = {"up": 1.0, "down": 0.0}.get(status.state)
            if up is not None:
                yield Sample("tandem_sip_trunk_up", "Whether the trunk can be used", up, {"trunk": status.name})

    def find_trunk_flow(self, name: str) -> Flow | None:
        """Where calls to a trunk go: its server that answers. None where calls go elsewhere than registrations."""
        trunk = self._configuration.trunks.get(name)
        registrar = trunk.registration.registrar if trunk is not None and trunk.registration is not None else ""
        if trunk is None or (registrar and registrar != trunk.host and not trunk.outbound_proxy):
            return None
        return self.trunks.get_flow(name)

    def find_trunk_others(self, name: str) -> tuple[Flow, ...]:
        """The trunk's other servers, the next best first."""
        return self.trunks.get_targets(name)[1:] if self.find_trunk_flow(name) is not None else ()

    # --- what the operator asks -------------------------------------------------------------------------------------

    def trace(self, legs: Sequence[str], arguments: Mapping[str, str]) -> dict[str, str]:
        """The ladder of ``legs``: ``{"text": ...}``, or ``{"pcap": base64}`` where ``format`` is pcap.

        ``sip_call_id`` asks by SIP Call-ID instead; ``messages`` (any text) shows whole messages.
        """
        call_id = arguments.get("sip_call_id", "")
        entries: list[LadderEntry] = self.ladder.of_call_id(call_id) if call_id else self.ladder.of_legs(legs)
        if arguments.get("format") == "pcap":
            return {"pcap": base64.b64encode(write_pcap(entries, self._epoch)).decode()}
        return {"text": render_ladder(entries, messages=bool(arguments.get("messages")))}

    def bans(self, arguments: Mapping[str, str]) -> list[dict[str, str]]:
        """Bans in force, after banning ``ban`` or lifting ``lift`` (addresses). Raises ``ValueError``."""
        now = self._clock()
        if arguments.get("ban"):
            reason = arguments.get("reason") or "by hand"
            self._perform(
                self.guard.ban(arguments["ban"], now, seconds=float(arguments.get("seconds") or 0), reason=reason)
            )
        if arguments.get("lift"):
            self._perform(self.guard.lift(arguments["lift"]))
        return [
            {"source": ban.source, "seconds": f"{max(0.0, ban.until - now):.0f}", "reason": ban.reason}
            for ban in self.guard.bans()
        ]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _take(self, configuration: Configuration, local: LocalIdentity) -> None:
        self._configuration = configuration
        self.guard.configure(make_guard_rules(configuration, self.trunks.addresses()))
        self.ladder.reconfigure(
            configuration.sip.trace_bytes, {item.name: (item.host, item.port) for item in local.listeners}
        )

    def _find_trunk(self, host: str) -> str:
        return self.trunks.find_by_address(host)

    def _resolved(self, name: str, targets: Sequence[Target]) -> None:
        spec = next((spec for spec in self.trunks.names() if spec.name == name), None)
        if spec is None:
            return
        flows = [spec.make_flow(target.host, target.port) for target in targets if target.transport == spec.transport]
        if spec.transport == "tls":
            for flow in flows:
                self._set_server_name(flow.host, flow.port, spec.host)
        before = self.trunks.get_targets(name)
        self._perform(self.trunks.set_targets(name, flows, self._clock()))
        if set(before) != set(self.trunks.get_targets(name)):
            self.guard.configure(make_guard_rules(self._configuration, self.trunks.addresses()))

    def _make_hep(self, kind: str) -> HepSender | HepStream:
        if kind not in ("tcp", "tls"):
            return HepSender(self._epoch)
        authorities = self._configuration.sip.authorities
        context = make_client_context(authorities=authorities) if kind == "tls" else None
        return HepStream(self._epoch, context=context)

    async def _open_hep(self, address: str) -> None:
        if address == self._hep_address:
            return
        if self._hep is not None:
            self._hep.close()
            self._hep = None
        self._hep_address = address
        if not address:
            return
        kind, _, rest = address.partition(":")
        host, _, port = (rest if kind in ("udp", "tcp", "tls") else address).rpartition(":")
        sender = self._make_hep(kind)
        try:
            await sender.open(host or port, int(port) if host else 9060)
        except (OSError, ValueError) as error:
            log.error("sip.hep.unreachable", address=address, error=str(error))
            self._hep_address = ""
            return
        self._hep = sender
