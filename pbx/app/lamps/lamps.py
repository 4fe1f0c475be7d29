"""What a phone, an agent, a parking slot or a mailbox shows to who watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.call.model import Call, Leg, LegState
from pbx.sip.dialog_info import DialogState, WatchedDialog
from pbx.sip.pidf import Activity, Presence
from pbx.voicemail.model import Counts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

Told = tuple[WatchedDialog, ...] | Presence | Counts
"""The state of something watched, by its event package: dialog, presence, message-summary."""
Seen = tuple[Told, tuple[str, ...]]
"""A state, and what it depends on."""

_STATES: dict[LegState, DialogState] = {"alerting": "early", "connected": "confirmed"}
_NOTES = {
    "en": {
        "offline": "Not registered",
        "idle": "Available",
        "do_not_disturb": "Do not disturb",
        "logged_off": "Logged off",
        "ready": "Ready",
        "not_ready": "Not ready",
        "ringing": "Ringing",
        "talking": "On the phone",
        "after_call_work": "After-call work",
    },
    "zh": {
        "offline": "未注册",
        "idle": "空闲",
        "do_not_disturb": "请勿打扰",
        "logged_off": "已签出",
        "ready": "就绪",
        "not_ready": "未就绪",
        "ringing": "振铃中",
        "talking": "通话中",
        "after_call_work": "话后处理",
    },
}
_AGENT: dict[str, tuple[bool, Activity]] = {
    "logged_off": (False, ""),
    "ready": (True, ""),
    "not_ready": (True, "away"),
    "ringing": (True, "busy"),
    "talking": (True, "on-the-phone"),
    "after_call_work": (True, "busy"),
}
"""Open and doing what, by agent state."""


class Lamps:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex

    def see(self, event: str, target: str, host: str) -> Seen:
        """The state of ``target`` in an event package; ``host`` is put behind other parties' numbers."""
        ex = self._ex
        if event == "message-summary":
            return ex.message_waiting.counts(target), (f"extension:{target}",)
        configuration = ex.settings.configuration
        if event == "presence":
            return self._see_agent(target) if target in configuration.agents else self._see_phone(target)
        if target in configuration.extensions:
            return self._see_dialogs(f"extension:{target}", host), (f"extension:{target}",)
        if target in configuration.agents:
            device = ex.agents.device_of(target)
            return self._see_dialogs(device, host), (f"agent:{target}", device)
        return self._see_slot(target, host), (f"park:{target}",)

    # --- dialogs ----------------------------------------------------------------------------------------------

    def _see_dialogs(self, device: str, host: str) -> tuple[WatchedDialog, ...]:
        ex = self._ex
        found = [ex.find(leg) for leg in ex.device_legs.of(device)]
        return tuple(self._see_leg(*entry, host) for entry in found if entry is not None)

    def _see_leg(self, call: Call, leg: Leg, host: str) -> WatchedDialog:
        """A leg from the phone's side: what comes in to us was begun by the phone."""
        call_id, our_tag, phone_tag = self._ex.stack.get_dialog(leg.id) or ("", "", "")
        began = leg.direction == "in"
        number, name = (call.called, "") if began else (call.caller, call.caller_name)
        return WatchedDialog(
            id=leg.id,
            state=_STATES.get(leg.state, "trying"),
            direction="initiator" if began else "recipient",
            call_id=call_id,
            local_tag=phone_tag,
            remote_tag=our_tag,
            remote=f"sip:{number}@{host}" if number else "",
            remote_name=name,
            on_hold=leg.held,
        )

    def _see_slot(self, slot: str, host: str) -> tuple[WatchedDialog, ...]:
        """A parking slot is a phone that talks to who waits in it."""
        found = self._ex.features.parked().get(slot)
        if found is None:
            return ()
        call, session = found
        return (
            WatchedDialog(
                id=session.anchor,
                state="confirmed",
                direction="recipient",
                remote=f"sip:{call.caller}@{host}" if call.caller else "",
                remote_name=call.caller_name,
            ),
        )

    # --- presence ---------------------------------------------------------------------------------------------

    def _note(self, name: str) -> str:
        return _NOTES["zh" if self._ex.settings.language == "zh" else "en"][name]

    def _see_agent(self, agent: str) -> Seen:
        ex = self._ex
        view = ex.acd.view_agent(agent)
        is_open, activity = _AGENT[view.state]
        note = self._note(view.state)
        if view.state == "not_ready" and view.reason:
            reason = ex.settings.configuration.not_ready_reasons.get(view.reason)
            note = reason.title if reason is not None else view.reason
        presence = Presence(open=is_open and view.device_available, activity=activity, note=note)
        return presence, (f"agent:{agent}", view.device) if view.device else (f"agent:{agent}",)

    def _see_phone(self, number: str) -> Seen:
        """The agent who is logged on at a phone speaks for it."""
        ex = self._ex
        device = f"extension:{number}"
        agent = ex.acd.agent_at(device)
        if agent:
            presence, subjects = self._see_agent(agent)
            return presence, tuple(dict.fromkeys((device, *subjects)))
        usual = ex.settings.agents_by_extension.get(number, "")
        subjects = (device, f"agent:{usual}") if usual else (device,)
        live = {found[1].state for leg in ex.device_legs.of(device) if (found := ex.find(leg)) is not None}
        if not ex.registrar.contacts(number, ex.now):
            return Presence(open=False, note=self._note("offline")), subjects
        if "connected" in live:
            return Presence(open=True, activity="on-the-phone", note=self._note("talking")), subjects
        if ex.features.extension_state(number).do_not_disturb:
            return Presence(open=False, activity="busy", note=self._note("do_not_disturb")), subjects
        if live:
            return Presence(open=True, activity="busy", note=self._note("ringing")), subjects
        return Presence(open=True, note=self._note("idle")), subjects
