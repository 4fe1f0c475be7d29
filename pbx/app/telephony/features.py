"""Feature codes, and what each phone's user has switched on: do-not-disturb, forwarding."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from media.protocol import PlayFinished, PlayItem
from pbx.app.outputs import Checkpoint
from pbx.app.sessions.base import Session
from pbx.app.sessions.dial import Dial
from pbx.app.sessions.flow import FlowSession
from pbx.app.sessions.parked import Parked
from pbx.app.sessions.room import Room
from pbx.app.telephony.router import Plan
from pbx.app.voicemail.destination import PREFIX, find_box
from pbx.call.model import Call, Leg
from pbx.call.routing import Feature
from pbx.core.destination import Destination
from pbx.events import catalogue as facts
from pbx.ivr.speech import language as spoken_forms

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


MENUS = "voicemail"
"""The flow with the menus of mailboxes."""


class ExtensionState(msgspec.Struct):
    """What the user of an extension chose, over what the configuration says."""

    do_not_disturb: bool = False
    always: str = ""
    busy: str = ""
    no_answer: str = ""
    unreachable: str = ""


KEY = "@phone-"
"""Begins the names of these states among what is written down."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ExtensionState).decode


class Announcement(Session, kw_only=True):
    """Answers, says something, hangs up."""

    anchor: str
    items: list[Any]

    def start(self, ex: Exchange, call: Call) -> None:
        leg = call.legs[self.anchor]
        ex.legs.answer(leg)
        items: tuple[PlayItem, ...] = tuple(self.items)
        ex.play(call, leg, items, session=self)

    def play_finished(self, ex: Exchange, call: Call, leg: Leg, event: PlayFinished) -> None:
        ex.end_call(call, cause=16, reason="announcement finished")

    def resume(self, ex: Exchange, call: Call) -> None:
        ex.end_call(call, cause=16, reason="server restarted")

    def describe(self) -> dict[str, Any]:
        return {"stage": "announcement"}


