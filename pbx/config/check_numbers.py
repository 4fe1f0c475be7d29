"""Numbers: nothing inside is dialled by two numbers, no route outside is ambiguous or out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pbx.config.messages import Loc, spell
from pbx.config.model import CODES_WITH_ARGUMENT, Configuration, InboundRoute, OutboundRoute
from pbx.core.problems import Problem
from pbx.core.yaml_tree import Node


def check(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    """Problems with numbers, patterns, codes and digits."""
    yield from _check_internal(configuration, tree)
    yield from _check_features(configuration, tree)
    yield from _check_digits(configuration, tree)
    yield from _check_inbound(configuration.routes.inbound, tree)
    yield from _check_outbound(configuration, tree)


def list_internal_numbers(configuration: Configuration) -> Iterator[tuple[str, str, Loc]]:
    """Every number that is dialled inside: number, what it is, where it stands."""
    for number in configuration.extensions:
        yield number, f"extension {number}", ("extensions", number)
    for name, group in configuration.ring_groups.items():
        if group.number is not None:
            yield group.number, f"the ring group {name!r}", ("ring_groups", name, "number")
    for name, queue in configuration.queues.items():
        if queue.number is not None:
            yield queue.number, f"the queue {name!r}", ("queues", name, "number")
    for number, mailbox in configuration.mailboxes.items():
        yield number, f"the mailbox {mailbox.name!r}", ("mailboxes", number)
    for index, room in enumerate(configuration.routes.conferences):
        yield room.number, "a conference room", ("routes", "conferences", index, "number")
    for index, emergency in enumerate(configuration.routes.emergency):
        yield emergency.number, "an emergency number", ("routes", "emergency", index, "number")
    for name, code in configuration.routes.features:
        if code is not None:
            yield code, f"the feature code {name!r}", ("routes", "features", name)


def _check_internal(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    taken: dict[str, tuple[str, Loc]] = {}
    for number, what, loc in list_internal_numbers(configuration):
        if number in taken:
            other, place = taken[number]
            mark = tree.mark_of(loc) if tree.find(loc) else tree.mark_of(place)
            first = tree.key_mark(place)
            hint = f"{other} is at {first.file}:{first.line}" if tree.find(place) else f"{other} is the default"
            yield mark.problem(f"the number {number} of {what} is already that of {other}", "a number of its own", hint)
        else:
            taken[number] = what, loc
    for slot in configuration.routes.parking.slots:
        if slot in taken:
            other, place = taken[slot]
            explicit = tree.find(("routes", "parking")) is not None
            mark = tree.mark_of(("routes", "parking")) if explicit else tree.key_mark(place)
            expected = "other parking slots (routes.yaml: parking: {first:, last:})"
            yield mark.problem(f"the parking slot {slot} is already {other}", expected)


def _check_features(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    """A code that takes digits after it must not begin another code that continues with what could be its argument."""
    codes = {name: code for name, code in configuration.routes.features if code is not None}
    for name in sorted(CODES_WITH_ARGUMENT & set(codes)):
        for other, code in codes.items():
            rest = code.removeprefix(codes[name])
            if other != name and rest != code and rest.isdigit():
                place: Loc = ("routes", "features", name)
                mark = tree.mark_of(place if tree.find(place) else ("routes", "features", other))
                message = (
                    f"the feature code {codes[name]} of {name!r} with an argument could also be {code} of {other!r}"
                )
                yield mark.problem(message, "codes of which none begins another")
                break


def _check_digits(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    digits: Mapping[str, list[tuple[str, str | None]]] = {
        "not_ready_reasons": [(code, reason.digit) for code, reason in configuration.not_ready_reasons.items()],
        "calendars": [(name, calendar.digit) for name, calendar in configuration.calendars.items()],
    }
    for section, entries in digits.items():
        seen: dict[str, str] = {}
        for name, digit in entries:
            if digit is None:
                continue
            if digit in seen:
                mark = tree.mark_of((section, name, "digit"))
                yield mark.problem(f"the digit {digit} of {name!r} is already that of {seen[digit]!r}", "another digit")
            seen.setdefault(digit, name)


# --- inbound ------------------------------------------------------------------------------------------------------


def _check_inbound(routes: tuple[InboundRoute, ...], tree: Node) -> Iterator[Problem]:
    """Two routes of the same rank for one number: which of them is meant cannot be told.

    A more specific route is an exception to a general one, and allowed.
    """
    exact: dict[str, list[int]] = {}
    patterns: list[int] = []
    for index, route in enumerate(routes):
        rivals = exact.get(route.did.text, []) if route.did.is_exact else patterns
        for other in rivals:
            if _clash(routes[other], route):
                loc: Loc = ("routes", "inbound", index, "did")
                first = tree.mark_of(("routes", "inbound", other, "did"))
                message = f"{spell(loc)}: {route.did} overlaps {routes[other].did} of {first.file}:{first.line}"
                hint = "calls to a number that fits both could go either way"
                yield tree.mark_of(loc).problem(
                    message, "numbers of its own, or a trunk or caller to tell them apart", hint
                )
                break
        if route.did.is_exact:
            exact.setdefault(route.did.text, []).append(index)
        else:
            patterns.append(index)


def _clash(a: InboundRoute, b: InboundRoute) -> bool:
    if not a.did.overlaps(b.did) or (a.trunk and b.trunk and a.trunk != b.trunk):
        return False
    if a.caller and b.caller and not a.caller.overlaps(b.caller):
        return False
    return a.rank == b.rank


# --- outbound -----------------------------------------------------------------------------------------------------


def _check_outbound(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    names: dict[str, int] = {}
    routes = configuration.routes.outbound
    for index, route in enumerate(routes):
        loc: Loc = ("routes", "outbound", index)
        if route.name in names:
            mark = tree.mark_of((*loc, "name"))
            yield mark.problem(f"there are two outbound routes {route.name!r}", "a name of its own")
        names.setdefault(route.name, index)
        shadow = next((other for other in range(index) if _shadows(routes[other], route)), None)
        if shadow is not None:
            first = tree.mark_of(("routes", "outbound", shadow, "match"))
            message = (
                f"the outbound route {route.name!r} is never reached: {routes[shadow].name!r} takes all its numbers"
            )
            hint = f"move it before {routes[shadow].name!r} ({first.file}:{first.line})"
            yield tree.mark_of((*loc, "match")).problem(message, "special patterns before general ones", hint)


def _shadows(first: OutboundRoute, second: OutboundRoute) -> bool:
    """Whether no call ever gets past the first to the second."""
    if first.calendar is not None or first.permission not in (None, second.permission):
        return False
    return all(any(wide.covers(narrow) for wide in first.match) for narrow in second.match)
