"""What every session is: a stage of a call's life that serves its anchor leg.

Sessions stand on a stack per call. The top one works; the ones below wait for its :class:`Result`. A flow that
queues a caller has a queue session on top of it, which has a talk session on top once an agent answered. All are
plain data, so that a call can be written down and taken over by another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from media.protocol import PlayFinished
from pbx.sip.events import Ended, Ringing

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a session ended, for the one below it."""

    kind: Literal["answered", "completed", "failed", "left", "overflow", "refused"]
    """answered: it is not over, somebody talks to the anchor now; completed: that talk ended and the anchor is still
    there; failed: nobody answered; left: the anchor chose to leave; overflow, refused: the queue sends it on."""
    status: int = 0
    """SIP status that tells why, where ``failed``."""
    cause: int = 0
    reason: str = ""
    destination: str = ""
    leg: str = ""
    """Who answered, where it was asked for only to join a conversation."""
    agent: str = ""
    waited_s: float = 0.0


class Session(msgspec.Struct, kw_only=True, tag=True, eq=False):
    call: str
    sid: str = ""
    """Names it within its call, for timers and players."""
    timers: list[str] = []
    """Timers that run for it."""

    def start(self, ex: Exchange, call: Call) -> None:
        """Begin; called once when it is put on the stack."""

    def owns(self, leg: str) -> bool:
        """Whether events of ``leg`` come here; asked from the top of the stack down."""
        return False

    def ringing(self, ex: Exchange, call: Call, leg: Leg, event: Ringing) -> None:
        """An outgoing leg of ours rings."""

    def answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """An outgoing leg of ours was answered; its media is set up."""

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        """A leg of ours is gone."""

    def media_failed(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """The gateway could not open a port for an outgoing leg of ours, which is gone by now."""

    def digit(self, ex: Exchange, call: Call, leg: Leg, digit: str) -> None:
        """A digit from the anchor or a leg of ours."""

    def play_finished(self, ex: Exchange, call: Call, leg: Leg, event: PlayFinished) -> None:
        """A foreground player ended."""

    def done(self, ex: Exchange, call: Call, result: Result) -> None:
        """The session on top of this one reports; unless ``answered`` it has left the stack."""

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        """A timer set with ``ex.set_timer(call, self, name, ...)`` is due."""

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        """The call ends, or a session below ends this one: let go of everything outside the call."""

    def resume(self, ex: Exchange, call: Call) -> None:
        """Another process took the call over: set timers again, begin again what died half done."""

    def needs_leg(self) -> bool:
        """Whether the call is over when none of its legs outlived the process."""
        return True

    def describe(self) -> dict[str, Any]:
        """For live views: what goes on."""
        return {}
