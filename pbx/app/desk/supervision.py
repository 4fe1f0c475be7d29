"""Supervisors in other people's calls: listen, whisper, barge in, take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pbx.app.sessions.dial import Target
from pbx.app.sessions.talk import Talk
from pbx.call.model import Call, Leg, SupervisionMode
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

RING_SECONDS = 30.0


class Wanted(msgspec.Struct):
    """A supervisor's leg that is on its way."""

    mode: SupervisionMode
    supervises: str
    user: str
    take_over: bool = False


class Supervision:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._wanted: dict[str, Wanted] = {}

    def begin(
        self, call: Call, leg: Leg, device: str, mode: SupervisionMode, user: str, take_over: bool = False
    ) -> str:
        """Call the supervisor's phone and put it into ``call``. Empty, or why it cannot be."""
        ex = self._ex
        legs, failure = ex.legs.dial(call, Target(device=device, number=device.partition(":")[2]), timeout=RING_SECONDS)
        if not legs:
            return failure[2] if failure else "unreachable"
        for name in legs:
            self._wanted[name] = Wanted(mode, leg.id, user, take_over)
        ex.log(
            facts.AuditEntry(
                user=user,
                action="take over" if take_over else mode,
                object=f"call:{call.id}",
                detail=leg.device,
            )
        )
        return ""

    def change(self, call: Call, supervisor: Leg, mode: SupervisionMode, user: str) -> None:
        """A supervisor who is already in the call changes what he does."""
        supervisor.supervision = mode
        self._ex.log(facts.AuditEntry(user=user, action=mode, object=f"call:{call.id}", detail=supervisor.supervises))
        self._ex.touch(call)

    def owns(self, leg: str) -> bool:
        return leg in self._wanted

    def answered(self, call: Call, leg: Leg) -> None:
        wanted = self._wanted.pop(leg.id)
        for other in [name for name, entry in self._wanted.items() if entry.supervises == wanted.supervises]:
            found = self._ex.find(other)
            if found is not None and found[1].device == leg.device:
                del self._wanted[other]
                self._ex.legs.hangup(found[1], cause=26)
        supervised = call.legs.get(wanted.supervises)
        if supervised is None or supervised.state == "ended":
            self._ex.legs.hangup(leg, cause=16)
            return
        if wanted.take_over:
            self.take_over(call, leg, supervised)
            return
        leg.supervision, leg.supervises = wanted.mode, wanted.supervises
        self._ex.touch(call)

    def take_over(self, call: Call, supervisor: Leg, agent: Leg) -> None:
        """The supervisor stays in place of the agent."""
        talk = self._ex.owner(call, agent.id)
        supervisor.supervision = ""
        supervisor.supervises = ""
        if not isinstance(talk, Talk):
            self._ex.legs.hangup(supervisor, cause=16)
            return
        talk.legs.append(supervisor.id)
        self._ex.legs.establish(supervisor, [])
        talk.legs.remove(supervisor.id)
        talk.adopt(self._ex, call, agent, supervisor, kind="takeover")

    def leg_ended(self, call: Call, leg: Leg) -> None:
        self._wanted.pop(leg.id, None)
        for other in call.live():
            if other.supervises == leg.id:
                self._ex.legs.hangup(other, cause=16)
        if call.id not in self._ex.ending and not any(not other.supervision for other in call.live()):
            for other in call.live():
                self._ex.legs.hangup(other, cause=16)
