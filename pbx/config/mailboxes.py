"""Voice mailboxes: of an extension, or shared by several."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pbx.config.base import KEY, InternalNumber, Label, Language, Model, PromptRef, Seconds, Secret


class Mailbox(Model):
    """A voice mailbox."""

    email: str = ""
    """Messages are sent here too; empty: not."""
    attach: bool = True
    """Whether the e-mail carries the message as a WAV file; needs `notices: smtp:`."""
    greeting: PromptRef | None = None
    """Prompt played before the tone; default: recorded by phone, else a standard one."""
    max_seconds: Annotated[Seconds, Field(ge=5, le=3600)] = 180.0
    """Longest message."""
    silence: Annotated[Seconds, Field(ge=0, le=60)] = 5.0
    """A message ends after so much silence; 0: never."""
    max_messages: Annotated[int, Field(ge=1, le=10_000)] = 100
    """More are not taken; callers are told that the mailbox is full."""
    retention_days: Annotated[int, Field(ge=0)] = 0
    """Messages older than this are deleted; 0: never."""
    pin: Secret | None = None
    """PIN for other phones until the owner chooses one by phone; default: only the own phone gets in until then."""
    pin_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """So many wrong PINs in a row lock the mailbox for other phones ..."""
    pin_lock: Annotated[Seconds, Field(ge=1)] = 900.0
    """... for so long."""


class SharedMailbox(Mailbox):
    """A mailbox of its own number: of a team, a queue or a company."""

    number: Annotated[InternalNumber, Field(json_schema_extra=KEY)]
    """Number of the mailbox: the key it stands under; calls to it leave a message."""
    name: Label
    """Told to callers and in e-mails."""
    language: Language | None = None
    """Language of its e-mails; default: the server's."""
    members: tuple[InternalNumber, ...] = ()
    """Extensions that get in without a PIN."""
