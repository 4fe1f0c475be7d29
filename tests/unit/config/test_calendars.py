"""What a calendar says about a moment."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from pbx.config.calendars import Calendar, may_change_at, parse_hours, state_at

SHANGHAI = ZoneInfo("Asia/Shanghai")

OFFICE = Calendar.model_validate(
    {
        "name": "office",
        "timezone": "Asia/Shanghai",
        "hours": {"mon-fri": "09:00-12:00, 13:30-18:00", "sat": "10:00-14:00"},
        "holidays": [
            {"name": "Founding day", "date": "2020-03-18", "yearly": "yes"},
            {"name": "Stocktaking", "date": "2026-12-30", "until": "2026-12-31"},
            {"name": "Turn of the year", "date": "2020-12-31", "until": "2021-01-02", "yearly": "true"},
            {"name": "Leap day", "date": "2024-02-29", "yearly": "true"},
        ],
        "special": [
            {"date": "2026-03-18", "hours": "10:00-11:00", "name": "Open all the same"},
            {"date": "2026-11-25", "hours": "closed", "name": "Staff outing"},
        ],
        "public_holidays": {"country": "CN", "language": "en_US", "except_names": ["Tomb"]},
    }
)
NIGHT = Calendar.model_validate({"name": "night", "hours": {"mon-thu": "22:00-06:00", "sun": "open"}})


@pytest.mark.parametrize(
    ("moment", "state", "name"),
    [
        ("2026-11-23 09:00", "open", ""),
        ("2026-11-23 08:59", "closed", ""),
        ("2026-11-23 12:00", "closed", ""),
        ("2026-11-23 13:29", "closed", ""),
        ("2026-11-23 13:30", "open", ""),
        ("2026-11-23 17:59", "open", ""),
        ("2026-11-23 18:00", "closed", ""),
        ("2026-11-21 13:00", "open", ""),
        ("2026-11-22 13:00", "closed", ""),
        ("2027-03-18 10:00", "holiday", "Founding day"),
        ("2026-03-18 10:30", "open", "Open all the same"),
        ("2026-03-18 11:00", "closed", "Open all the same"),
        ("2026-11-25 10:00", "closed", "Staff outing"),
        ("2026-12-30 10:00", "holiday", "Stocktaking"),
        ("2027-01-01 10:00", "holiday", "Turn of the year"),
        ("2027-01-04 10:00", "open", ""),
        ("2028-02-29 10:00", "holiday", "Leap day"),
        ("2027-03-01 10:00", "open", ""),
        ("2026-10-01 10:00", "holiday", "National Day"),
        ("2026-04-06 10:00", "open", ""),
    ],
)
def test_office(moment: str, state: str, name: str) -> None:
    found = state_at(OFFICE, datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI))
    assert found.state == state
    assert found.name.startswith(name) if name else found.name == ""


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        ("2026-11-23 21:59", "closed"),
        ("2026-11-23 22:00", "open"),
        ("2026-11-24 05:59", "open"),
        ("2026-11-24 06:00", "closed"),
        ("2026-11-27 05:59", "open"),
        ("2026-11-27 22:30", "closed"),
        ("2026-11-29 00:00", "open"),
        ("2026-11-29 23:59", "open"),
        ("2026-11-30 00:00", "closed"),
    ],
)
def test_over_midnight(moment: str, state: str) -> None:
    assert state_at(NIGHT, datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI), "Asia/Shanghai").state == state


def test_the_calendars_own_time_zone_counts() -> None:
    wall = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
    assert state_at(OFFICE, wall, "America/New_York").state == "open"
    assert state_at(NIGHT, wall, "Europe/London").state == "closed"
    assert state_at(NIGHT, wall, "America/New_York").state == "open"


@pytest.mark.parametrize(
    ("moment", "state"), [("00:59", "open"), ("03:01", "open"), ("03:59", "open"), ("04:00", "closed")]
)
def test_clocks_going_forward(moment: str, state: str) -> None:
    calendar = Calendar.model_validate({"name": "c", "timezone": "Europe/Berlin", "hours": {"daily": "00:00-04:00"}})
    wall = datetime.fromisoformat(f"2026-03-29 {moment}").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert state_at(calendar, wall).state == state


def test_hours() -> None:
    assert [str(span) for span in parse_hours("13:30-18:00,09:00-12:00")] == ["09:00-12:00", "13:30-18:00"]
    assert [str(span) for span in parse_hours("22:00-06:00")] == ["22:00-06:00"]
    assert [str(span) for span in parse_hours("0:00-24:00")] == ["00:00-24:00"]
    assert parse_hours("closed") == ()


@pytest.mark.parametrize(
    "text", ["", "9-18", "25:00-26:00", "09:60-10:00", "09:00-09:00", "9:00-12:00,11:00-13:00", None]
)
def test_no_hours(text: object) -> None:
    with pytest.raises(ValueError, match="hours"):
        parse_hours(text)


def test_days_by_group() -> None:
    week = Calendar.model_validate({"name": "c", "hours": {"fri-mon": "open", "tue, thu": "closed"}}).hours
    assert list(week) == ["friday", "saturday", "sunday", "monday", "tuesday", "thursday"]


def test_models_survive_their_own_dump() -> None:
    assert Calendar.model_validate(OFFICE.model_dump()) == OFFICE
    assert Calendar.model_validate_json(OFFICE.model_dump_json()) == OFFICE


def test_special_days_are_unique() -> None:
    day = {"date": date(2026, 1, 1), "hours": "open"}
    with pytest.raises(ValidationError, match="two special days on one date"):
        Calendar.model_validate({"name": "c", "hours": {}, "special": [day, day]})


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize("start", ["2026-03-06", "2026-03-27", "2026-10-23", "2026-10-30", "2026-12-29"])
def test_every_change_is_foretold(zone: str, start: str) -> None:
    """By brute force, minute by minute over days on which the clocks change somewhere."""
    hours = {"mon-sat": "00:30-02:30, 09:00-18:15", "sun": "01:10-02:20, 22:00-06:00"}
    calendar = Calendar.model_validate(
        {"name": "any", "timezone": zone, "hours": hours, "holidays": [{"name": "New year", "date": "2027-01-01"}]}
    )
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    looks: dict[datetime, str] = {}
    look = begin
    while look < begin + timedelta(days=4):
        looks[look] = state_at(calendar, look).state
        look = may_change_at(calendar, look)
    state = looks[begin]
    for minute in range(4 * 24 * 60):
        moment = begin + timedelta(minutes=minute)
        state = looks.get(moment, state)
        assert state_at(calendar, moment).state == state, moment
