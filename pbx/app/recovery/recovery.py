"""Surviving the death of call control: what is written down of every call, and how another process takes it over.

A call is written a moment after it changed, with its sessions, its flow and its confirmed SIP dialogs. The media
goes on in the gateway meanwhile; nobody who talks hears anything. What was only beginning when the process died
(ringing phones, a call in its first fifth of a second) begins again or ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from media.protocol import CloseAll, Snapshot, TakeSnapshot
from pbx.app.outputs import Checkpoint
from pbx.app.recovery.media import Expected, compare
from pbx.app.sessions.base import Session
from pbx.app.sessions.call_back import AgentFirst, CustomerFirst
from pbx.app.sessions.clicks import Click
from pbx.app.sessions.dial import Dial
from pbx.app.sessions.flow import FlowSession
from pbx.app.sessions.parked import Parked
from pbx.app.sessions.queue import Queue
from pbx.app.sessions.room import Room
from pbx.app.sessions.talk import Talk
from pbx.app.telephony.features import Announcement
from pbx.call.model import Call, Leg
from pbx.events import catalogue as facts
from pbx.sip.events import Ended

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

DELAY_S = 0.2
"""Changes of a call are gathered for so long: a call that is routed and answered at once is written once."""
ACD_KEY = "@acd"
"""Stands for the ACD among the calls' names."""
VERSION = 1


class KeptCall(msgspec.Struct, kw_only=True):
    """A call as it is written down."""

    version: int = VERSION
    call: Call
    sessions: list[
        Talk | Dial | Queue | FlowSession | Parked | Room | Click | Announcement | AgentFirst | CustomerFirst
    ] = []
    dialogs: dict[str, dict[str, Any]] = {}
    """Confirmed SIP dialogs by leg."""
    gateway: str = ""
    """Identity of the gateway process its media lives on."""


class KeptFloor(msgspec.Struct, kw_only=True):
    """The ACD as it is written down."""

    version: int = VERSION
    wall: float
    state: dict[str, Any]


_encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(KeptCall).decode
_decode_floor = msgspec.msgpack.Decoder(KeptFloor).decode


