"""`voicemail:NUMBER` as a destination: a flow made from the mailbox's configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pbx.config.model import Extension, Mailbox
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
    "saved": {"en": "Your message has been kept. Goodbye.", "zh": "您的留言已保存。再见。"},
    "nothing": {"en": "We did not hear a message. Goodbye.", "zh": "没有录到内容。再见。"},
    "failed": {
        "en": "We are sorry, messages cannot be taken now. Please call again later.",
        "zh": "抱歉，现在无法留言，请稍后再拨。",
    },
}


def make_mailbox_flow(extension: Extension, mailbox: Mailbox, greeting: str = "") -> Flow:
    """The flow that takes a message for ``extension``. ``greeting``: path of a recorded one."""
    # What looks like an expression would be taken for one.
    name = extension.name.replace("{{", "{ {")
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
        "mailbox": extension.number,
        "greeting": "greeting",
        "max": f"{mailbox.max_seconds:g}s",
        "nothing": "nothing",
        "failed": "failed",
    }
    described = {
        "title": {"en": "Mailbox", "zh": "语音信箱"},
        "language": "zh",
        "languages": ["zh", "en"],
        "prompts": prompts,
        "start": "start",
        "nodes": {
            "start": ["answer", {"voicemail": message}, {"play": "saved"}, "hangup"],
            "nothing": [{"play": "nothing"}, "hangup"],
            "failed": [{"play": "failed"}, "hangup"],
        },
    }
    # JSON is YAML.
    flow, problems = load_flow(Path(f"{PREFIX}{extension.number}"), msgspec.json.encode(described).decode())
    if flow is None:
        raise ConfigurationErrors(problems)
    return flow
