"""A flow serves the caller: what the interpreter wants is done, what happened is told to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from media.protocol import PlayFinished
from pbx.app.sessions.base import Result, Session
from pbx.ivr import messages as ivr

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg

_DIAL_STATUS = {486: "busy", 600: "busy", 603: "rejected", 480: "no_answer", 408: "no_answer", 404: "unavailable"}
_QUEUE_RESULT = {"max_wait": "timeout", "max_length": "full", "closed": "closed", "no_agents": "no_agents"}


class FlowSession(Session, kw_only=True):
    """The interpreter itself lives in ``ex.flows``; its state is written down here with the call."""

    flow: str
    version: str = ""
    anchor: str
    key: str
    """Names its interpreter."""
    asked: str = ""
    """Request of the queue or dial session on top."""
    asked_kind: str = ""
    recording: str = ""
    """Request of a message that is being recorded."""
    recording_id: str = ""
    recording_path: str = ""
    recording_since: float = 0.0
    stop_digits: str = ""
    listening: ivr.Listen | None = None
    """What the gateway listens for on the anchor."""
    ending: str = ""
    """Why the message is over; the gateway's report is still to come."""
    ending_digit: str = ""
    silence: float = 0.0
    """Seconds of silence that end the message; 0: none do."""
    spoke: bool = False
    opened: list[str] = []
    """Mailboxes whose PIN the caller knew."""
    secure: bool = False
    state: dict[str, Any] = {}

    def start(self, ex: Exchange, call: Call) -> None:
        ex.flows.begin(call, self)

    def feed(self, ex: Exchange, call: Call, event: ivr.AnyInput) -> None:
        ex.flows.feed(call, self, event)

    def digit(self, ex: Exchange, call: Call, leg: Leg, digit: str) -> None:
        if leg.id != self.anchor:
            return
        if self.recording and not self.ending:
            if digit in self.stop_digits:
                ex.taking.end(call, self, "digit", digit)
            return
        self.feed(ex, call, ivr.Digit(digit=digit))

    def play_finished(self, ex: Exchange, call: Call, leg: Leg, event: PlayFinished) -> None:
        self.feed(
            ex,
            call,
            ivr.PlayFinished(request=event.player.rpartition("/")[2], reason=event.reason, detail=event.detail),
        )

    def done(self, ex: Exchange, call: Call, result: Result) -> None:
        request, kind = self.asked, self.asked_kind
        if not request:
            return
        if result.kind != "answered":
            self.asked = self.asked_kind = ""
        if kind == "queue":
            self.feed(ex, call, self._queue_result(request, result))
        else:
            self.feed(ex, call, self._dial_result(request, result))

    def _queue_result(self, request: str, result: Result) -> ivr.QueueResult:
        word: Any
        if result.kind in ("answered", "completed"):
            word = result.kind
        elif result.kind == "left":
            word = "exit_key"
        else:
            word = _QUEUE_RESULT.get(result.reason, "overflow" if result.kind == "overflow" else "failed")
        return ivr.QueueResult(request=request, result=word, agent=result.agent, waited=result.waited_s)

    def _dial_result(self, request: str, result: Result) -> ivr.DialResult:
        word: Any = (
            result.kind if result.kind in ("answered", "completed") else _DIAL_STATUS.get(result.status, "failed")
        )
        return ivr.DialResult(request=request, status=word, agent=result.agent)

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        if name == "flow":
            ex.flows.expire(call, self)
        elif name == "message" and self.ending:
            ex.taking.overdue(call, self)
        elif name == "message":
            ex.taking.end(call, self, "limit")
        elif name == "silence":
            ex.taking.end(call, self, "silence")

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        ex.flows.hung_up(call, self, reason)

    def resume(self, ex: Exchange, call: Call) -> None:
        if not ex.flows.resume(call, self):
            ex.end_call(call, status=500, cause=41, reason=f"flow {self.flow} is gone")
        elif self.recording:
            ex.taking.end(call, self, "stopped")

    def describe(self) -> dict[str, Any]:
        return {"stage": "flow", "flow": self.flow}
