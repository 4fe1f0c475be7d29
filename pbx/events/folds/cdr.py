"""The fold that makes call detail records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pbx.events import catalogue as e
from pbx.events.catalogue import Record

from .detail import (
    CallDetail,
    FlowVisit,
    OfferDetail,
    QueueVisit,
    RecordingDetail,
    Talk,
    TransferDetail,
)

SETTLED_S = 15.0
"""A call that ended this long ago, with nothing open, is complete."""
ABANDONED_S = 3600.0
"""... and after this long whatever is still open."""

BEGINNINGS = (e.Offered, e.ServiceInitiated, e.Originated)


class State(msgspec.Struct):
    calls: dict[str, CallDetail] = {}
    ended: dict[str, float] = {}
    """Calls that ended, and since when there is nothing new about them; in order of time."""
    items: dict[str, str] = {}
    """Call by work item, of the few whose id is not their call's: calls that entered a queue again, and callbacks."""
    wrapping: dict[str, tuple[str, int, float]] = {}
    """Agents in after-call work: call, number of the talk, since when."""


class CdrFold:
    """Feed it every record in order; ``take_changed`` gives the ended calls whose record is new or different."""

    __slots__ = ("_changed", "_state")

    def __init__(self, snapshot: bytes = b"") -> None:
        self._state = msgspec.json.decode(snapshot, type=State) if snapshot else State()
        self._changed: dict[str, CallDetail] = {}

    def snapshot(self) -> bytes:
        return msgspec.json.encode(self._state)

    def open_calls(self) -> dict[str, CallDetail]:
        """Calls that run, and those that ended and still wait for a recording or for after-call work."""
        return self._state.calls

    def take_changed(self) -> list[CallDetail]:
        changed = list(self._changed.values())
        self._changed = {}
        return changed

    def apply(self, record: Record) -> None:
        event = record.event
        handler = _HANDLERS.get(type(event))
        if handler is not None and (not isinstance(event, e.CallEvent) or self._knows(event, record.at)):
            handler(self, record.at, event)
        if self._state.ended:
            self._settle(record.at)

    # --- the call -------------------------------------------------------------------------------------------------

    def _on_offered(self, at: float, event: e.Offered) -> None:
        call = self._find(event.call)
        if call.leg:
            return
        call.direction, call.device, call.leg = event.direction, event.device, event.leg
        call.caller, call.called, call.caller_name = event.caller, event.called, event.caller_name
        call.started_at = min(call.started_at, at)
        _find_talk(call, event.leg, event.device).party = event.caller

    def _on_service_initiated(self, at: float, event: e.ServiceInitiated) -> None:
        call = self._find(event.call)
        if not call.leg:
            call.called = event.called

    def _on_routed(self, at: float, event: e.Routed) -> None:
        call = self._find(event.call)
        call.destination = call.destination or event.destination

    def _on_originated(self, at: float, event: e.Originated) -> None:
        call = self._find(event.call)
        talk = _find_talk(call, event.leg, event.device, event.agent)
        talk.party = event.called
        _attribute(call, talk)

    def _on_delivered(self, at: float, event: e.Delivered) -> None:
        call = self._find(event.call)
        talk = _find_talk(call, event.leg, event.device, event.agent)
        talk.rang_at = talk.rang_at or at
        _attribute(call, talk)

    def _on_established(self, at: float, event: e.Established) -> None:
        call = self._find(event.call)
        talk = _find_talk(call, event.leg, event.device, event.agent)
        if talk.answered_at is None:
            talk.answered_at = at
        _attribute(call, talk)
        if call.answered_at is None and (event.leg == call.leg) == (call.direction == "inbound"):
            call.answered_at = at

    def _on_held(self, at: float, event: e.Held) -> None:
        talk = _find_talk(self._find(event.call), event.leg, event.device, event.agent)
        if talk.held_at is None and talk.left_at is None:
            talk.held_at = at
            talk.holds += 1

    def _on_retrieved(self, at: float, event: e.Retrieved) -> None:
        _end_hold(_find_talk(self._find(event.call), event.leg, event.device, event.agent), at)

    def _on_transferred(self, at: float, event: e.Transferred) -> None:
        call = self._find(event.call)
        call.transfers.append(TransferDetail(at, event.leg, event.device, event.destination, event.kind, event.agent))
        _find_talk(call, event.leg, event.device, event.agent).ended_by = f"transfer_{event.kind}"

    def _on_failed(self, at: float, event: e.Failed) -> None:
        call = self._find(event.call)
        talk = _find_talk(call, event.leg, event.device, event.agent)
        talk.left_at = talk.left_at or at
        talk.ended_by = talk.ended_by or f"failed:{event.status}"
        self._touch(call)

    def _on_connection_cleared(self, at: float, event: e.ConnectionCleared) -> None:
        call = self._find(event.call)
        talk = _find_talk(call, event.leg, event.device, event.agent)
        if talk.left_at is None:
            _end_hold(talk, at)
            talk.left_at = at
            talk.ended_by = talk.ended_by or event.by
        self._touch(call)

    def _on_call_cleared(self, at: float, event: e.CallCleared) -> None:
        call = self._find(event.call)
        if call.ended_at is not None:
            return
        call.ended_at, call.outcome, call.reason = at, event.outcome, event.reason
        for talk in call.talks:
            if talk.left_at is None:
                _end_hold(talk, at)
                talk.left_at = at
        for visit in call.queues:
            if visit.left_at is None:
                visit.left_at, visit.reason, visit.waited_s = at, visit.reason or "ended", at - visit.entered_at
        for flow in call.flows:
            flow.left_at = flow.left_at or at
        self._state.ended[event.call] = at
        self._touch(call)

    def _on_information(self, at: float, event: e.CallInformation) -> None:
        call = self._find(event.call)
        for key, value in event.data.items():
            if value:
                call.data[key] = value
            else:
                call.data.pop(key, None)
        self._touch(call)

    def _on_quality(self, at: float, event: e.MediaQuality) -> None:
        call = self._find(event.call)
        if event.mos is not None:
            call.mos[event.leg] = event.mos
            self._touch(call)

    def _on_server_started(self, at: float, event: e.ServerStarted) -> None:
        """A server that recovered nothing says of every call that ran that it is over."""
        if event.recovered_calls:
            return
        for call in [call.call for call in self._state.calls.values() if call.ended_at is None]:
            lost = e.CallCleared(call=call, outcome="indeterminate", reason="server_restarted")
            self._on_call_cleared(at, lost)

    # --- flows and queues -----------------------------------------------------------------------------------------

    def _on_flow_entered(self, at: float, event: e.FlowEntered) -> None:
        self._find(event.call).flows.append(FlowVisit(event.flow, event.version, at))

    def _on_flow_tagged(self, at: float, event: e.FlowTagged) -> None:
        for flow in reversed(self._find(event.call).flows):
            if flow.flow == event.flow:
                if len(flow.tags) < 100:
                    flow.tags.append(event.tag)
                return

    def _on_flow_left(self, at: float, event: e.FlowLeft) -> None:
        for flow in reversed(self._find(event.call).flows):
            if flow.flow == event.flow and flow.left_at is None:
                flow.left_at, flow.reason = at, event.reason
                return

    def _on_queued(self, at: float, event: e.Queued) -> None:
        call = self._find(event.call)
        if event.entry and any(visit.entry == event.entry for visit in call.queues):
            return
        call.queues.append(QueueVisit(event.queue, event.entry, at))

    def _on_queue_left(self, at: float, event: e.QueueLeft) -> None:
        call = self._find(event.call)
        for visit in reversed(call.queues):
            if visit.left_at is None and (visit.entry == event.entry if event.entry else visit.queue == event.queue):
                visit.left_at, visit.reason = at, event.reason
                visit.waited_s, visit.agent = event.waited_s, event.agent
                break
        self._touch(call)

    def _on_callback(self, at: float, event: e.CallbackRegistered) -> None:
        """The visit that the caller left for it flowed out as a callback."""
        call = self._find(event.call)
        visit = next((visit for visit in reversed(call.queues) if visit.reason != "answered"), None)
        if visit is not None:
            visit.reason = "callback"
        self._touch(call)

    def _on_agent_offered(self, at: float, event: e.AgentOffered) -> None:
        call = self._find(event.call)
        if event.item != event.call:
            self._state.items[event.item] = event.call
        call.offers.append(OfferDetail(event.offer, event.agent, event.queue, at))

    def _on_offer_ended(self, at: float, event: e.OfferEnded) -> None:
        for offer in reversed(self._find(event.call).offers):
            if offer.offer == event.offer and offer.agent == event.agent:
                offer.result, offer.ringing_s = event.result, event.ringing_s
                return

    # --- after-call work ------------------------------------------------------------------------------------------

    def _on_working(self, at: float, event: e.AgentWorkingAfterCall) -> None:
        held = self._state.wrapping.get(event.agent)
        if held is not None and held[0] == event.item:
            return
        self._on_agent_state(at, event)
        call = self._find_item(event.item)
        if call is None:
            return
        for n in range(len(call.talks) - 1, -1, -1):
            if call.talks[n].agent == event.agent:
                self._state.wrapping[event.agent] = (event.item, n, at)
                return

    def _on_agent_state(self, at: float, event: e.AgentEvent) -> None:
        wrapping = self._state.wrapping.pop(event.agent, None)
        if wrapping is None:
            return
        call = self._find_item(wrapping[0])
        if call is not None:
            call.talks[wrapping[1]].after_call_s += max(0.0, at - wrapping[2])
            self._touch(call)

    def _on_wrap_up(self, at: float, event: e.WrapUpCompleted) -> None:
        call = self._find_item(event.item)
        if call is None:
            return
        for talk in reversed(call.talks):
            if talk.agent == event.agent:
                talk.disposition = event.disposition or talk.disposition
                talk.note = event.note or talk.note
                self._touch(call)
                return

    # --- recordings -----------------------------------------------------------------------------------------------

    def _on_recording_started(self, at: float, event: e.RecordingStarted) -> None:
        call = self._find(event.call)
        if all(known.recording != event.recording for known in call.recordings):
            call.recordings.append(RecordingDetail(event.recording, event.leg, event.path, at, event.agent))
        self._touch(call)

    def _on_recording_paused(self, at: float, event: e.RecordingPaused) -> None:
        recording = self._find_recording(event)
        if recording is not None and not (recording.pauses_ms and recording.pauses_ms[-1][1] < 0):
            recording.pauses_ms.append((event.offset_ms, -1))

    def _on_recording_resumed(self, at: float, event: e.RecordingResumed) -> None:
        recording = self._find_recording(event)
        if recording is not None and recording.pauses_ms and recording.pauses_ms[-1][1] < 0:
            recording.pauses_ms[-1] = (recording.pauses_ms[-1][0], event.offset_ms)

    def _on_recording_completed(self, at: float, event: e.RecordingCompleted) -> None:
        recording = self._find_recording(event)
        if recording is None:
            started = at - event.duration_ms / 1000
            recording = RecordingDetail(event.recording, event.leg, event.path, started)
            self._find(event.call).recordings.append(recording)
        recording.state, recording.path = "completed", event.path
        recording.duration_ms, recording.size_bytes = event.duration_ms, event.size_bytes
        recording.sha256, recording.conversation = event.sha256, event.conversation
        self._touch(self._find(event.call))

    def _on_recording_archived(self, at: float, event: e.RecordingArchived) -> None:
        recording = self._find_recording(event)
        if recording is not None:
            recording.path, recording.size_bytes, recording.sha256 = event.path, event.size_bytes, event.sha256
            self._touch(self._find(event.call))

    def _on_recording_failed(self, at: float, event: e.RecordingFailed) -> None:
        recording = self._find_recording(event)
        if recording is None:
            recording = RecordingDetail(event.recording, event.leg, event.path, at)
            self._find(event.call).recordings.append(recording)
        recording.state, recording.reason = "failed", event.reason
        self._touch(self._find(event.call))

    def _on_voicemail(self, at: float, event: e.VoicemailLeft) -> None:
        call = self._find(event.call)
        call.voicemails.append(event.path)
        self._touch(call)

    # --- keeping --------------------------------------------------------------------------------------------------

    def _knows(self, event: e.CallEvent, at: float) -> bool:
        """A call begins with what begins a call: a straggler of one that is complete does not open it again."""
        if event.call in self._state.calls:
            return True
        if type(event) in BEGINNINGS:
            self._state.calls[event.call] = CallDetail(call=event.call, started_at=at)
            return True
        return False

    def _find(self, call: str) -> CallDetail:
        return self._state.calls[call]

    def _find_item(self, item: str) -> CallDetail | None:
        """The call whose work item it is; None if it is complete or of no queue."""
        return self._state.calls.get(self._state.items.get(item, item))

    def _find_recording(self, event: Any) -> RecordingDetail | None:
        for recording in self._find(event.call).recordings:
            if recording.recording == event.recording:
                return recording
        return None

    def _touch(self, call: CallDetail) -> None:
        if call.ended_at is not None:
            self._changed[call.call] = call

    def _settle(self, now: float) -> None:
        """Let go of calls that are complete. ``ended`` is in order of time, so that only the oldest are looked at."""
        state = self._state
        for call in _find_older(state.ended, now - SETTLED_S):
            detail = state.calls.get(call)
            if detail is None:
                del state.ended[call]
            elif (detail.ended_at or 0.0) < now - ABANDONED_S or not self._is_open(detail):
                del state.ended[call]
                del state.calls[call]
                for item in [item for item, name in state.items.items() if name == call]:
                    del state.items[item]
            else:
                # Something is open: look again later, not at every record.
                del state.ended[call]
                state.ended[call] = now

    def _is_open(self, detail: CallDetail) -> bool:
        if any(recording.state == "recording" for recording in detail.recordings):
            return True
        return any(talk.agent and talk.agent in self._state.wrapping for talk in detail.talks)


