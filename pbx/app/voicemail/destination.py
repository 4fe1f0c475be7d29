"""`voicemail:NUMBER` as a destination: a flow made from the mailbox's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pbx.config.model import Configuration, Mailbox
from pbx.core.problems import ConfigurationErrors
from pbx.ivr.flow import Flow
from pbx.ivr.loader import load_flow

PREFIX = "voicemail:"
"""Begins the names of these flows; no other flow can have it."""

_TEXTS = {
    "greeting": {
        "en": "{name} cannot take your call now. Please leave a message after the tone, then press pound or hang up.",
        "zh": "{name}现在无法接听您的电话。请在提示音后留言，按井号键或挂机结束。",
    },
    "review": {
        "en": "To send your message, press one or hang up. To hear it, press two. To record it again, press three.",
        "zh": "发送留言请按1或直接挂机，收听请按2，重录请按3。",
    },
    "full": {
        "en": "The mailbox of {name} is full. Please call again later.",
        "zh": "{name}的语音信箱已满，请稍后再拨。",
    },
    "saved": {"en": "Your message has been kept. Goodbye.", "zh": "您的留言已保存。再见。"},
    "nothing": {"en": "We did not hear a message. Goodbye.", "zh": "没有录到内容。再见。"},
    "failed": {
        "en": "We are sorry, messages cannot be taken now. Please call again later.",
        "zh": "抱歉，现在无法留言，请稍后再拨。",
    },
}


class Box(NamedTuple):
    """A mailbox, of an extension or shared."""

    number: str
    name: str
    language: str
    settings: Mailbox
    phones: frozenset[str]
    """Extensions that get in without a PIN."""


def find_box(configuration: Configuration, number: str) -> Box | None:
    """The mailbox of this number."""
    extension = configuration.extensions.get(number)
    if extension is not None and extension.voicemail is not None:
        return Box(number, extension.name, extension.language or "", extension.voicemail, frozenset({number}))
    shared = configuration.mailboxes.get(number)
    if shared is not None:
        return Box(number, shared.name, shared.language or "", shared, frozenset(shared.members))
    return None


def list_boxes(configuration: Configuration) -> Iterator[Box]:
    """All mailboxes."""
    for number in (*configuration.extensions, *configuration.mailboxes):
        box = find_box(configuration, number)
        if box is not None:
            yield box


def make_mailbox_flow(box: Box, greeting: str = "") -> Flow:
    """The flow that takes a message for ``box``. ``greeting``: path of a recorded one."""
    mailbox = box.settings
    # What looks like an expression would be taken for one.
    name = box.name.replace("{{", "{ {")
    prompts: dict[str, object] = {
        key: {tag: text.format(name=name) for tag, text in texts.items()} for key, texts in _TEXTS.items()
    }
    if greeting:
        prompts["greeting"] = [{"file": greeting}]
    elif mailbox.greeting is not None and mailbox.greeting.text:
        spoken = dict(mailbox.greeting.text)
        first = next(iter(spoken.values()))
        prompts["greeting"] = {tag: spoken.get(tag, first) for tag in ("en", "zh")}
    message = {
        "mailbox": box.number,
        "greeting": "greeting",
        "max": f"{mailbox.max_seconds:g}s",
        "silence": f"{mailbox.silence:g}s",
        "review": "review",
        "saved": "saved",
        "nothing": "nothing",
        "full": "full",
        "failed": "failed",
    }
    described = {
        "title": {"en": "Mailbox", "zh": "语音信箱"},
        "language": "zh",
        "languages": ["zh", "en"],
        "prompts": prompts,
        "start": "start",
        "nodes": {
            "start": ["answer", {"voicemail": message}, "hangup"],
            "full": [{"play": "full"}, "hangup"],
            "nothing": [{"play": "nothing"}, "hangup"],
            "failed": [{"play": "failed"}, "hangup"],
        },
    }
    # JSON is YAML.
    flow, problems = load_flow(Path(f"{PREFIX}{box.number}"), msgspec.json.encode(described).decode())
    if flow is None:
        raise ConfigurationErrors(problems)
    return flow
