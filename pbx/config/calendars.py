"""calendars.yaml: opening hours, holidays and special days, and what they say about a moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from pbx.config.base import KEY, CountryCode, Model, Name, Seconds, Secret, Timezone, refuse

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {day[:3]: index for index, day in enumerate(DAYS)} | {day: index for index, day in enumerate(DAYS)}
_GROUPS = {"weekdays": range(0, 5), "weekend": range(5, 7), "daily": range(0, 7)}
_MINUTES = 24 * 60


class Span(NamedTuple):
    """A part of a day in minutes from midnight, end excluded; an end beyond 1440 reaches into the next day."""

    start: int
    end: int

    def __str__(self) -> str:
        end = self.end - _MINUTES if self.end > _MINUTES else self.end
        return f"{self.start // 60:02}:{self.start % 60:02}-{end // 60:02}:{end % 60:02}"


_SPAN = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", re.ASCII)
_HOURS_TEXT = "times such as 09:00-18:00, several with commas, 22:00-06:00 over midnight, or closed"


def parse_hours(value: Any) -> tuple[Span, ...]:
    """Spans of ``09:00-12:00, 13:30-18:00``; ``closed`` is none, ``open`` or ``00:00-24:00`` the whole day."""
    if isinstance(value, tuple) and all(isinstance(span, Span) for span in value):
        return value
    if isinstance(value, list):
        value = ",".join(str(part) for part in value)
    if not isinstance(value, str):
        raise refuse("these are no hours", _HOURS_TEXT)
    if value.strip() in ("closed", "off", "no"):
        return ()
    if value.strip() in ("open", "on", "yes"):
        return (Span(0, _MINUTES),)
    spans = sorted(_parse_span(part.strip()) for part in value.split(","))
    for before, after in zip(spans, spans[1:], strict=False):
        if after.start < before.end:
            raise refuse(f"the hours {before} and {after} overlap", "spans that do not overlap")
    return tuple(spans)


def _parse_span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise refuse(f"{text!r} are no hours", _HOURS_TEXT)
    from_hour, from_minute, to_hour, to_minute = (int(part) for part in match.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if from_minute > 59 or to_minute > 59 or start >= _MINUTES or end > _MINUTES or start == end:
        raise refuse(f"{text!r} are no hours of a day", _HOURS_TEXT)
    return Span(start, end if end > start else end + _MINUTES)


Hours = Annotated[
    tuple[Span, ...],
    PlainValidator(parse_hours),
    PlainSerializer(lambda spans: ", ".join(map(str, spans)) or "closed", return_type=str),
    WithJsonSchema({"type": "string", "examples": ["09:00-18:00", "09:00-12:00, 13:30-18:00", "closed"]}),
]


def _read_week(value: Any) -> Any:
    """``weekdays``, ``mon-fri``, ``sat, sun`` and ``daily`` become the days they stand for."""
    if not isinstance(value, Mapping):
        return value
    week: dict[str, Any] = {}
    for key, hours in value.items():
        for day in _read_days(str(key)):
            if DAYS[day] in week:
                raise refuse(f"{DAYS[day]} is given twice", "each day once", at=(str(key),))
            try:
                week[DAYS[day]] = parse_hours(hours)
            except PydanticCustomError as error:
                context = error.context or {}
                raise refuse(context["message"], context["expected"], at=(str(key),)) from None
    return week


def _read_days(text: str) -> list[int]:
    days: list[int] = []
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if part in _GROUPS:
            days += _GROUPS[part]
        elif first in _SHORT and (not dash or last in _SHORT):
            start, end = _SHORT[first], _SHORT[last or first]
            days += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
        else:
            raise refuse(f"{part!r} is no day", "monday, tue, mon-fri, weekdays, weekend or daily", at=(text,))
    return days


Week = Annotated[
    Mapping[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], Hours],
    BeforeValidator(_read_week),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]


def _read_date(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise refuse(f"{value!r} is no date", "a date such as 2026-10-01") from None


Date = Annotated[
    date,
    PlainValidator(_read_date),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "date"}),
]


class Holiday(Model):
    """A day, or several, on which the calendar has a holiday."""

    name: str
    """What it is called; reports and flows see it."""
    date: Date
    """The day, or the first of them."""
    until: Date | None = None
    """The last day."""
    yearly: bool = False
    """Every year on this date."""

    @model_validator(mode="after")
    def _check_order(self) -> Holiday:
        if self.until is not None and not self.date <= self.until <= self.date + timedelta(days=366):
            raise refuse(f"the holiday {self.name!r} ends before it begins, or lasts for years", "until: after date:")
        return self

    def includes(self, day: Date) -> bool:
        """Whether ``day`` is part of it."""
        length = (self.until - self.date) if self.until else timedelta(0)
        if not self.yearly:
            return self.date <= day <= self.date + length
        for year in (day.year, day.year - 1):
            try:
                start = self.date.replace(year=year)
            except ValueError:  # the 29th of February in a common year
                continue
            if start <= day <= start + length:
                return True
        return False


class PublicHolidays(Model):
    """Holidays of a country, from the `holidays` package."""

    country: CountryCode
    """Country."""
    subdivision: str = ""
    """Province or state, ISO 3166-2 without the country."""
    language: str = ""
    """Language of the names; empty: the country's own."""
    except_names: tuple[str, ...] = ()
    """Holidays (parts of their names) on which it is open all the same."""

    @model_validator(mode="after")
    def _check_known(self) -> PublicHolidays:
        import holidays  # only calendars that ask for public holidays pay for the import

        supported = holidays.list_supported_countries(include_aliases=False)
        if self.country not in supported:
            message = f"there are no holidays known for the country {self.country!r}"
            raise refuse(message, "an ISO 3166 code such as CN", at=("country",))
        if self.subdivision and self.subdivision not in supported[self.country]:
            raise refuse(
                f"{self.subdivision!r} is no subdivision of {self.country} with holidays of its own",
                ", ".join(supported[self.country]) or "none: the country has only national holidays",
                at=("subdivision",),
            )
        return self


