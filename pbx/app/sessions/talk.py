"""Two or more legs in conversation: hold, consultation, transfer, conference, and who is left when one goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pbx.app.sessions.base import Result, Session
from pbx.events import catalogue as facts
from pbx.sip.events import Ended

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg


class Talk(Session, kw_only=True):
    """The conversation of ``legs``. Ends when fewer than two are left."""

    legs: list[str]
    item: str = ""
    """The ACD's work item, where a queue brought the parties together."""
    agent: str = ""
    consulting: str = ""
    """Leg that consults somebody while the others hear music."""
    consulted: str = ""
    """The leg it talks to meanwhile, once answered."""
    transfer_by: str = ""
    """Leg that asked for a blind transfer which is under way."""
    transfer_to: str = ""

    def owns(self, leg: str) -> bool:
        return leg in self.legs or leg == self.consulted

    def start(self, ex: Exchange, call: Call) -> None:
        for leg in self.legs:
            ex.legs.establish(call.legs[leg], media_from=[call.legs[other] for other in self.legs if other != leg])
        call.talkers = list(self.legs)
        call.talked_at = call.talked_at or ex.wall
        call.waited = None  # served: another queue is a new wait
        ex.log(facts.Bridged(call=call.id, legs=tuple(self.legs)))
        ex.touch(call)
        ex.recording.talk_started(call, self.legs, self.agent)

    # --- hold -------------------------------------------------------------------------------------------------

    def park(self, ex: Exchange, call: Call, leg: Leg, by: Leg, on: bool) -> None:
        """Put ``leg`` on hold for ``by``, or take it back: it hears music meanwhile."""
        if leg.parked == on:
            return
        leg.parked = on
        fact = facts.Held if on else facts.Retrieved
        ex.log(fact(call=call.id, leg=by.id, device=by.device, agent=by.agent))
        ex.touch(call)

    # --- consultation -----------------------------------------------------------------------------------------

    def consult(self, ex: Exchange, call: Call, by: Leg, dial: Session) -> None:
        """``by`` calls somebody else; ``dial`` rings him. The others wait with music."""
        self.consulting = by.id
        for leg in self._others(by.id):
            self.park(ex, call, call.legs[leg], by, True)
        ex.push(call, dial)

    def consult_answered(self, ex: Exchange, call: Call, leg: Leg) -> None:
        self.consulted = leg.id
        ex.legs.establish(leg, media_from=[call.legs[self.consulting]])
        call.talkers = [*self.legs, leg.id]
        ex.log(facts.Bridged(call=call.id, legs=(self.consulting, leg.id)))
        ex.touch(call)

    def consult_failed(self, ex: Exchange, call: Call) -> None:
        """The one consulted did not answer, or is gone: back to the others."""
        by, self.consulting, self.consulted = self.consulting, "", ""
        call.talkers = list(self.legs)
        for leg in self._others(by):
            self.park(ex, call, call.legs[leg], call.legs[by], False)
        ex.touch(call)

    def alternate(self, ex: Exchange, call: Call) -> None:
        """Swap between the one consulted and the others (AlternateCall)."""
        by, consulted = call.legs[self.consulting], call.legs[self.consulted]
        swap = not consulted.parked
        self.park(ex, call, consulted, by, swap)
        for leg in self._others(by.id):
            self.park(ex, call, call.legs[leg], by, not swap)

    def join(self, ex: Exchange, call: Call) -> None:
        """Everybody hears everybody (ConferenceCall)."""
        by = self.consulting
        self.legs.append(self.consulted)
        self.consulting = self.consulted = ""
        for leg in self.legs:
            call.legs[leg].parked = False
        call.talkers = list(self.legs)
        ex.log(facts.Conferenced(call=call.id, legs=tuple(self.legs), by=by))
        ex.touch(call)

    def complete_transfer(self, ex: Exchange, call: Call) -> None:
        """The one who consulted leaves; the one consulted goes on with the others (TransferCall)."""
        by, target = call.legs[self.consulting], call.legs[self.consulted]
        self.consulting = self.consulted = ""
        self.legs.append(target.id)
        self._leave(ex, call, by, target.device, "attended")
        for leg in self.legs:
            call.legs[leg].parked = False
        call.talkers = list(self.legs)
        ex.log(facts.Bridged(call=call.id, legs=tuple(self.legs)))
        ex.touch(call)
        ex.recording.parties_changed(call)

    def adopt(self, ex: Exchange, call: Call, leaving: Leg, leg: Leg, kind: Any = "attended") -> None:
        """``leg`` takes the place of ``leaving`` (REFER with Replaces, take-over)."""
        self.legs.append(leg.id)
        self._leave(ex, call, leaving, leg.device, kind)
        for other in self.legs:
            call.legs[other].parked = False
        call.talkers = list(self.legs)
        ex.log(facts.Bridged(call=call.id, legs=tuple(self.legs)))
        ex.touch(call)
        ex.recording.parties_changed(call)

    def add(self, ex: Exchange, call: Call, leg: Leg, by: str) -> None:
        """A further party joins the conversation (single-step conference, take-over)."""
        self.legs.append(leg.id)
        ex.legs.establish(leg, media_from=[call.legs[other] for other in self.legs if other != leg.id])
        call.talkers = list(self.legs)
        ex.log(facts.Conferenced(call=call.id, legs=tuple(self.legs), by=by))
        ex.touch(call)
        ex.recording.parties_changed(call)

    def _leave(self, ex: Exchange, call: Call, leg: Leg, destination: str, kind: Any) -> None:
        ex.log(
            facts.Transferred(
                call=call.id, leg=leg.id, device=leg.device, destination=destination, kind=kind, agent=leg.agent
            )
        )
        self.legs.remove(leg.id)
        if call.anchor == leg.id:
            call.anchor = self.legs[0]
        self._release_agent(ex, leg)
        ex.legs.hangup(leg, cause=16)

    # --- blind transfer ---------------------------------------------------------------------------------------

    def transfer(self, ex: Exchange, call: Call, by: Leg, destination: str) -> bool:
        """``by`` sends the other party to ``destination`` and leaves: once somebody answers there, at once where it
        is a queue or a flow. False when ``destination`` leads nowhere or ``by`` has no single other party."""
        remaining = self._others(by.id)
        if len(remaining) != 1 or self.consulting or self.transfer_by:
            return False
        other = call.legs[remaining[0]]
        plan = ex.router.plan(call, destination, by=by.device, anchor=other, joins=True)
        if plan is None:
            return False
        call.talkers = []
        call.anchor = other.id
        self.transfer_by, self.transfer_to = by.id, destination
        ex.touch(call)
        if plan.rings:
            other.waiting = "ringback"
            ex.push(call, plan.session)
        else:
            ex.transfers.report(by, 200)
            self._leave(ex, call, by, destination, "blind")
            self._release_agent(ex, other)
            ex.replace(call, self, plan.session)
        return True

    def done(self, ex: Exchange, call: Call, result: Result) -> None:
        if self.transfer_by:
            self._transfer_done(ex, call, result)
        elif self.consulting:
            if result.kind == "answered" and result.leg:
                self.consult_answered(ex, call, call.legs[result.leg])
            else:
                self.consult_failed(ex, call)
        elif result.kind == "answered" and result.leg:
            self.add(ex, call, call.legs[result.leg], by="")

    def _transfer_done(self, ex: Exchange, call: Call, result: Result) -> None:
        by, self.transfer_by = call.legs[self.transfer_by], ""
        if result.kind == "answered" and result.leg:
            ex.transfers.report(by, 200)
            target = call.legs[result.leg]
            self.legs.append(target.id)
            if by.state != "ended":
                self._leave(ex, call, by, self.transfer_to, "blind")
            self.start(ex, call)
            ex.recording.parties_changed(call)
            return
        ex.transfers.report(by, result.status or 480)
        call.talkers = list(self.legs)
        ex.touch(call)
        if by.state == "ended":
            self._over(ex, call, by)

    # --- endings ----------------------------------------------------------------------------------------------

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        self._release_agent(ex, leg)
        if leg.id == self.consulted:
            self.consult_failed(ex, call)
            return
        self.legs.remove(leg.id)
        if leg.id == self.transfer_by:
            # Many phones hang up as soon as the REFER is accepted: the transfer goes on without them.
            ex.log(
                facts.Transferred(
                    call=call.id,
                    leg=leg.id,
                    device=leg.device,
                    destination=self.transfer_to,
                    kind="blind",
                    agent=leg.agent,
                )
            )
            return
        if leg.id == self.consulting:
            self._consultant_left(ex, call)
        if len(self.legs) >= 2:
            call.talkers = [talker for talker in call.talkers if talker != leg.id]
            if call.anchor == leg.id:
                call.anchor = self.legs[0]
            ex.touch(call)
            ex.recording.parties_changed(call)
            return
        self._over(ex, call, leg)

    def _consultant_left(self, ex: Exchange, call: Call) -> None:
        """He hung up while consulting: with somebody on the line it is a transfer, else the consultation ends."""
        self.consulting = ""
        ex.stop_above(call, self, "left")
        if self.consulted:
            self.legs.append(self.consulted)
            self.consulted = ""
            call.talkers = list(self.legs)
            if call.anchor not in self.legs:
                call.anchor = self.legs[0]
        for leg in self.legs:
            call.legs[leg].parked = False

    def _over(self, ex: Exchange, call: Call, leaver: Leg) -> None:
        call.talkers = []
        for leg in self.legs:
            self._release_agent(ex, call.legs[leg])
        ex.touch(call)
        reason = f"left by {leaver.device}"
        if leaver.id == call.anchor:
            ex.end_call(call, cause=16, reason=reason)
        else:
            ex.pop(call, self, Result(kind="completed", reason=reason, agent=self.agent))

    def _release_agent(self, ex: Exchange, leg: Leg) -> None:
        if self.item and leg.agent and leg.agent == self.agent:
            ex.agents.finished(self.agent, self.item)
            self.item = ""

    def _others(self, leg: str) -> list[str]:
        return [other for other in self.legs if other != leg]

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        for leg in self.legs:
            self._release_agent(ex, call.legs[leg])
        call.talkers = []

    def describe(self) -> dict[str, Any]:
        return {"stage": "talking", "legs": self.legs}
