"""Commands that park a call, or take one from a phone that rings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pbx.app.desk.refusal import Refusal
from pbx.app.sessions.dial import Dial
from pbx.app.sessions.parked import Parked
from pbx.call.model import Call
from pbx.cti import commands as cti
from pbx.cti.actor import Actor

if TYPE_CHECKING:
    from pbx.app.desk.desk import Desk


def _park(desk: Desk, actor: Actor, command: cti.ParkCall) -> dict[str, Any]:
    call, leg, talk = desk.own_talk(actor, command)
    if not talk.transfer(desk.ex, call, leg, f"park:{command.slot}"):
        raise Refusal("wrong_state", f"the slot {command.slot} is not free" if command.slot else "no slot is free")
    session = desk.ex.top(call)
    return {"slot": session.slot} if isinstance(session, Parked) else {}


def _pick_up(desk: Desk, actor: Actor, command: cti.DirectedPickupCall) -> None:
    """As by the phones' pickup code anybody may take what rings at a named phone; a call is named by those who may
    act on it."""
    ex = desk.ex
    to = desk.device(actor, command.to)
    wanted = command.device if ":" in command.device else f"extension:{command.device}"
    calls = [desk.call(actor, command.call)] if command.call else list(ex.calls.values())
    found = next((found for call in calls if (found := _find_ringing(desk, call, wanted, not command.device))), None)
    if found is None:
        raise Refusal("wrong_state", "nothing rings there that can be picked up")
    call, dial = found
    dial.deflect(ex, call, to)


def _find_ringing(desk: Desk, call: Call, device: str, anywhere: bool) -> tuple[Call, Dial] | None:
    for leg in call.legs.values():
        session = desk.ex.owner(call, leg.id)
        if leg.state == "alerting" and (anywhere or leg.device == device) and isinstance(session, Dial):
            return call, session
    return None


ACTIONS: dict[type, Callable[..., Any]] = {cti.ParkCall: _park, cti.DirectedPickupCall: _pick_up}