class Recovery:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._written: set[str] = set()
        self._unclaimed: set[str] = set()
        """Gateways that have not been told yet which of their legs are still ours."""
        self._expected: dict[str, Expected] = {}
        """What each gateway should be doing by what was written, until it has said what it does."""

    # --- writing down -----------------------------------------------------------------------------------------

    def changed(self, call: Call) -> None:
        key = (call.id, "checkpoint", "")
        if key not in self._ex.timers:
            self._ex.timers.set(key, self._ex.now + DELAY_S)

    def floor_changed(self) -> None:
        key = (ACD_KEY, "checkpoint", "")
        if key not in self._ex.timers:
            self._ex.timers.set(key, self._ex.now + DELAY_S)

    def due(self, name: str) -> None:
        """Write what changed."""
        ex = self._ex
        if name == ACD_KEY:
            floor = KeptFloor(wall=ex.wall, state=ex.acd.snapshot(ex.now))
            ex.out.append(Checkpoint(ACD_KEY, _encode(floor)))
            return
        call = ex.calls.get(name)
        if call is None or name in ex.ending:
            return
        sessions: list[Any] = list(ex.stack_of(call))
        for session in sessions:
            if isinstance(session, FlowSession):
                ex.flows.checkpoint(session)
        dialogs = {leg: state for leg in call.legs if (state := ex.stack.export_leg(leg)) is not None}
        view = ex.media.gateways.get(call.gateway)
        kept = KeptCall(call=call, sessions=sessions, dialogs=dialogs, gateway=view.identity if view else "")
        self._written.add(name)
        ex.out.append(Checkpoint(name, _encode(kept)))

    def forget(self, call: Call) -> None:
        """The call is over."""
        self._ex.timers.cancel((call.id, "checkpoint", ""))
        if call.id in self._written:
            self._written.discard(call.id)
            self._ex.out.append(Checkpoint(call.id, b""))

    # --- taking over ------------------------------------------------------------------------------------------

    def take_over(self, kept: Mapping[str, bytes], known: Iterable[str], version: str) -> None:
        """Take back what a process before us wrote. ``known``: calls that the log says are running."""
        ex = self._ex
        calls = []
        for name, state in kept.items():
            if name.startswith("@"):
                continue
            try:
                calls.append(_decode_call(state))
            except msgspec.MsgspecError as error:
                ex.note("error", "a kept call cannot be read", name, error=str(error))
                ex.out.append(Checkpoint(name, b""))
        ex.log(facts.ServerStarted(version=version, recovered_calls=len(calls)))
        ex.callbacks.restore(kept)
        self._restore_floor(kept.get(ACD_KEY, b""))
        ex.agents.last.restore(kept)
        ex.features.take_over(kept)
        ex.calendar_switch.take_over(kept)
        ex.login_pin.take_over(kept)
        ex.alarms.take_over(kept)
        ex.watchers.take_over(kept)
        for entry in calls:
            self._restore_call(entry)
        if calls:
            # Where none came back, the folds end them all by the fact above.
            for name in known:
                if name not in ex.calls and name not in kept:
                    ex.log(facts.CallCleared(call=name, outcome="indeterminate", reason="server_restarted"))
        ex.callbacks.resume()
        items = {getattr(session, "item", "") for stack in ex.sessions.values() for session in stack}
        live = items | set(ex.leg_calls)
        ex.agents.take(ex.acd.reconcile(live - {""}, (), ex.now))
        self._unclaimed = set(ex.media.gateways)

    def _restore_floor(self, state: bytes) -> None:
        ex = self._ex
        if not state:
            return
        try:
            floor = _decode_floor(state)
            ex.agents.take(ex.acd.restore(floor.state, ex.now, max(0.0, ex.wall - floor.wall)))
            if ex.day.began_after(floor.wall):
                ex.agents.take(ex.acd.reset_counts(ex.now))
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            ex.note("error", "the kept state of the agents cannot be read", error=str(error))

    def _restore_call(self, kept: KeptCall) -> None:
        ex = self._ex
        call = kept.call
        ex.calls[call.id] = call
        self._written.add(call.id)
        view = ex.media.gateways.get(call.gateway)
        if view is not None:
            view.identity = view.identity or kept.gateway
        ex.sessions[call.id] = list[Session](kept.sessions)
        lost = []
        for leg in call.legs.values():
            if leg.state == "ended":
                continue
            ex.leg_calls[leg.id] = call.id
            ex.device_legs.add(leg.device, leg.id)
            if view is not None:
                view.legs += 1
            dialog = kept.dialogs.get(leg.id)
            if dialog is not None:
                ex.take_sip(ex.stack.import_leg(dialog, ex.now))
                ex.agents.adopt(leg)
            else:
                lost.append(leg)
        ex.recording.adopt(call)
        self._drop(call, lost)
        ex.touch(call)
        if call.id not in ex.calls or call.id in ex.ending:
            return
        longest = ex.settings.configuration.limits.max_call_duration
        if longest:
            ex.timers.set((call.id, "call", ""), ex.now + max(1.0, longest - (ex.wall - call.started_at)))
        for session in list(ex.stack_of(call)):
            session.timers = []
            session.resume(ex, call)
        self._leave_talks(call, lost)

    def _leave_talks(self, call: Call, lost: list[Leg]) -> None:
        """Who talked and is lost has left the conversation; the phones that rang begin again by themselves."""
        ex = self._ex
        for leg in lost:
            owner = ex.owner(call, leg.id)
            if call.id in ex.calls and call.id not in ex.ending and isinstance(owner, Talk):
                owner.ended(ex, call, leg, _lost(leg))

    def _drop(self, call: Call, lost: list[Leg]) -> None:
        """Legs that were not confirmed are gone: their transactions died with the process."""
        ex = self._ex
        for leg in lost:
            ex.log(
                facts.ConnectionCleared(
                    call=call.id, leg=leg.id, device=leg.device, by="transport", cause=41, reason="server restarted"
                )
            )
            ex.legs.forget(call, leg)
        top = ex.top(call)
        if top is not None and not top.needs_leg():
            return
        if not call.live() or (call.anchor and call.legs[call.anchor].state == "ended" and not call.talkers):
            ex.end_call(call, status=503, cause=41, reason="server restarted", outcome="indeterminate")

    # --- the gateways -----------------------------------------------------------------------------------------

    def gateway_up(self, gateway: str, *, restarted: bool) -> None:
        """After a start: what the gateway holds and nobody knows is closed."""
        ex = self._ex
        if gateway not in self._unclaimed:
            return
        self._unclaimed.discard(gateway)
        keep = tuple(leg.id for call in ex.calls.values() if call.gateway == gateway for leg in call.live() if leg.port)
        ex.media.send(gateway, CloseAll(id=ex.media.next_id(), keep=keep))
        if restarted:
            return
        self._expected[gateway] = Expected(ex, gateway)
        ex.media.send(gateway, TakeSnapshot(id=ex.media.next_id()))

    def compare(self, gateway: str, snapshot: Snapshot) -> None:
        """What it does, against what was written: the last moment before the death was not."""
        expected = self._expected.pop(gateway, None)
        if expected is not None:
            compare(self._ex, expected, snapshot)


def _lost(leg: Leg) -> Ended:
    return Ended(leg=leg.id, by="transport", status=503, cause=41, reason="server restarted")
