"""Every name in the configuration refers to something that exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pbx.config.messages import Loc, bare_type, spell, type_inside
from pbx.config.model import Configuration
from pbx.core.destination import Destination, parse_destination
from pbx.core.problems import Problem
from pbx.core.references import References, suggest
from pbx.core.yaml_tree import Node

REFERENCES: tuple[tuple[str, str, str], ...] = (
    # where (keys of a mapping or entries of a list, or the text itself), what is meant, set of References
    ("agents.*.extension", "extension", "extensions"),
    ("agents.*.queues", "queue", "queues"),
    ("agents.*.team", "team", "teams"),
    ("dispositions.*.queues", "queue", "queues"),
    ("mailboxes.*.members", "extension", "extensions"),
    ("extensions.*.permissions", "permission of an outbound route", "permissions"),
    ("queues.*.calendar", "calendar", "calendars"),
    ("queues.*.callback.calendar", "calendar", "calendars"),
    ("queues.*.callback.permissions", "permission of an outbound route", "permissions"),
    ("queues.*.music", "music class", "music"),
    ("queues.*.widening.*.queues", "queue", "queues"),
    ("routes.inbound.*.calendar", "calendar", "calendars"),
    ("routes.inbound.*.trunk", "trunk", "trunks"),
    ("routes.outbound.*.calendar", "calendar", "calendars"),
    ("routes.outbound.*.trunks", "trunk", "trunks"),
    ("routes.outbound.*.trunks.*.trunk", "trunk", "trunks"),
    ("routes.emergency.*.trunks", "trunk", "trunks"),
    ("routes.parking.music", "music class", "music"),
    ("speech.voices.*.engine", "speech engine", "engines"),
    ("toll_fraud.calendar", "calendar", "calendars"),
    ("trunks.*.listener", "listener", "listeners"),
    ("users.*.agent", "agent", "agents"),
    ("users.*.teams", "team", "teams"),
)


def check_names(tree: Node, known: References) -> Iterator[Problem]:
    """Names and destinations that do not exist, also in items that are wrong otherwise."""
    for where, word, kind in REFERENCES:
        names: frozenset[str] = getattr(known, kind)
        for loc, name in find_names(tree, tuple(where.split("."))):
            if name not in names:
                mark = tree.mark_of(loc) if _is_value(tree, loc, name) else tree.key_mark(loc)
                yield mark.problem(f"{spell(loc)}: there is no {word} {name!r}", "", suggest(name, names))
    yield from _check_members(tree, known)
    for loc, text in find_destinations(tree, Configuration):
        try:
            missing = known.find_missing(parse_destination(text))
        except ValueError:
            continue  # the models say so
        if missing is not None:
            yield tree.mark_of(loc).problem(f"{spell(loc)}: {missing[0]}", "", missing[1])
    people = known.agents | known.users
    for loc, name in find_names(tree, ("teams", "*", "supervisors")):
        if name not in people:
            message = f"{spell(loc)}: there is no agent or user {name!r}"
            yield tree.mark_of(loc).problem(message, "", suggest(name, people))


def check(configuration: Configuration, tree: Node, known: References) -> Iterator[Problem]:
    """Queues nobody serves and skills nobody has: not wrong, but hardly meant."""
    served = {queue for agent in configuration.agents.values() for queue in agent.queues}
    for name, queue in configuration.queues.items():
        loc: Loc = ("queues", name)
        if name not in served and configuration.agents:
            yield _warn(tree, loc, f"no agent serves the queue {name!r}", f"add {name!r} to the queues of an agent")
        wanted: list[tuple[Loc, Mapping[str, int]]] = [((*loc, "skills"), queue.skills)]
        for index, step in enumerate(queue.widening):
            wanted.append(((*loc, "widening", index, "skills"), step.skills or {}))
        for place, skills in wanted:
            for skill in skills:
                if skill not in known.skills:
                    message = f"no agent has the skill {skill!r} that the queue {name!r} requires"
                    yield _warn(tree, (*place, skill), message, suggest(skill, known.skills))


def find_names(node: Node, pattern: tuple[str, ...], loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """The texts at ``pattern``: a text itself, the entries of a list, the keys of a mapping."""
    if not pattern:
        if isinstance(node.value, str):
            yield loc, node.value
        elif isinstance(node.value, dict):
            yield from (((*loc, key), key) for key in node.value)
        elif isinstance(node.value, list):
            for position, item in enumerate(node.value):
                if isinstance(item.value, str):
                    yield (*loc, position), item.value
        return
    if pattern[0] == "*":
        children: Mapping[Any, Node] = {}
        if isinstance(node.value, dict):
            children = node.value
        elif isinstance(node.value, list):
            children = dict(enumerate(node.value))
        for step, child in children.items():
            yield from find_names(child, pattern[1:], (*loc, step))
        return
    inner = node.child(pattern[0])
    if inner is not None:
        yield from find_names(inner, pattern[1:], (*loc, pattern[0]))


def _is_value(tree: Node, loc: Loc, name: str) -> bool:
    """Whether the name stands as value of a key, not as the key itself."""
    node = tree.find(loc)
    return node is not None and node.value == name and loc[-1] != name


def find_destinations(node: Node, annotation: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Every text that stands where the models want a destination."""
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            yield from find_destinations(item, type_inside(annotation, key), (*loc, key))
    elif isinstance(node.value, list):
        for position, item in enumerate(node.value):
            yield from find_destinations(item, type_inside(annotation, position), (*loc, position))
    elif isinstance(node.value, str) and bare_type(annotation) is Destination:
        yield loc, node.value


def _check_members(tree: Node, known: References) -> Iterator[Problem]:
    for loc, member in find_names(tree, ("ring_groups", "*", "members")):
        if not member.startswith("+") and member not in known.extensions:
            hint = suggest(member, known.extensions) or "outside numbers begin with +"
            yield tree.mark_of(loc).problem(f"{spell(loc)}: there is no extension {member!r}", "", hint)


def _warn(tree: Node, loc: Loc, message: str, hint: str) -> Problem:
    return tree.key_mark(loc).problem(message, "", hint)._replace(severity="warning")
