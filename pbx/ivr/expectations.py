"""Comparing what a call did with what its test case expects; every difference is one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pbx.core.destination import HANGUP_CAUSES
from pbx.ivr import messages as m
from pbx.ivr.cases import Expectation
from pbx.ivr.expressions import to_text

if TYPE_CHECKING:
    from pbx.ivr.testing import Record


def compare(expect: Expectation, record: Record) -> list[str]:
    """All differences; empty when the case passes."""
    return [
        *_compare_way(expect, record),
        *_compare_heard(expect, record),
        *_compare_end(expect, record),
        *_compare_facts(expect, record),
    ]


def _compare_way(expect: Expectation, record: Record) -> Iterator[str]:
    if expect.path is not None and list(expect.path) != record.nodes:
        yield f"path: expected {' → '.join(expect.path)}\n          found {' → '.join(record.nodes)}"
    missing = _first_missing(expect.passes, record.nodes, lambda wanted, node: wanted == node)
    if missing:
        yield f"passes: {missing!r} is not passed in this order; the way was {' → '.join(record.nodes)}"


def _compare_heard(expect: Expectation, record: Record) -> Iterator[str]:
    def matches(wanted: str, item: tuple[tuple[str, ...], str]) -> bool:
        return wanted in item[0] or wanted.casefold() in item[1].casefold()

    missing = _first_missing(expect.heard, record.heard, matches)
    if missing:
        yield f"heard: {missing!r} was not heard in this order; heard: {_list(record.heard)}"
    for unwanted in expect.not_heard:
        if any(matches(unwanted, item) for item in record.heard):
            yield f"not_heard: {unwanted!r} was heard"


def _compare_end(expect: Expectation, record: Record) -> Iterator[str]:
    if expect.ended is not None and expect.ended != record.ended:
        faults = "; ".join(f"{f.node}: {f.message}" for f in record.of(m.Fault))
        yield f"ended: expected {expect.ended}, found {record.ended}{f' ({faults})' if faults else ''}"
    elif expect.ended != "error" and record.of(m.Fault):
        yield "fault: " + "; ".join(f"{f.flow}/{f.node}: {f.message}" for f in record.of(m.Fault))
    if expect.cause is not None:
        hangups = record.of(m.Hangup)
        found = hangups[-1].reason if hangups else "no hangup"
        if found != expect.cause:
            yield f"cause: expected {expect.cause} of {', '.join(HANGUP_CAUSES)}, found {found}"
    transfers = [t.destination for t in record.of(m.Transfer)]
    if expect.transferred is not None and transfers != [expect.transferred]:
        yield f"transferred: expected {expect.transferred}, found {transfers or 'no transfer'}"
    if expect.language is not None and expect.language != record.language:
        yield f"language: expected {expect.language}, found {record.language}"


def _compare_facts(expect: Expectation, record: Record) -> Iterator[str]:
    queues = record.of(m.Queue)
    if expect.queue is not None and (not queues or queues[-1].queue != expect.queue):
        yield f"queue: expected {expect.queue}, found {queues[-1].queue if queues else 'none'}"
    if expect.priority is not None and (not queues or queues[-1].priority != expect.priority):
        yield f"priority: expected {expect.priority}, found {queues[-1].priority if queues else 'no queue'}"
    yield from _compare_map("variables", expect.variables, record.variables)
    yield from _compare_map("data", expect.data, record.data)
    yield from _compare_map("tags", expect.tags, {t.tag: t.value for t in record.of(m.Tag)})
    yield from _compare_map("overrides", expect.overrides, {o.calendar: o.state for o in record.of(m.SetOverride)})
    yield from _compare_map("survey", expect.survey, {s.question: s.answer for s in record.of(m.SurveyAnswered)})
    yield from _compare_list("dialled", expect.dialled, [d.destination for d in record.of(m.Dial)])
    yield from _compare_list("messages", expect.messages, [d.mailbox for d in record.of(m.DepositMessage)])
    changes = [f"{c.mailbox} {c.message} {c.change} {c.to}".strip() for c in record.of(m.ChangeMessage)]
    yield from _compare_list("changes", expect.changes, changes)
    yield from _compare_map("greetings", expect.greetings, {g.mailbox: g.path for g in record.of(m.SetGreeting)})
    yield from _compare_list("collected", expect.collected, [d.digits for d in record.of(m.DigitsCollected)])
    sent = [f"{n.kind} {n.to}: {n.subject} {n.text}" for n in record.of(m.Notify)]
    missing = _first_missing(expect.notices, sent, lambda wanted, text: wanted in text)
    if missing:
        yield f"notices: {missing!r} was not sent; sent: {sent or 'none'}"


def _compare_map(what: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if name not in found:
            yield f"{what}: {name} is not there"
        elif not is_same(value, found[name]):
            yield f"{what}: expected {name} = {value!r}, found {found[name]!r}"


def is_same(expected: Any, found: Any) -> bool:
    """Equal; a case file cannot tell the number 7 from the text "7", so they are equal too."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return set(expected) == set(found) and all(is_same(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(is_same(a, b) for a, b in zip(expected, found, strict=True))
    return bool(expected == found) or to_text(expected) == to_text(found)


def _compare_list(what: str, expected: Sequence[str], found: list[str]) -> Iterator[str]:
    if expected and list(expected) != found:
        yield f"{what}: expected {', '.join(expected)}; found {', '.join(found) or 'none'}"


def _first_missing(wanted: Sequence[str], found: Sequence[Any], matches: Any) -> str:
    """The first of ``wanted`` that does not come in its order."""
    rest = iter(found)
    for item in wanted:
        if not any(matches(item, candidate) for candidate in rest):
            return item
    return ""


def _list(heard: list[tuple[tuple[str, ...], str]]) -> str:
    return ", ".join("+".join(n for n in names if n) or words[:30] for names, words in heard) or "nothing"
