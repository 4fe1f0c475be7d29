"""routes.yaml: which call goes where, from outside, to outside and inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from pbx.config.base import (
    AlsoWritten,
    CountryCode,
    FeatureCode,
    InternalNumber,
    Label,
    Language,
    Model,
    Name,
    Pattern,
    PhoneNumber,
    Seconds,
    Target,
    refuse,
)


class InboundRoute(Model):
    """Calls from trunks. The most specific fitting route wins: an exact number before a pattern, a longer fixed
    beginning before a shorter one; then one for certain callers, likewise; then one for a certain trunk."""

    did: Pattern
    """Number that was called, as it is after the trunk's rewriting."""
    trunk: Name | None = None
    """Only calls from this trunk."""
    caller: Pattern | None = None
    """Only calls from these numbers."""
    calendar: Name | None = None
    """Opening hours; default: always open."""
    to: Target
    """Where calls go (while the calendar is open)."""
    closed: Target | None = None
    """Where calls go while it is closed."""
    holiday: Target | None = None
    """Where calls go on holidays; default: as closed."""
    language: Language | None = None
    """Language of the call; default: the trunk's."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Added to the priority in queues."""
    data: Mapping[Name, str] = Field(default_factory=dict)
    """Call data that flows and agents' desktops see."""
    title: str = ""
    """For people and reports."""

    @property
    def rank(self) -> tuple[tuple[int, int, int], tuple[int, int, int], bool]:
        """Of the routes that fit a call, the one of the highest rank is taken."""
        caller = self.caller.specificity if self.caller else (-1, 0, 0)
        return self.did.specificity, caller, self.trunk is not None

    @model_validator(mode="after")
    def _check_calendar(self) -> InboundRoute:
        if self.calendar is None and (self.closed or self.holiday):
            raise refuse("closed: and holiday: mean nothing without a calendar", "calendar: NAME")
        if self.calendar is not None and self.closed is None:
            raise refuse(
                f"the calendar {self.calendar!r} needs a place for calls while it is closed", "closed: DESTINATION"
            )
        return self


class TrunkChoice(Model):
    """A trunk of an outbound route."""

    trunk: Name
    """Its name."""
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Share among trunks of the same rank; default: the trunk's own."""
    rank: Annotated[int, Field(ge=1, le=100)] | None = None
    """Lower is tried first, equal ranks share by weight; default: the order of the list."""


Choice = Annotated[
    TrunkChoice,
    BeforeValidator(lambda value: {"trunk": value} if isinstance(value, str) else value),
    AlsoWritten({"type": "string"}),
]

Patterns = Annotated[
    tuple[Pattern, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1),
    AlsoWritten({"type": ["string", "integer"]}),
]


class OutboundRoute(Model):
    """Calls to outside. The first route whose pattern, permission and calendar fit is taken."""

    name: Name
    """Name of the route, for records."""
    match: Patterns
    """Numbers as they are dialled; one pattern or several."""
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    """Digits taken off the front."""
    prepend: Annotated[str, Field(pattern=r"^\+?[0-9*#]*$")] = ""
    """Digits put in front then."""
    trunks: Annotated[tuple[Choice, ...], Field(min_length=1)]
    """Tried one after the other; trunks that are down or full are passed over."""
    caller_id: PhoneNumber | None = None
    """Shown to the called party; default: the extension's, then the trunk's."""
    permission: Name | None = None
    """Class an extension needs; default: open to all."""
    countries: tuple[CountryCode, ...] = ()
    """Countries that may be reached by it; empty: any."""
    calendar: Name | None = None
    """Only while this calendar is open."""
    cost_per_minute: Annotated[float, Field(ge=0)] = 0.0
    """For spending limits."""


