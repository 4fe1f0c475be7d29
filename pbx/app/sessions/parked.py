"""A caller waits in a parking slot until somebody dials its number, or it is time to go back to who parked him."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pbx.app.sessions.base import Session
from pbx.app.sessions.talk import Talk
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg


class Parked(Session, kw_only=True):
    """Serves the anchor with music."""

    anchor: str
    slot: str
    parked_by: str = ""
    """Device that parked the call; empty: nobody to go back to."""
    until: float = 0.0
    """Wall clock when he is sent back; 0: never."""

    def start(self, ex: Exchange, call: Call) -> None:
        parking = ex.settings.configuration.routes.parking
        anchor = call.legs[self.anchor]
        ex.legs.answer(anchor)
        anchor.waiting = f"music:{parking.music}"
        if parking.timeout:
            self.until = ex.wall + parking.timeout
            ex.set_timer(call, self, "return", parking.timeout)
        ex.log(facts.CallInformation(call=call.id, data={"parked_at": self.slot}))
        ex.watchers.changed(f"park:{self.slot}")
        ex.touch(call)

    def pick_up(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """``leg``, which is in the call already, dialled the slot: the two talk."""
        call.legs[self.anchor].waiting = ""
        ex.watchers.changed(f"park:{self.slot}")
        ex.replace(call, self, Talk(call=call.id, legs=[self.anchor, leg.id]))

    def stop(self, ex: Exchange, call: Call, reason: str) -> None:
        ex.watchers.changed(f"park:{self.slot}")

    def timer(self, ex: Exchange, call: Call, name: str) -> None:
        ex.watchers.changed(f"park:{self.slot}")
        anchor = call.legs[self.anchor]
        anchor.waiting = ""
        plan = ex.router.plan(call, self.parked_by, by="", anchor=anchor) if self.parked_by else None
        if plan is not None:
            ex.replace(call, self, plan.session)
        elif call.id not in ex.ending:
            ex.end_call(call, cause=19, reason="nobody fetched the parked call")

    def resume(self, ex: Exchange, call: Call) -> None:
        if self.until:
            ex.set_timer(call, self, "return", max(0.0, self.until - ex.wall))

    def describe(self) -> dict[str, Any]:
        return {"stage": "parked", "slot": self.slot}