class Features:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._extensions: dict[str, ExtensionState] = {}

    def extension_state(self, number: str) -> ExtensionState:
        state = self._extensions.get(number)
        if state is None:
            forwards = self._ex.settings.configuration.extensions[number].forwards
            state = self._extensions[number] = ExtensionState(
                always=str(forwards.always or ""),
                busy=str(forwards.busy or ""),
                no_answer=str(forwards.no_answer or ""),
                unreachable=str(forwards.unreachable or ""),
            )
        return state

    def plan(self, call: Call, target: Destination, anchor: Leg, by: str) -> Plan | None:
        """Destinations that are features. None: there is no such, or the call is over already."""
        if target.kind == "park":
            return self._plan_parking(call, target.name, anchor, by)
        if target.kind == "conference":
            return self._plan_room(call, target.name, anchor)
        if target.kind == "voicemail" and find_box(self._ex.settings.configuration, target.name) is not None:
            key = self._ex.ids.token("f")
            return Plan(FlowSession(call=call.id, flow=f"{PREFIX}{target.name}", anchor=anchor.id, key=key), False)
        return None

    # --- parking ----------------------------------------------------------------------------------------------

    def _plan_parking(self, call: Call, slot: str, anchor: Leg, by: str) -> Plan | None:
        """Park the anchor in ``slot``, in any free one where it is empty, or fetch who waits there."""
        parked = self.parked()
        free = [number for number in self._ex.settings.configuration.routes.parking.slots if number not in parked]
        if slot in parked:
            if anchor.id not in call.talkers:
                self._ex.transfers.fetch(call, anchor, *parked[slot])
            return None
        if slot not in free and (slot or not free):
            return None
        device = by if by.startswith("extension:") else ""
        return Plan(Parked(call=call.id, anchor=anchor.id, slot=slot or free[0], parked_by=device), False)

    def parked(self) -> dict[str, tuple[Call, Parked]]:
        """Who waits in which slot."""
        found: dict[str, tuple[Call, Parked]] = {}
        for call_id, sessions in self._ex.sessions.items():
            for session in sessions:
                if isinstance(session, Parked):
                    found[session.slot] = (self._ex.calls[call_id], session)
        return found

    # --- conference -------------------------------------------------------------------------------------------

    def _plan_room(self, call: Call, number: str, anchor: Leg) -> Plan | None:
        """The first one's call becomes the room; the others' legs move into it."""
        ex = self._ex
        configured = ex.settings.configuration.routes.conferences
        entry = next((room for room in configured if room.number == number), None)
        if entry is None or anchor.id in call.talkers:
            return None
        for name, sessions in ex.sessions.items():
            for session in sessions:
                if isinstance(session, Room) and session.number == number:
                    if len(session.legs) < entry.max_members:
                        ex.transfers.enter(call, anchor, ex.calls[name], session)
                    return None
        return Plan(Room(call=call.id, legs=[anchor.id], number=number), False)

    # --- pickup -----------------------------------------------------------------------------------------------

    def _take_ringing(self, call: Call, leg: Leg, feature: Feature) -> bool:
        """A pickup code: ``leg`` answers a phone that rings. False where none does."""
        extensions = self._ex.settings.configuration.extensions
        own = extensions.get(leg.device.partition(":")[2])
        if feature.code == "pickup":
            devices = {f"extension:{feature.argument}"}
        elif own is None or own.pickup_group is None:
            return False
        else:
            group = own.pickup_group
            devices = {f"extension:{entry.number}" for entry in extensions.values() if entry.pickup_group == group}
        for other in self._ex.calls.values():
            for ringing in other.legs.values():
                if ringing.state != "alerting" or ringing.device not in devices or ringing.id == leg.id:
                    continue
                if isinstance(self._ex.owner(other, ringing.id), Dial):
                    self._ex.transfers.replaced(call, leg, ringing.id)
                    return self._ex.transfers.take_replacement(call, leg)
        return False

    # --- codes ------------------------------------------------------------------------------------------------

    def dialled(self, call: Call, leg: Leg, feature: Feature) -> None:
        """``leg`` dialled a feature code: do it and say so, or say that it cannot be."""
        if feature.code in ("pickup", "pickup_group") and self._take_ringing(call, leg, feature):
            return
        if feature.code == "voicemail" and self._open_mailbox(call, leg, feature.argument):
            return
        extension = leg.device.partition(":")[2]
        action = getattr(self, f"_{feature.code}", None)
        said = action(call, leg, extension, feature.argument) if action is not None else None
        if said is None:
            said = self._ex.announcer.say("refused", call.language)
        self._ex.push(call, Announcement(call=call.id, anchor=leg.id, items=list(said)))

    def _open_mailbox(self, call: Call, leg: Leg, mailbox: str) -> bool:
        """``*97``: the menus of the own mailbox, or of another one. False where their flow is missing."""
        if MENUS not in self._ex.flows.library:
            return False
        call.data["mailbox"] = mailbox or leg.device.partition(":")[2]
        self._ex.push(call, FlowSession(call=call.id, flow=MENUS, anchor=leg.id, key=self._ex.ids.token("f")))
        return True

    def _agent_at(self, extension: str) -> str:
        return self._ex.acd.agent_at(f"extension:{extension}") or self._ex.settings.agents_by_extension.get(
            extension, ""
        )

    def _done(self, call: Call, refused: str, name: str) -> tuple[PlayItem, ...] | None:
        if refused:
            self._ex.note("info", "feature code refused", call.id, reason=refused)
            return None
        return self._ex.announcer.say(name, call.language)

    def _login(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        """``*31`` at the own phone; ``*31AGENT*PIN`` at any other."""
        own = self._ex.settings.agents_by_extension.get(extension, "")
        agent, _, pin = argument.partition("*")
        agent = agent or own
        if not agent or (agent != own and not self._ex.login_pin.fits(agent, pin, leg.device)):
            return None
        refused = self._ex.agents.log_on(agent, leg.device, ready=True)
        return self._done(call, refused, "logged_on")

    def _logout(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        return self._done(call, self._ex.agents.log_off(self._agent_at(extension)), "logged_off")

    def _ready(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        refused = self._ex.agents.set_state(self._agent_at(extension), "ready", "")
        return self._done(call, refused, "ready")

    def _not_ready(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        reasons = self._ex.settings.configuration.not_ready_reasons
        reason = next((entry.code for entry in reasons.values() if entry.digit and entry.digit == argument), argument)
        if not reason and reasons:
            reason = next(iter(reasons))
        refused = self._ex.agents.set_state(self._agent_at(extension), "not_ready", reason)
        return self._done(call, refused, "not_ready")

    def _after_call_work_end(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        return self._done(call, self._ex.agents.wrap_up(self._agent_at(extension)), "after_call_work_end")

    def _do_not_disturb_on(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        if not self._ex.settings.configuration.extensions[extension].do_not_disturb:
            return None
        self.set_do_not_disturb(extension, True)
        return self._ex.announcer.say("do_not_disturb_on", call.language)

    def _do_not_disturb_off(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        self.set_do_not_disturb(extension, False)
        return self._ex.announcer.say("do_not_disturb_off", call.language)

    def set_do_not_disturb(self, extension: str, on: bool) -> None:
        self.extension_state(extension).do_not_disturb = on
        self._keep(extension)
        self._ex.log(facts.DoNotDisturb(device=f"extension:{extension}", on=on))

    def _forward_always(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        return self._forward(call, extension, "always", argument)

    def _forward_busy(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        return self._forward(call, extension, "busy", argument)

    def _forward_no_answer(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        return self._forward(call, extension, "no_answer", argument)

    def _forward(self, call: Call, extension: str, when: str, argument: str) -> tuple[PlayItem, ...] | None:
        self.set_forward(extension, when, f"number:{argument}" if argument else "")
        return self._ex.announcer.say("forward_set" if argument else "forward_off", call.language)

    def set_forward(self, extension: str, when: str, destination: str) -> None:
        setattr(self.extension_state(extension), when, destination)
        self._keep(extension)
        self._ex.log(
            facts.Forwarding(device=f"extension:{extension}", when=when, destination=destination)  # type: ignore[arg-type]
        )

    def _keep(self, extension: str) -> None:
        self._ex.out.append(Checkpoint(KEY + extension, _encode(self.extension_state(extension))))

    def take_over(self, kept: Mapping[str, bytes]) -> None:
        """At start: what users chose before."""
        ex = self._ex
        for name, state in kept.items():
            if not name.startswith(KEY):
                continue
            extension = name.removeprefix(KEY)
            try:
                chosen = _decode(state)
            except msgspec.MsgspecError as error:
                ex.note("error", "what the user of a phone chose cannot be read", extension=extension, error=str(error))
                continue
            if extension in ex.settings.configuration.extensions:
                self._extensions[extension] = chosen
            else:
                ex.out.append(Checkpoint(name, b""))

    def _calendar_switch(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        """``*55DIGIT*PIN``: an open calendar closes by hand, a closed one follows its hours again."""
        digit, _, pin = argument.partition("*")
        state = self._ex.calendar_switch.press(digit, pin, leg.device)
        return self._ex.announcer.say(f"calendar_{state}", call.language) if state else None

    def _clock(self, call: Call, leg: Leg, extension: str, argument: str) -> tuple[PlayItem, ...] | None:
        zone = ZoneInfo(self._ex.settings.configuration.locale.timezone)
        moment = datetime.fromtimestamp(self._ex.wall, UTC).astimezone(zone)
        forms = spoken_forms(call.language if call.language in ("en", "zh") else "en")
        return self._ex.announcer.say(
            "clock",
            call.language,
            number=forms.digits(extension),
            date=forms.date(moment.date()),
            time=forms.time(moment.time()),
        )