class EmergencyNumber(Model):
    """A number that passes every limit, permission and calendar."""

    number: PhoneNumber
    """As dialled."""
    title: Label
    """For people."""
    trunks: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Tried one after the other, full or not."""
    send_as: PhoneNumber | None = None
    """Number given to the trunk; default: as dialled."""
    caller_id: PhoneNumber | None = None
    """Number that the emergency service can call back."""


class FeatureCodes(Model):
    """What is dialled for features; an empty value turns one off. Codes with an argument are followed by it."""

    login: FeatureCode | None = "*31"
    """Log in as agent; asks for id and PIN at a phone that is not the agent's own. Argument: agent id."""
    logout: FeatureCode | None = "*32"
    """Log out."""
    ready: FeatureCode | None = "*33"
    """Ready for calls."""
    not_ready: FeatureCode | None = "*34"
    """Not ready. Argument: digit of the reason."""
    after_call_work_end: FeatureCode | None = "*35"
    """End after-call work."""
    pickup_group: FeatureCode | None = "*8"
    """Take a ringing call of the own pickup group."""
    pickup: FeatureCode | None = "**"
    """Take the ringing call of an extension. Argument: its number."""
    park: FeatureCode | None = "*70"
    """Transfer target that parks a call in a free slot and tells its number."""
    do_not_disturb_on: FeatureCode | None = "*78"
    """No calls, please."""
    do_not_disturb_off: FeatureCode | None = "*79"
    """Calls again."""
    forward_always: FeatureCode | None = "*72"
    """Forward every call. Argument: where to; none: off."""
    forward_busy: FeatureCode | None = "*90"
    """Forward when busy. Argument: where to; none: off."""
    forward_no_answer: FeatureCode | None = "*92"
    """Forward when nobody answers. Argument: where to; none: off."""
    conference: FeatureCode | None = "*60"
    """Join a conference room. Argument: its number."""
    calendar_switch: FeatureCode | None = "*55"
    """Close or open a calendar by hand, with PIN. Argument: the calendar's digit."""
    voicemail: FeatureCode | None = "*97"
    """The own voice mailbox. Argument: number of another one; asks for its PIN."""
    clock: FeatureCode | None = "*44"
    """Tells number, date and time."""


CODES_WITH_PIN = frozenset({"login", "calendar_switch"})
"""Codes whose argument may end in ``*PIN``."""
CODES_WITH_ARGUMENT = frozenset(
    {
        "login",
        "not_ready",
        "pickup",
        "forward_always",
        "forward_busy",
        "forward_no_answer",
        "conference",
        "calendar_switch",
        "voicemail",
    }
)


class Parking(Model):
    """Calls waiting in numbered slots."""

    first: InternalNumber = "701"
    """First slot."""
    last: InternalNumber = "720"
    """Last slot."""
    timeout: Seconds = 120.0
    """Then the call returns to who parked it."""
    music: Name = "default"
    """Music class."""

    @model_validator(mode="after")
    def _check_slots(self) -> Parking:
        if len(self.first) != len(self.last) or not 0 <= int(self.last) - int(self.first) < 1000:
            raise refuse(
                f"{self.first}-{self.last} are no parking slots", "first and last of equal length, at most 1000 slots"
            )
        return self

    @property
    def slots(self) -> tuple[str, ...]:
        """All slot numbers."""
        width = len(self.first)
        return tuple(f"{number:0{width}}" for number in range(int(self.first), int(self.last) + 1))


class Conference(Model):
    """A conference room."""

    number: InternalNumber
    """Number to dial it inside, and its name in destinations."""
    title: str = ""
    """For people."""
    max_members: Annotated[int, Field(ge=2, le=200)] = 20
    """How many fit in."""


class Routes(Model):
    """All routing."""

    inbound: tuple[InboundRoute, ...] = ()
    """Calls from trunks."""
    no_match: Target = Field(default="hangup:unknown_number", validate_default=True)
    """Calls from trunks that no route fits."""
    outbound: tuple[OutboundRoute, ...] = ()
    """Calls to outside."""
    emergency: tuple[EmergencyNumber, ...] = ()
    """Emergency numbers."""
    features: FeatureCodes = FeatureCodes()
    """Feature codes."""
    parking: Parking = Parking()
    """Parked calls."""
    conferences: tuple[Conference, ...] = ()
    """Conference rooms."""
