"""Limits on calls to the outside, per extension and per trunk, against stolen passwords and forgotten forwards.

Pure: it is asked before a call is made (``check``), told how calls go (``started``, ``answered``, ``ended``), and says
which calls in progress have used up a day's limit (``expire``). Emergency calls pass everything and are not counted.
A *party* is whatever is limited: ``extension:1001``, ``trunk:carrier``. A *day* is any text that changes at midnight of
the place the call centre is in; the shell knows the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
import phonenumbers

from pbx.core.timers import Deadline, Timers

from .events import Output

LimitName = Literal["calls_per_minute", "concurrent", "minutes_per_day", "spend_per_day", "country", "hours"]
_WINDOW = 60.0


class TollLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one party; 0 and empty: none."""

    calls_per_minute: int = 20
    concurrent: int = 4
    minutes_per_day: int = 600
    spend_per_day: float = 0.0
    """In the currency of ``cost_per_minute``."""
    countries: tuple[str, ...] = ()
    """ISO 3166 codes that may be called; numbers of no country (freephone abroad, satellites) need ``001``."""
    alarm_at: float = 80.0
    """Percentage of a limit at which a ``TollAlarm`` is raised."""


class TollAlarm(Output, frozen=True, kw_only=True):
    """So much of a limit is used; once per party, limit and day, and again when it refuses or ends calls."""

    party: str
    limit: LimitName
    used: float
    allowed: float
    blocked: bool
    """A call was refused or ended because of it."""
    detail: str = ""


class TollExceeded(Output, frozen=True, kw_only=True):
    """A call in progress must end: the day's limit of a party is used up."""

    call: str
    party: str
    limit: LimitName


class DayUse(msgspec.Struct, frozen=True):
    """What a party has used of a day; for keeping over a restart."""

    party: str
    day: str
    seconds: float
    spend: float


class _Call:
    __slots__ = ("answered_at", "cost_per_minute", "parties")

    def __init__(self, parties: tuple[str, ...], cost_per_minute: float) -> None:
        self.parties = parties
        self.cost_per_minute = cost_per_minute
        self.answered_at: float | None = None


class _Party:
    __slots__ = ("alarmed", "calls", "day", "seconds", "spend", "starts")

    def __init__(self) -> None:
        self.calls: dict[str, None] = {}
        self.starts: deque[float] = deque()
        self.day = ""
        self.seconds = 0.0
        self.spend = 0.0
        self.alarmed: set[LimitName] = set()


