"""Transfers that phones ask for: REFER, with and without Replaces, and INVITE with Replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.app.sessions.dial import Dial
from pbx.app.sessions.parked import Parked
from pbx.app.sessions.room import Room
from pbx.app.sessions.talk import Talk
from pbx.call.model import Call, Leg
from pbx.events import catalogue as facts
from pbx.sip import commands, events

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class Transfers:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._asked: set[str] = set()
        """Legs that sent a REFER and wait to hear how it goes."""
        self._replacing: dict[str, str] = {}
        """New incoming legs, and the leg each is to replace."""

    # --- REFER ------------------------------------------------------------------------------------------------

    def refer(self, call: Call, leg: Leg, event: events.Refer) -> None:
        ex = self._ex
        talk = ex.owner(call, leg.id)
        if not isinstance(talk, Talk) or leg.id not in talk.legs:
            ex.sip(commands.AnswerRefer(leg=leg.id, status=403))
            return
        if event.replaces:
            self._attended(call, leg, talk, event)
            return
        ex.sip(commands.AnswerRefer(leg=leg.id, status=202))
        self._asked.add(leg.id)
        if not talk.transfer(ex, call, leg, f"number:{event.target_user}"):
            self.report(leg, 404)

    def report(self, leg: Leg, status: int) -> None:
        """Tell the one who asked how his transfer ended."""
        if leg.id in self._asked:
            self._asked.discard(leg.id)
            if leg.state != "ended":
                self._ex.sip(commands.NotifyRefer(leg=leg.id, status=status))

    def _attended(self, call: Call, leg: Leg, talk: Talk, event: events.Refer) -> None:
        """The phone has two calls and joins their far ends."""
        ex = self._ex
        found = ex.find(event.replaces)
        other = ex.owner(found[0], found[1].id) if found is not None else None
        if found is None or other is None or found[0] is call and found[1] is leg:
            ex.sip(commands.AnswerRefer(leg=leg.id, status=481))
            return
        ex.sip(commands.AnswerRefer(leg=leg.id, status=202))
        self._asked.add(leg.id)
        if self.join(call, leg, talk, *found):
            self.report(leg, 200)
        else:
            self.report(leg, 480)

    def join(self, call: Call, leg: Leg, talk: Talk, other_call: Call, other_leg: Leg) -> bool:
        """Connect the partner of ``leg`` with the partner of ``other_leg``, which belongs to the same phone."""
        ex = self._ex
        other_talk = ex.owner(other_call, other_leg.id) or ex.top(other_call)
        if isinstance(other_talk, Talk) and len(other_talk.legs) == 2:
            target = next(name for name in other_talk.legs if name != other_leg.id)
            moved = self._move(other_call, other_call.legs[target], call)
            talk.adopt(ex, call, leg, moved)
            ex.end_call(other_call, cause=16, reason="transferred")
            return True
        if isinstance(other_talk, Dial):
            # Still ringing: the transfer becomes a blind one to the same party.
            destination = other_talk.destination
            ex.end_call(other_call, cause=16, reason="transferred")
            return talk.transfer(ex, call, leg, destination)
        return False

    def _move(self, source: Call, leg: Leg, target: Call) -> Leg:
        """Take ``leg`` out of its call into another on the same gateway; its dialog and media stay as they are."""
        ex = self._ex
        session = ex.owner(source, leg.id)
        if isinstance(session, Talk):
            session.legs.remove(leg.id)
        source.talkers = [name for name in source.talkers if name != leg.id]
        del source.legs[leg.id]
        leg.call = target.id
        target.legs[leg.id] = leg
        ex.leg_calls[leg.id] = target.id
        ex.log(facts.Diverted(call=source.id, device=leg.device, destination=f"call:{target.id}", reason="deflected"))
        for recording in [note.id for note in source.recordings.values() if note.leg == leg.id]:
            note = source.recordings.pop(recording)
            target.recordings[recording] = note
            ex.recording.adopt(target)
        ex.touch(source)
        ex.touch(target)
        return leg

    def fetch(self, call: Call, leg: Leg, other_call: Call, parked: Parked) -> None:
        """``leg`` dialled the slot where ``other_call`` is parked."""
        moved = self._move(call, leg, other_call)
        parked.pick_up(self._ex, other_call, moved)
        self._ex.end_call(call, cause=16, reason="fetched a parked call", outcome="answered")

    def enter(self, call: Call, leg: Leg, other_call: Call, room: Room) -> None:
        """``leg`` dialled the conference room that ``other_call`` is."""
        moved = self._move(call, leg, other_call)
        room.enter(self._ex, other_call, moved)
        self._ex.end_call(call, cause=16, reason="entered a conference room", outcome="answered")

    # --- INVITE with Replaces ---------------------------------------------------------------------------------

    def replaced(self, call: Call, leg: Leg, replaces: str) -> None:
        """A new incoming leg is to take the place of ``replaces`` once its media is open."""
        self._replacing[leg.id] = replaces

    def take_replacement(self, call: Call, leg: Leg) -> bool:
        """True where the new leg replaced another one (RFC 3891), or could not and was refused."""
        ex = self._ex
        replaces = self._replacing.pop(leg.id, "")
        if not replaces:
            return False
        found = ex.find(replaces)
        if found is None or found[1].state == "ended":
            ex.end_call(call, status=481, cause=31, reason="the call to be replaced is gone")
            return True
        other_call, other_leg = found
        session = ex.owner(other_call, other_leg.id)
        if isinstance(session, Talk):
            moved = self._move(call, leg, other_call)
            session.legs.append(moved.id)
            ex.legs.establish(moved, [other_call.legs[name] for name in session.legs if name != moved.id])
            session.legs.remove(moved.id)
            session.adopt(ex, other_call, other_leg, moved)
        elif isinstance(session, Dial):
            moved = self._move(call, leg, other_call)
            session.pick_up(ex, other_call, moved)
        else:
            ex.end_call(call, status=481, cause=31, reason="the call to be replaced cannot be")
            return True
        ex.end_call(call, cause=16, reason="replaced another leg")
        return True
