"""What is written through the log's queue, in order: events, and the state that must agree with them."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pbx.events.line import Line


class PutCheckpoint(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="write", tag="checkpoint", gc=False
):
    """State of a call for the restart; empty: the call is over."""

    call: str
    state: bytes = b""


class PutFold(msgspec.Struct, frozen=True, kw_only=True, tag_field="write", tag="fold", gc=False):
    """Snapshot of a fold after ``seq``."""

    name: str
    seq: int
    state: bytes


class PutBinding(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="write", tag="binding", gc=False
):
    """A registration; empty ``binding``: it is gone."""

    extension: str
    contact: str
    expires_at: float = 0.0
    """Wall clock."""
    binding: str = ""


class PutVoicemail(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="write", tag="voicemail", gc=False
):
    """A message or a mailbox's own settings; empty ``state``: it is gone."""

    key: str
    state: str = ""


class PutAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="write", tag="answer", gc=False):
    """What a CTI command was answered."""

    user: str
    request: str
    at: float
    answer: str


Write: TypeAlias = Line | PutCheckpoint | PutFold | PutBinding | PutVoicemail | PutAnswer

encode_write = msgspec.json.Encoder().encode
decode_write = msgspec.json.Decoder(Write).decode
