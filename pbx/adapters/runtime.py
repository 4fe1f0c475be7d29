"""The switch in an event loop: inputs in, outputs carried out, one timer armed. It decides nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from media.protocol import AnyEvent, AnyReply, Welcome
from pbx.adapters.gateway_link import GatewayLink
from pbx.app.outputs import (
    AnyOutput,
    Append,
    Broadcast,
    Checkpoint,
    Fetch,
    FetchCertificate,
    KeepVoicemail,
    Note,
    Notify,
    Query,
    Recognise,
    ToGateway,
    VoicemailWork,
)
from pbx.app.switch import Switch
from pbx.cti.actor import Actor
from pbx.cti.commands import AnyCommand, CommandDone
from pbx.events.catalogue import AnyEvent as Fact
from pbx.events.catalogue import CallEvent, Record
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, Registered, Transmit, Unregistered
from pbx.storage.writes import PutCheckpoint, PutVoicemail

log = structlog.get_logger()

TICK_S = 0.01
"""Deadlines are kept to this: at 400 calls a second 3,000 a second are due, most of them to forget a transaction."""


class Sockets(Protocol):
    def send(self, flow: Flow, data: bytes) -> None: ...


class Keeper(Protocol):
    """What is kept: events, checkpoints, registrations."""

    def append(self, records: Sequence[Record]) -> None: ...

    def put(self, write: Any, done: Callable[[], None] | None = None) -> None: ...


class Runtime:
    """Owns the switch in this process. ``clock`` is monotonic seconds."""

    def __init__(self, switch: Switch, keeper: Keeper, *, clock: Callable[[], float]) -> None:
        self.switch = switch
        self.clock = clock
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at: float | None = None
        self._arming: asyncio.Handle | None = None
        self.sockets: Sockets | None = None
        self.gateways: Mapping[str, GatewayLink] = {}
        self.on_done: Callable[[CommandDone], None] = lambda done: None
        self.on_broadcast: Callable[[Broadcast], None] = lambda message: None
        self.on_fetch: Callable[[Fetch | Query | Recognise | Notify], None] = lambda request: None
        self.on_voicemail: Callable[[VoicemailWork], None] = lambda work: None
        self.on_certificate: Callable[[str], None] = lambda url: None
        self.on_packet: Callable[[bool, Flow, bytes, str, str], None] | None = None
        """Ladder: (sent, flow, packet, leg, note)."""
        self.on_dropped: Callable[[Dropped], None] = lambda dropped: None
        self.on_binding: Callable[[Registered | Unregistered], None] = lambda binding: None

    # --- inputs -----------------------------------------------------------------------------------------------

    def packet(self, data: bytes, flow: Flow) -> None:
        if self.on_packet is not None:
            self.on_packet(False, flow, data, "", "")
        self.perform(self.switch.receive(data, flow, self.clock()))

    def flow_closed(self, flow: Flow) -> None:
        self.perform(self.switch.flow_closed(flow, self.clock()))

    def gateway_up(self, name: str, welcome: Welcome) -> None:
        self.perform(self.switch.gateway_up(name, welcome, self.clock()))

    def gateway_down(self, name: str, reason: str) -> None:
        self.perform(self.switch.gateway_down(name, reason, self.clock()))

    def gateway_reply(self, name: str, reply: AnyReply) -> None:
        self.perform(self.switch.media_replied(name, reply, self.clock()))

    def gateway_event(self, name: str, event: AnyEvent) -> None:
        self.perform(self.switch.media_happened(name, event, self.clock()))

    def execute(self, actor: Actor, command: AnyCommand, request_id: str) -> None:
        self.perform(self.switch.execute(actor, command, request_id, self.clock()))

    def state(self, fact: Fact) -> None:
        """Put a fact of the server itself into the log."""
        self.perform(self.switch.state(fact, self.clock()))

    # --- outputs ----------------------------------------------------------------------------------------------

    def perform(self, outputs: Sequence[AnyOutput]) -> None:
        """Carry out what the switch wants, in order, and arm its next deadline."""
        records: list[Record] = []
        for output in outputs:
            if isinstance(output, Transmit):
                assert self.sockets is not None
                self.sockets.send(output.flow, output.data)
                if self.on_packet is not None:
                    self.on_packet(True, output.flow, output.data, output.leg, output.note)
            elif isinstance(output, Append):
                records.append(output.record)
                _log_fact(output.record)
            elif isinstance(output, ToGateway):
                self.gateways[output.gateway].send(output.command)
            else:
                self._other(output)
        if records:
            self._keeper.append(records)
        if self._arming is None:
            # Once for all that comes in this turn of the loop.
            self._arming = self._loop.call_soon(self._arm)

    def _other(self, output: Any) -> None:
        if isinstance(output, Note):
            getattr(log, output.level)(output.text, **({"call": output.call} if output.call else {}), **output.details)
        elif isinstance(output, CommandDone):
            self.on_done(output)
        elif isinstance(output, Fetch | Query | Recognise | Notify):
            self.on_fetch(output)
        elif isinstance(output, VoicemailWork):
            self.on_voicemail(output)
        elif isinstance(output, KeepVoicemail):
            self._keeper.put(PutVoicemail(key=output.key, state=output.state))
        elif isinstance(output, FetchCertificate):
            self.on_certificate(output.url)
        elif isinstance(output, Dropped):
            self.on_dropped(output)
        elif isinstance(output, Registered | Unregistered):
            self.on_binding(output)
        elif isinstance(output, Checkpoint):
            self._keeper.put(PutCheckpoint(call=output.call, state=output.state))
        elif isinstance(output, Broadcast):
            self.on_broadcast(output)

    # --- time -------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        self._arming = None
        deadline = self.switch.next_deadline()
        at = deadline.at if deadline is not None else None
        now = self.clock()
        if at is not None and at > now:
            at = math.ceil(at / TICK_S) * TICK_S
        if at == self._armed_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_at = at
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - now), self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._armed_at = None
        self.perform(self.switch.expire(self.clock()))

    def stop(self) -> None:
        for handle in (self._timer, self._arming):
            if handle is not None:
                handle.cancel()
        self._timer = self._arming = None


def _log_fact(record: Record) -> None:
    """One line per fact, with the call it belongs to."""
    event = record.event
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name not in ("call", "why")}
    call = event.call if isinstance(event, CallEvent) else ""
    log.info(type(event).__name__, seq=record.seq, **({"call": call} if call else {}), **fields)
