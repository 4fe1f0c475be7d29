"""The names that configuration and flows may refer to, and what to say about one that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from pbx.core.destination import Destination

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class References:
    """What exists, by kind."""

    flows: frozenset[str] = _NONE
    queues: frozenset[str] = _NONE
    callback_queues: frozenset[str] = _NONE
    """Queues that take callbacks."""
    queue_keys: frozenset[tuple[str, str]] = frozenset()
    """Queue, and destination of a key pressed while waiting in it."""
    extensions: frozenset[str] = _NONE
    mailboxes: frozenset[str] = _NONE
    """Extensions with a voice mailbox, and shared mailboxes."""
    agents: frozenset[str] = _NONE
    ring_groups: frozenset[str] = _NONE
    conferences: frozenset[str] = _NONE
    trunks: frozenset[str] = _NONE
    calendars: frozenset[str] = _NONE
    music: frozenset[str] = _NONE
    languages: frozenset[str] = _NONE
    skills: frozenset[str] = _NONE
    teams: frozenset[str] = _NONE
    users: frozenset[str] = _NONE
    engines: frozenset[str] = _NONE
    recognisers: frozenset[str] = _NONE
    """Languages in which callers are understood."""
    listeners: frozenset[str] = _NONE
    dispositions: frozenset[str] = _NONE
    slots: frozenset[str] = _NONE
    """Parking slots."""
    sources: frozenset[str] = _NONE
    """Business databases."""
    permissions: frozenset[str] = _NONE
    prompt_folders: tuple[str, ...] = field(default=())

    def find_missing(self, destination: Destination) -> tuple[str, str] | None:
        """None if the destination exists; else what to say and a hint."""
        kinds: dict[str, tuple[str, frozenset[str]]] = {
            "flow": ("flow", self.flows),
            "queue": ("queue", self.queues),
            "extension": ("extension", self.extensions),
            "agent": ("agent", self.agents),
            "group": ("ring group", self.ring_groups),
            "voicemail": ("voice mailbox", self.mailboxes),
            "conference": ("conference room", self.conferences),
            "park": ("parking slot", self.slots),
        }
        if destination.kind not in kinds or (destination.kind == "park" and not destination.name):
            return None
        word, names = kinds[destination.kind]
        if destination.name in names:
            return None
        if destination.kind == "voicemail" and destination.name in self.extensions:
            return f"extension {destination.name} has no voice mailbox", f"add 'voicemail: yes' to {destination.name}"
        return f"there is no {word} {destination.name!r}", suggest(destination.name, names)


def suggest(name: str, names: Iterable[str]) -> str:
    """``did you mean ...?``, or what there is, or nothing."""
    candidates = sorted(set(names))
    close = get_close_matches(name, candidates, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(candidates)}" if 0 < len(candidates) <= 12 else ""
