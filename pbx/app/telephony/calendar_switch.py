"""Calendars switched by hand: by feature code with a PIN, or by a flow. A restart forgets neither switch nor lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from pbx.app.outputs import Checkpoint
from pbx.config.calendars import Calendar
from pbx.core.lockout import Lockout
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

KEY = "@calendar "
"""Begins the names of these states among what is written down."""
State = Literal["open", "closed", "holiday", "auto"]


class Hand(Lockout, frozen=True, kw_only=True):
    """What hands did to a calendar."""

    state: State = "auto"


_UNTOUCHED = Hand()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Hand).decode


class CalendarSwitch:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._hands: dict[str, Hand] = {}

    def override(self, calendar: str, state: State) -> None:
        """``calendar`` is in ``state`` until somebody says otherwise; ``auto``: it follows its hours again."""
        self._ex.settings.override(calendar, state)
        self._ex.hours.look()
        self._keep(calendar, msgspec.structs.replace(self._read(calendar), state=state))

    def press(self, digit: str, pin: str, user: str) -> Literal["closed", "open", ""]:
        """The feature code: an open calendar closes, one switched by hand follows its hours again.

        Empty: there is no such calendar, the PIN is wrong, or too many were.
        """
        ex = self._ex
        calendar = next((e for e in ex.settings.configuration.calendars.values() if e.digit == digit), None)
        if calendar is None or not self._is_admitted(calendar, pin, user):
            return ""
        closing = not ex.settings.is_overridden(calendar.name)
        self.override(calendar.name, "closed" if closing else "auto")
        self._audit(calendar.name, user, "calendar switched", "closed by hand" if closing else "follows its hours")
        return "closed" if closing else "open"

    def _is_admitted(self, calendar: Calendar, pin: str, user: str) -> bool:
        if calendar.pin is None or not pin:
            return False
        ex = self._ex
        before = self._read(calendar.name)
        if before.is_locked(ex.wall):
            return False
        fits = ex.same_secret(pin, ex.settings.reveal(calendar.pin))
        after = before.after(fits, ex.wall, calendar.pin_attempts, calendar.pin_lock)
        self._keep(calendar.name, after)
        if after.locked_until:
            self._audit(calendar.name, user, "calendar switch locked", f"{after.wrong} wrong PINs")
        return fits

    def _audit(self, calendar: str, user: str, action: str, detail: str) -> None:
        self._ex.log(facts.AuditEntry(user=user, action=action, object=f"calendar:{calendar}", detail=detail))

    # --- configuration and restart ----------------------------------------------------------------------------

    def configure(self) -> None:
        """Settings have changed: what was switched by hand stays so, what is no calendar any more is forgotten."""
        calendars = self._ex.settings.configuration.calendars
        for name, hand in list(self._hands.items()):
            if name in calendars:
                self._ex.settings.override(name, hand.state)
            else:
                self._keep(name, _UNTOUCHED)

    def take_over(self, kept: Mapping[str, bytes]) -> None:
        """At start: what was switched before. Raises nothing; what cannot be read is told and left."""
        for key, state in kept.items():
            if not key.startswith(KEY):
                continue
            name = key.removeprefix(KEY)
            try:
                self._hands[name] = _decode(state)
            except msgspec.MsgspecError as error:
                self._ex.note("error", "a calendar's switch cannot be read", calendar=name, error=str(error))
        self.configure()

    def _read(self, calendar: str) -> Hand:
        return self._hands.get(calendar, _UNTOUCHED)

    def _keep(self, calendar: str, hand: Hand) -> None:
        if hand == self._read(calendar):
            return
        if hand == _UNTOUCHED:
            del self._hands[calendar]
        else:
            self._hands[calendar] = hand
        self._ex.out.append(Checkpoint(KEY + calendar, b"" if hand == _UNTOUCHED else _encode(hand)))
