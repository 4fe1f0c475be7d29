"""Limits on outside calls: asks the toll guard before a call, tells it what became of it, ends what outgrows a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from pbx.app.telephony.edge import make_toll_limits
from pbx.call.model import Call
from pbx.call.routing import External
from pbx.config.model import Configuration
from pbx.core.timers import Deadline
from pbx.events import catalogue as facts
from pbx.sip.commands import Hangup
from pbx.sip.events import Output
from pbx.sip.tollfraud import DayUse, TollAlarm, TollExceeded, TollGuard

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

_TRUNK = "trunk:"


class TollDesk:
    """The account of an outside call is the device that dialled, forwarded or transferred it.

    A call that comes from a trunk and goes out again by configuration counts for no extension; only countries bind it.
    """

    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        configuration = ex.settings.configuration
        self.guard = TollGuard(make_toll_limits(configuration), configuration.locale.country)
        self._allowed: dict[str, tuple[str, float]] = {}
        """Calls that may go out: device on whose account, and cost per minute."""
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Limits of another configuration; what was used today stays used."""
        limits = make_toll_limits(configuration)
        free = msgspec.structs.replace(limits, calls_per_minute=0, concurrent=0, minutes_per_day=0, spend_per_day=0.0)
        self._zone = ZoneInfo(configuration.locale.timezone)
        self._calendar = configuration.toll_fraud.calendar
        per_party = {f"{_TRUNK}{name}": free for name in configuration.trunks}
        self.guard.configure(limits, configuration.locale.country, per_party=per_party)

    def uses(self) -> list[DayUse]:
        """What was used today, to be kept over a restart."""
        return self.guard.uses(self._day())

    def check(self, device: str, external: External, call: Call) -> str | None:
        """Why ``device`` may not call ``external`` now, or None. Emergency calls never get here."""
        ex = self._ex
        is_open = self._calendar is None or ex.settings.calendar_state(self._calendar, ex.wall)[0] == "open"
        reason, outputs = self.guard.check((device,), external.number, ex.now, self._day(), open=is_open)
        self._report(outputs)
        if reason:
            return reason
        cost = external.route.cost_per_minute if external.route is not None else 0.0
        self._allowed[call.id] = (device, cost)
        return None

    def note(self, fact: facts.AnyEvent) -> None:
        """Follow the legs to trunks of calls that were allowed out."""
        ex = self._ex
        if isinstance(fact, facts.Originated):
            allowed = self._allowed.get(fact.call)
            if allowed is not None and fact.device.startswith(_TRUNK):
                device, cost = allowed
                self._report(self.guard.started(fact.leg, (device,), ex.now, self._day(), cost_per_minute=cost))
        elif isinstance(fact, facts.Established):
            self.guard.answered(fact.leg, ex.now)
        elif isinstance(fact, facts.Failed | facts.ConnectionCleared):
            self._report(self.guard.ended(fact.leg, ex.now, self._day()))
        elif isinstance(fact, facts.CallCleared):
            self._allowed.pop(fact.call, None)

    def expire(self, now: float) -> None:
        """End calls of those who have used up their day."""
        outputs = self.guard.expire(now, self._day())
        self._report(outputs)
        for output in outputs:
            if isinstance(output, TollExceeded):
                self._ex.sip(Hangup(leg=output.call, cause=31, reason="daily limit reached"))

    def next_deadline(self) -> Deadline | None:
        return self.guard.next_deadline()

    def _day(self) -> str:
        return datetime.fromtimestamp(self._ex.wall, self._zone).date().isoformat()

    def _report(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, TollAlarm):
                used = f"{output.used:g} of {output.allowed:g}" if output.allowed else ""
                detail = " ".join(part for part in (output.limit, used, output.detail) if part)
                what = "toll_limit" if output.blocked else "toll_warning"
                self._ex.log(facts.SecurityAlert(what=what, address=output.party, detail=detail))