class TollGuard:
    """Counts and refuses. ``country`` (ISO 3166) reads numbers written without a country code."""

    def __init__(
        self, limits: TollLimits, country: str, *, per_party: Mapping[str, TollLimits | None] | None = None
    ) -> None:
        self._parties: dict[str, _Party] = {}
        self._calls: dict[str, _Call] = {}
        self._timers: Timers[str] = Timers()
        self.configure(limits, country, per_party=per_party)

    def configure(
        self, limits: TollLimits, country: str, *, per_party: Mapping[str, TollLimits | None] | None = None
    ) -> None:
        """New limits; what was used today stays used. ``per_party`` overrides, None frees a party of all limits."""
        self._limits = limits
        self._country = country
        self._per_party = dict(per_party or {})

    # --- asking -------------------------------------------------------------------------------------------------------

    def check(
        self, parties: Sequence[str], number: str, now: float, day: str, *, emergency: bool = False, open: bool = True
    ) -> tuple[str, list[Output]]:
        """May a call to ``number`` be made on account of ``parties``? Empty text: yes, else the reason; and alarms.

        ``open``: whether the calendar of outside calls is open.
        """
        if emergency:
            return "", []
        outputs: list[Output] = []
        for party in parties:
            limits = self._limits_of(party)
            if limits is None:
                continue
            state = self._get(party, day)
            found = self._find_breach(limits, state, number, now, open)
            if found is not None:
                limit, used, allowed, reason = found
                outputs += self._alarm(party, state, limit, used, allowed, reason, blocked=True)
                return f"{reason} ({party})", outputs
        return "", outputs

    def uses(self, day: str) -> list[DayUse]:
        """What was used today, for pages and for storage."""
        return [DayUse(name, day, p.seconds, p.spend) for name, p in self._parties.items() if p.day == day]

    def restore(self, uses: Iterable[DayUse]) -> None:
        """Take back what was used before a restart."""
        for use in uses:
            party = self._get(use.party, use.day)
            party.seconds, party.spend = use.seconds, use.spend

    # --- telling ------------------------------------------------------------------------------------------------------

    def started(
        self, call: str, parties: Sequence[str], now: float, day: str, *, cost_per_minute: float = 0.0
    ) -> list[Output]:
        """An outside call that ``check`` allowed is being made. Alarms for limits that are nearly used up."""
        self._calls[call] = _Call(tuple(parties), cost_per_minute)
        outputs: list[Output] = []
        for name in parties:
            party = self._get(name, day)
            party.calls[call] = None
            limits = self._limits_of(name)
            if limits is None:
                continue
            party.starts.append(now)
            while len(party.starts) > max(limits.calls_per_minute, 1):
                party.starts.popleft()
            outputs += self._warn(name, party, limits, now)
        return outputs

    def answered(self, call: str, now: float) -> None:
        """The call costs from now on; unknown calls (emergencies) are ignored."""
        found = self._calls.get(call)
        if found is not None and found.answered_at is None:
            found.answered_at = now
            for name in found.parties:
                self._arm(name, now)

    def ended(self, call: str, now: float, day: str) -> list[Output]:
        """The call is over; its minutes are added to the day it ends on."""
        found = self._calls.pop(call, None)
        if found is None:
            return []
        outputs: list[Output] = []
        for name in found.parties:
            party = self._get(name, day)
            party.calls.pop(call, None)
            if found.answered_at is not None:
                seconds = max(0.0, now - found.answered_at)
                party.seconds += seconds
                party.spend += seconds / 60 * found.cost_per_minute
            limits = self._limits_of(name)
            if limits is not None:
                outputs += self._warn(name, party, limits, now)
            self._arm(name, now)
        self._forget_idle(day)
        return outputs

    def expire(self, now: float, day: str) -> list[Output]:
        """Calls in progress of parties whose day is used up."""
        outputs: list[Output] = []
        while (name := self._timers.pop(now)) is not None:
            limits, party = self._limits_of(name), self._get(name, day)
            if limits is None:
                continue
            limit = self._find_used_up(limits, party, now)
            if limit is None:
                self._arm(name, now)
                continue
            seconds, spend = self._used(party, now)
            used, allowed = (
                (seconds / 60, float(limits.minutes_per_day))
                if limit == "minutes_per_day"
                else (spend, limits.spend_per_day)
            )
            outputs += self._alarm(name, party, limit, used, allowed, "calls in progress end", blocked=True)
            outputs += [
                TollExceeded(call=call, party=name, limit=limit)
                for call in party.calls
                if self._calls[call].answered_at is not None
            ]
        return outputs

    def next_deadline(self) -> Deadline | None:
        entry = self._timers.peek()
        return None if entry is None else Deadline(entry[0], f"toll limit of {entry[1]}")

    # --- inside -------------------------------------------------------------------------------------------------------

    def _limits_of(self, party: str) -> TollLimits | None:
        return self._per_party[party] if party in self._per_party else self._limits

    def _get(self, name: str, day: str) -> _Party:
        party = self._parties.get(name)
        if party is None:
            party = self._parties[name] = _Party()
        if party.day != day:
            party.day, party.seconds, party.spend = day, 0.0, 0.0
            party.alarmed.clear()
        return party

    def _find_breach(
        self, limits: TollLimits, party: _Party, number: str, now: float, open: bool
    ) -> tuple[LimitName, float, float, str] | None:
        if not open:
            return "hours", 0.0, 0.0, "no outside calls at this hour"
        if limits.countries:
            country = find_country(number, self._country)
            if country not in limits.countries:
                return "country", 0.0, 0.0, f"calls to {country or 'unknown countries'} are not allowed"
        while party.starts and party.starts[0] <= now - _WINDOW:
            party.starts.popleft()
        if limits.calls_per_minute and len(party.starts) >= limits.calls_per_minute:
            count = limits.calls_per_minute
            return "calls_per_minute", len(party.starts), count, f"more than {count} calls a minute"
        if limits.concurrent and len(party.calls) >= limits.concurrent:
            return "concurrent", len(party.calls), limits.concurrent, f"more than {limits.concurrent} calls at once"
        used_up = self._find_used_up(limits, party, now)
        seconds, spend = self._used(party, now)
        if used_up == "minutes_per_day":
            count = limits.minutes_per_day
            return used_up, seconds / 60, count, f"more than {count} minutes a day"
        if used_up == "spend_per_day":
            return used_up, spend, limits.spend_per_day, f"more than {limits.spend_per_day:g} spent a day"
        return None

    def _find_used_up(self, limits: TollLimits, party: _Party, now: float) -> LimitName | None:
        seconds, spend = self._used(party, now)
        if limits.minutes_per_day and seconds >= limits.minutes_per_day * 60 - 1e-3:
            return "minutes_per_day"
        if limits.spend_per_day and spend >= limits.spend_per_day - 1e-6:
            return "spend_per_day"
        return None

    def _used(self, party: _Party, now: float) -> tuple[float, float]:
        """Seconds and money of the day, with calls in progress up to now."""
        seconds, spend = party.seconds, party.spend
        for call in party.calls:
            found = self._calls[call]
            if found.answered_at is not None:
                seconds += now - found.answered_at
                spend += (now - found.answered_at) / 60 * found.cost_per_minute
        return seconds, spend

    def _arm(self, name: str, now: float) -> None:
        """Wake when the talking calls of a party will have used up its day."""
        limits, party = self._limits_of(name), self._parties[name]
        talking = [self._calls[call] for call in party.calls if self._calls[call].answered_at is not None]
        waits: list[float] = []
        if limits is not None and talking:
            seconds, spend = self._used(party, now)
            rate = sum(call.cost_per_minute for call in talking) / 60
            if limits.minutes_per_day:
                waits.append((limits.minutes_per_day * 60 - seconds) / len(talking))
            if limits.spend_per_day and rate > 0:
                waits.append((limits.spend_per_day - spend) / rate)
        if waits:
            self._timers.set(name, now + max(0.0, min(waits)))
        else:
            self._timers.cancel(name)

    def _warn(self, name: str, party: _Party, limits: TollLimits, now: float) -> list[Output]:
        outputs: list[Output] = []
        seconds, spend = self._used(party, now)
        levels: tuple[tuple[LimitName, float, float], ...] = (
            ("calls_per_minute", sum(at > now - _WINDOW for at in party.starts), limits.calls_per_minute),
            ("concurrent", len(party.calls), limits.concurrent),
            ("minutes_per_day", seconds / 60, limits.minutes_per_day),
            ("spend_per_day", spend, limits.spend_per_day),
        )
        for limit, used, allowed in levels:
            if allowed and used >= allowed * limits.alarm_at / 100:
                outputs += self._alarm(name, party, limit, used, allowed, "", blocked=False)
        return outputs

    def _alarm(
        self, name: str, party: _Party, limit: LimitName, used: float, allowed: float, detail: str, *, blocked: bool
    ) -> list[Output]:
        if not blocked:
            if limit in party.alarmed:
                return []
            party.alarmed.add(limit)
        return [TollAlarm(party=name, limit=limit, used=used, allowed=allowed, blocked=blocked, detail=detail)]

    def _forget_idle(self, day: str) -> None:
        """Parties of former days without calls need not be kept; a few at a time."""
        for name in list(self._parties)[:2]:
            party = self._parties[name]
            if party.day != day and not party.calls:
                del self._parties[name]


def find_country(number: str, country: str) -> str:
    """ISO 3166 country of ``number`` as dialled in ``country``; ``001`` for numbers of no country, empty if unknown."""
    return _find_country(number, country)


@lru_cache(maxsize=4096)
def _find_country(number: str, country: str) -> str:
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(parsed)
    if region:
        return region
    # Not a valid number of any one country: of the main country of its code, so that +1 7xx still counts as abroad.
    main = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return "" if main == "ZZ" else main
