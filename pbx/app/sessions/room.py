"""A conference room: one call that others' legs are moved into, alive while somebody is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from media.protocol import Tone
from pbx.app.sessions.talk import Talk
from pbx.events import catalogue as facts
from pbx.sip.events import Ended

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.call.model import Call, Leg

_BEEP = Tone(spec="880/120/0", duration_ms=120, level_db=-24.0)


class Room(Talk, kw_only=True):
    """The conversation of everybody who dialled the room. The first one's call becomes the room."""

    number: str

    def start(self, ex: Exchange, call: Call) -> None:
        for leg in self.legs:
            ex.legs.answer(call.legs[leg])
        call.talked_at = call.talked_at or ex.wall
        self._rearrange(ex, call)

    def enter(self, ex: Exchange, call: Call, leg: Leg) -> None:
        """One more, with a beep for those who are in."""
        ex.legs.answer(leg, call.legs[self.legs[0]] if self.legs else None)
        for member in self.legs:
            ex.play(call, call.legs[member], (_BEEP,), session=self, mix=True)
        self.legs.append(leg.id)
        ex.log(facts.Conferenced(call=call.id, legs=tuple(self.legs), by=leg.device))
        self._rearrange(ex, call)

    def _rearrange(self, ex: Exchange, call: Call) -> None:
        """Who is alone hears music."""
        alone = len(self.legs) == 1
        call.talkers = [] if alone else list(self.legs)
        for leg in self.legs:
            call.legs[leg].waiting = f"music:{ex.settings.hold_music}" if alone else ""
        ex.touch(call)

    def ended(self, ex: Exchange, call: Call, leg: Leg, event: Ended) -> None:
        self.legs.remove(leg.id)
        if not self.legs:
            ex.end_call(call, cause=16, reason="the room is empty")
            return
        if call.anchor == leg.id:
            call.anchor = self.legs[0]
        self._rearrange(ex, call)

    def describe(self) -> dict[str, Any]:
        return {"stage": "conference", "room": self.number, "legs": self.legs}
