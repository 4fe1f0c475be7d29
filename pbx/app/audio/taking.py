"""Recording what a caller says to a flow: a beep, then until a key, silence, the limit or the end of the call.

The flow hears of the end when the gateway has reported the recording: what it plays or files then is all there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from media import protocol as media
from pbx.app.sessions.flow import FlowSession
from pbx.call.model import Call, Leg
from pbx.ivr import messages as ivr

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

BEEP_MS = 300
REPORT_S = 5.0
"""The gateway reports the end of a recording within this time, or it is taken for lost."""


class Taking:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex

    def start(self, call: Call, session: FlowSession, output: ivr.Record) -> None:
        ex = self._ex
        leg = call.legs[session.anchor]
        session.recording, session.stop_digits = output.request, output.stop_digits
        session.recording_since = ex.now
        session.ending, session.silence, session.spoke = "", output.silence_seconds, False
        if ex.recording.is_full(call.gateway):
            ex.note("error", "a message cannot be recorded: the disk is full", call.id)
            session.recording_path = ""
            self._answer(call, session, ivr.RecordFinished(request=output.request, reason="failed"))
            return
        session.recording_id, session.recording_path = ex.recording.start_message(call, leg, output.purpose)
        ex.set_timer(call, session, "message", output.max_seconds)
        if output.silence_seconds and leg.configured is not None:
            self._listen(leg, True)
            ex.set_timer(call, session, "silence", output.silence_seconds + (BEEP_MS / 1000 if output.beep else 0))
        if output.beep:
            beep = media.Tone(spec=f"1000/{BEEP_MS}/0", duration_ms=BEEP_MS)
            ex.play(call, leg, (beep,), session=session, request="beep")

    def _listen(self, leg: Leg, on: bool) -> None:
        """Let the gateway tell when the leg speaks and when it stops."""
        configured = leg.configured
        if configured is None or ("talk" in configured.detect) == on:
            return
        detect = (*configured.detect, "talk") if on else tuple(kind for kind in configured.detect if kind != "talk")
        self._ex.media.configure(leg, msgspec.structs.replace(configured, id=self._ex.media.next_id(), detect=detect))

    def talk(self, call: Call, leg: Leg, started: bool) -> None:
        """The leg began or ceased to speak."""
        for session in self._ex.stack_of(call):
            if isinstance(session, FlowSession) and session.anchor == leg.id and session.recording and session.silence:
                if started:
                    session.spoke = True
                    self._ex.cancel_timer(call, session, "silence")
                else:
                    self._ex.set_timer(call, session, "silence", session.silence)

    def end(self, call: Call, session: FlowSession, reason: Any, digit: str = "") -> None:
        """The message is over: ``digit``, ``silence``, ``limit`` or ``stopped``; the gateway's report still comes."""
        if session.recording and not session.ending:
            self._stop(call, session)
            session.ending, session.ending_digit = reason, digit
            if session.recording_id in self._ex.recording.running:
                self._ex.set_timer(call, session, "message", REPORT_S)
            else:
                self.overdue(call, session)

    def _stop(self, call: Call, session: FlowSession) -> None:
        ex = self._ex
        for name in ("message", "silence"):
            ex.cancel_timer(call, session, name)
        leg = call.legs[session.anchor]
        if leg.state != "ended":
            self._listen(leg, False)
        ex.recording.stop(call, session.recording_id)

    def overdue(self, call: Call, session: FlowSession) -> None:
        """Nobody reports this recording any more."""
        self._answer(call, session, ivr.RecordFinished(request=session.recording, reason="failed"))

    def reported(self, call: Call, recording: str, duration_ms: int, *, kept: bool) -> None:
        """The gateway closed a recording: the flow that waits for it goes on."""
        for session in list(self._ex.stack_of(call)):
            if not isinstance(session, FlowSession) or not session.recording or session.recording_id != recording:
                continue
            if not session.ending:
                self._stop(call, session)
            # Who never spoke left nothing, however long he listened to the silence.
            silent = session.ending == "silence" and not session.spoke
            finished = ivr.RecordFinished(
                request=session.recording,
                path=session.recording_path if kept else "",
                seconds=0.0 if silent else round(duration_ms / 1000, 3),
                reason=session.ending or "stopped" if kept else "failed",  # type: ignore[arg-type]
                digit=session.ending_digit,
            )
            self._answer(call, session, finished)

    def _answer(self, call: Call, session: FlowSession, finished: ivr.RecordFinished) -> None:
        session.recording = session.ending = ""
        self._ex.cancel_timer(call, session, "message")
        self._ex.flows.later(call, session, finished)

    def hung_up(self, call: Call, session: FlowSession) -> ivr.RecordFinished:
        """The caller is gone; the recording is complete a moment later."""
        request, session.recording = session.recording, ""
        seconds = round(self._ex.now - session.recording_since, 3)
        self._stop(call, session)
        return ivr.RecordFinished(request=request, path=session.recording_path, seconds=seconds, reason="hangup")
