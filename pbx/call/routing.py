"""Number plan: which number means what, as pure functions of the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from pbx.config.model import (
    CODES_WITH_ARGUMENT,
    CODES_WITH_PIN,
    Configuration,
    EmergencyNumber,
    InboundRoute,
    OutboundRoute,
)
from pbx.core.destination import Destination

CalendarState = Literal["open", "closed", "holiday"]


class Inbound(NamedTuple):
    """Where a call from a trunk goes."""

    destination: Destination
    rule: str
    """For records: which route decided, and by which state of its calendar."""
    route: InboundRoute | None


class Feature(NamedTuple):
    """A feature code was dialled."""

    code: str
    """Field of FeatureCodes: ``login``, ``not_ready`` ..."""
    argument: str


class External(NamedTuple):
    """A number outside, with the first outbound route that allows it."""

    number: str
    """After strip and prepend."""
    route: OutboundRoute | None
    emergency: EmergencyNumber | None = None


class Unknown(NamedTuple):
    status: int
    reason: str


Dialled = Destination | Feature | External | Unknown


def route_inbound(
    configuration: Configuration, trunk: str, called: str, caller: str, state_of: Callable[[str], CalendarState]
) -> Inbound:
    """The most specific inbound route for a call from ``trunk``; ``state_of`` tells the state of a calendar."""
    best: InboundRoute | None = None
    rank: tuple[object, ...] = ()
    for route in configuration.routes.inbound:
        if route.trunk is not None and route.trunk != trunk:
            continue
        if not route.did.matches(called) or (route.caller is not None and not route.caller.matches(caller)):
            continue
        if best is None or route.rank > rank:
            best, rank = route, route.rank
    if best is None:
        return Inbound(configuration.routes.no_match, "no route", None)
    rule = f"inbound {best.did}"
    if best.calendar is None:
        return Inbound(best.to, rule, best)
    state = state_of(best.calendar)
    rule = f"{rule}, {best.calendar} {state}"
    if state == "open":
        return Inbound(best.to, rule, best)
    closed = best.closed or configuration.routes.no_match
    return Inbound((best.holiday or closed) if state == "holiday" else closed, rule, best)


class NumberPlan:
    """Numbers dialled inside, looked up in one table."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        table: dict[str, Destination] = {}
        for number in configuration.extensions:
            table[number] = Destination("extension", number)
        for group in configuration.ring_groups.values():
            if group.number:
                table[group.number] = Destination("group", group.name)
        for queue in configuration.queues.values():
            if queue.number:
                table[queue.number] = Destination("queue", queue.name)
        for number in configuration.mailboxes:
            table[number] = Destination("voicemail", number)
        for room in configuration.routes.conferences:
            table[room.number] = Destination("conference", room.number)
        for slot in configuration.routes.parking.slots:
            table.setdefault(slot, Destination("park", slot))
        self._table = table
        features = configuration.routes.features
        codes = {name: getattr(features, name) for name in type(features).model_fields}
        # Longest first: **1001 must not be read as *, and *78 not as *7 with an argument.
        self._codes = sorted(((code, name) for name, code in codes.items() if code), key=lambda pair: -len(pair[0]))
        self._emergency = {entry.number: entry for entry in configuration.routes.emergency}

    def is_emergency(self, number: str) -> bool:
        """Whether ``number`` passes every limit."""
        return number in self._emergency

    def resolve(self, number: str, permissions: tuple[str, ...], state_of: Callable[[str], CalendarState]) -> Dialled:
        """What ``number`` means for a phone with these permission classes."""
        emergency = self._emergency.get(number)
        if emergency is not None:
            return External(emergency.send_as or number, None, emergency)
        known = self._table.get(number)
        if known is not None:
            return known
        feature = self._feature(number)
        if feature is not None:
            return feature
        return self.resolve_external(number, permissions, state_of)

    def resolve_external(
        self, number: str, permissions: tuple[str, ...] | None, state_of: Callable[[str], CalendarState]
    ) -> External | Unknown:
        """The first outbound route for ``number``; ``permissions`` None: Tandem itself calls, everything is allowed."""
        forbidden = False
        for route in self._configuration.routes.outbound:
            if not any(pattern.matches(number) for pattern in route.match):
                continue
            if permissions is not None and route.permission is not None and route.permission not in permissions:
                forbidden = True
                continue
            if route.calendar is not None and state_of(route.calendar) != "open":
                forbidden = True
                continue
            return External(route.prepend + number[route.strip :], route)
        return Unknown(403, f"{number} is not allowed here") if forbidden else Unknown(404, f"no route to {number}")

    def conceal(self, number: str) -> str:
        """``number`` as records may hold it: without the PIN behind a feature code."""
        found = self._feature(number)
        if found is None or found.code not in CODES_WITH_PIN:
            return number
        pin = found.argument.partition("*")[2]
        return f"{number.rstrip('#').removesuffix(pin)}xxxx" if pin else number

    def _feature(self, number: str) -> Feature | None:
        for code, name in self._codes:
            if number == code:
                return Feature(name, "")
            if name in CODES_WITH_ARGUMENT and number.startswith(code):
                return Feature(name, number[len(code) :].lstrip("*").rstrip("#"))
        return None