class SpecialDay(Model):
    """Hours of one date, whatever weekday or holiday it is; also make-up working days."""

    date: Date
    """The day."""
    hours: Hours
    """Hours on it."""
    name: str = ""
    """Why."""


class Calendar(Model):
    """When something is open."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the calendar: the key it stands under."""
    timezone: Timezone | None = None
    """IANA name; default: the server's."""
    hours: Week
    """Hours by day: monday ... sunday, mon-fri, weekdays, weekend, daily. Days not named are closed."""
    holidays: tuple[Holiday, ...] = ()
    """Own holidays."""
    public_holidays: PublicHolidays | None = None
    """Holidays of a country."""
    special: tuple[SpecialDay, ...] = ()
    """Dates with their own hours; they come before holidays."""
    digit: Annotated[str, Field(pattern=r"^[0-9]{1,3}$"), WithJsonSchema({"type": ["string", "integer"]})] | None = None
    """Argument of the feature code that closes or opens it by hand."""
    pin: Secret | None = None
    """PIN for that."""
    pin_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """So many wrong PINs in a row lock the code ..."""
    pin_lock: Annotated[Seconds, Field(ge=1)] = 900.0
    """... for so long."""

    @model_validator(mode="after")
    def _check_special(self) -> Calendar:
        if len({day.date for day in self.special}) != len(self.special):
            raise refuse(f"the calendar {self.name!r} has two special days on one date", "each date once")
        return self


class CalendarState(NamedTuple):
    """What a calendar says about a moment."""

    state: Literal["open", "closed", "holiday"]
    name: str = ""
    """Of the holiday or special day."""


def state_at(calendar: Calendar, wall: datetime, timezone: str = "UTC") -> CalendarState:
    """Whether ``calendar`` is open at ``wall`` (aware). ``timezone``: for calendars that name none.

    A special day comes before a holiday, that before the weekly hours. A span over midnight belongs to the day it
    began on. Local time decides, so hours stay what the wall clock shows when summer time begins or ends.
    """
    local = wall.astimezone(ZoneInfo(calendar.timezone or timezone))
    minute = local.hour * 60 + local.minute
    today = local.date()
    hours, label, holiday = _day(calendar, today)
    if any(span.start <= minute < span.end for span in hours):
        return CalendarState("open", label)
    yesterday, _, _ = _day(calendar, today - timedelta(days=1))
    if any(minute + _MINUTES < span.end for span in yesterday):
        return CalendarState("open", label)
    return CalendarState("holiday" if holiday else "closed", label)


def may_change_at(calendar: Calendar, wall: datetime, timezone: str = "UTC") -> datetime:
    """The first moment after ``wall`` (aware) at which :func:`state_at` may say something else, in UTC.

    Ends of spans and midnights of these days, and the next full hour: where the clocks change, they do so then.
    """
    zone = ZoneInfo(calendar.timezone or timezone)
    after = wall.astimezone(UTC)
    best = after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    today = after.astimezone(zone).date()
    for day in (today + timedelta(days=step) for step in (-1, 0, 1)):
        midnight = datetime.combine(day, time.min)
        minutes = {0, *(minute for span in _day(calendar, day)[0] for minute in span)}
        for naive in (midnight + timedelta(minutes=minute) for minute in minutes):
            for fold in (0, 1):
                moment = naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)
                if after < moment < best:
                    best = moment
    return best


def _day(calendar: Calendar, day: date) -> tuple[tuple[Span, ...], str, bool]:
    """Hours of a day, the name of what makes it special, and whether it is a holiday."""
    for special in calendar.special:
        if special.date == day:
            return special.hours, special.name, False
    for holiday in calendar.holidays:
        if holiday.includes(day):
            return (), holiday.name, True
    if calendar.public_holidays is not None:
        name = _public_holiday(calendar.public_holidays, day)
        if name:
            return (), name, True
    return calendar.hours.get(DAYS[day.weekday()], ()), "", False  # type: ignore[call-overload]


def _public_holiday(source: PublicHolidays, day: date) -> str:
    name = public_holidays_of(source.country, source.subdivision, source.language, day.year).get(day, "")
    return "" if any(part in name for part in source.except_names) else name


@lru_cache(maxsize=256)
def public_holidays_of(country: str, subdivision: str, language: str, year: int) -> dict[date, str]:
    """Public holidays of a year by date, observed days included."""
    import holidays

    return dict(holidays.country_holidays(country, subdivision or None, years=year, language=language or None))
