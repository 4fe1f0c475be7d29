"""Which prompts flows have, what each says in each language, and whether somebody has recorded it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from pbx.ivr.flow import Flow
from pbx.ivr.options import PromptItem
from pbx.ivr.run import pick_language

Kind = Literal["recorded", "synthesised", "composed", "sound"]
"""``composed``: values are filled in, so it cannot be recorded in one piece; ``sound``: files, tones, music."""


class PromptEntry(NamedTuple):
    """One prompt in one language."""

    flow: str
    name: str
    language: str
    kind: Kind
    text: str
    recording: str
    """Path of the recording, if there is one."""


def list_prompts(flows: Iterable[Flow]) -> Iterator[PromptEntry]:
    """Every named prompt of the flows, per language."""
    for flow in flows:
        for name, versions in flow.prompts.items():
            for language in flow.languages:
                items = versions[pick_language(versions, language, flow.language)]
                recording = flow.recordings.get((language, name), "")
                text, plain = _read(items, language, flow.language)
                kind: Kind = "recorded" if recording else _kind(text, plain)
                yield PromptEntry(flow.name, name, language, kind, text, recording)


def _read(items: tuple[PromptItem, ...], language: str, default: str) -> tuple[str, bool]:
    """The words of a prompt, and whether they are the same for every caller."""
    templates = [item.say[pick_language(item.say, language, default)] for item in items if item.say]
    return " ".join(template.source for template in templates), all(template.is_plain for template in templates)


def _kind(text: str, plain: bool) -> Kind:
    if not text:
        return "sound"
    return "synthesised" if plain else "composed"