def _find_older(ended: dict[str, float], limit: float) -> list[str]:
    found = []
    for call, at in ended.items():
        if at > limit:
            break
        found.append(call)
    return found


def _find_talk(call: CallDetail, leg: str, device: str, agent: str = "") -> Talk:
    for talk in call.talks:
        if talk.leg == leg:
            talk.agent = talk.agent or agent
            return talk
    talk = Talk(leg, device, agent=agent)
    call.talks.append(talk)
    return talk


def _attribute(call: CallDetail, talk: Talk) -> None:
    """The queue an agent's connection came from is the one of the last offer to that agent."""
    if talk.agent and not talk.queue:
        talk.queue = next((offer.queue for offer in reversed(call.offers) if offer.agent == talk.agent), "")


def _end_hold(talk: Talk, at: float) -> None:
    if talk.held_at is not None:
        talk.hold_s += max(0.0, at - talk.held_at)
        talk.held_at = None


_HANDLERS: dict[type, Callable[[CdrFold, float, Any], None]] = {
    e.Offered: CdrFold._on_offered,
    e.Routed: CdrFold._on_routed,
    e.Originated: CdrFold._on_originated,
    e.Delivered: CdrFold._on_delivered,
    e.Established: CdrFold._on_established,
    e.Held: CdrFold._on_held,
    e.Retrieved: CdrFold._on_retrieved,
    e.Transferred: CdrFold._on_transferred,
    e.Failed: CdrFold._on_failed,
    e.ConnectionCleared: CdrFold._on_connection_cleared,
    e.CallCleared: CdrFold._on_call_cleared,
    e.CallInformation: CdrFold._on_information,
    e.MediaQuality: CdrFold._on_quality,
    e.FlowEntered: CdrFold._on_flow_entered,
    e.FlowTagged: CdrFold._on_flow_tagged,
    e.FlowLeft: CdrFold._on_flow_left,
    e.Queued: CdrFold._on_queued,
    e.QueueLeft: CdrFold._on_queue_left,
    e.CallbackRegistered: CdrFold._on_callback,
    e.AgentOffered: CdrFold._on_agent_offered,
    e.OfferEnded: CdrFold._on_offer_ended,
    e.AgentWorkingAfterCall: CdrFold._on_working,
    e.AgentReady: CdrFold._on_agent_state,
    e.AgentNotReady: CdrFold._on_agent_state,
    e.AgentRinging: CdrFold._on_agent_state,
    e.AgentBusy: CdrFold._on_agent_state,
    e.AgentLoggedOff: CdrFold._on_agent_state,
    e.WrapUpCompleted: CdrFold._on_wrap_up,
    e.RecordingStarted: CdrFold._on_recording_started,
    e.RecordingPaused: CdrFold._on_recording_paused,
    e.RecordingResumed: CdrFold._on_recording_resumed,
    e.RecordingCompleted: CdrFold._on_recording_completed,
    e.RecordingArchived: CdrFold._on_recording_archived,
    e.RecordingFailed: CdrFold._on_recording_failed,
    e.VoicemailLeft: CdrFold._on_voicemail,
    e.ServerStarted: CdrFold._on_server_started,
    e.ServiceInitiated: CdrFold._on_service_initiated,
}
