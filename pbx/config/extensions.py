"""extensions.yaml: phones and the groups they ring in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from pbx.config.base import (
    KEY,
    AlsoWritten,
    InternalNumber,
    Label,
    Language,
    Model,
    Name,
    PhoneNumber,
    Seconds,
    Secret,
    Target,
    refuse,
)
from pbx.config.mailboxes import Mailbox
from pbx.config.recording import Policy
from pbx.config.server import Networks
from pbx.config.trunks import Codec


class Ha1(Model):
    """Digest hashes of user:realm:password (RFC 7616 section 3.4.2), for passwords chosen elsewhere."""

    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$", to_lower=True)] | None = None
    """MD5, 32 hexadecimal digits."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)] | None = None
    """SHA-256, 64 hexadecimal digits."""

    @model_validator(mode="after")
    def _check_some(self) -> Ha1:
        if self.md5 is None and self.sha256 is None:
            raise refuse("there is no hash", "md5: or sha256:, or both")
        return self

    def __repr__(self) -> str:
        return "Ha1(<secret>)"

    __str__ = __repr__


class Forwards(Model):
    """Where calls go instead."""

    always: Target | None = None
    """Every call, without ringing."""
    busy: Target | None = None
    """When the phone is busy or declines."""
    no_answer: Target | None = None
    """When nobody answers within the extension's `ring_seconds`."""
    unreachable: Target | None = None
    """When no phone is registered; default: as no_answer."""


def _read_mailbox(value: object) -> object:
    if value in ("yes", "true", "on", True):
        return {}
    return None if value in ("no", "false", "off", False) else value


class Extension(Model):
    """A number inside, with its phones."""

    number: Annotated[InternalNumber, Field(json_schema_extra=KEY)]
    """Number of the extension: the key it stands under; also its digest user name."""
    name: Label
    """Shown on other phones."""
    secret: Secret | None = None
    """Password of its phones; default: {generated: extension-NUMBER}."""
    ha1: Ha1 | None = None
    """Hashes instead of a password."""
    max_contacts: Annotated[int, Field(ge=1, le=50)] = 3
    """Phones that may be registered at the same time; one more replaces the oldest."""
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] = ("PCMA", "PCMU")
    """Codecs in order of preference."""
    srtp: Literal["off", "optional", "required"] = "optional"
    """SRTP with keys in SDP (RFC 4568); there is no DTLS-SRTP, so browsers cannot talk yet."""
    dtmf: Literal["rfc4733", "info", "inband"] = "rfc4733"
    """How digits travel."""
    caller_id: PhoneNumber | None = None
    """Its number on outside calls; default: the trunk's."""
    language: Language | None = None
    """Language of announcements on this phone; default: the server's."""
    ring_seconds: Annotated[Seconds, Field(ge=1, le=600)] = 30.0
    """How long it rings before no_answer."""
    forwards: Forwards = Forwards()
    """Diversions at the start; the user may change them by feature code."""
    do_not_disturb: bool = True
    """Whether the user may turn on do-not-disturb."""
    call_waiting: bool = True
    """Whether a second call rings during a call."""
    voicemail: Annotated[Mailbox | None, BeforeValidator(_read_mailbox), AlsoWritten({"type": "boolean"})] = None
    """Voice mailbox: yes, or a mapping with details."""
    pickup_group: Name | None = None
    """Members pick up each other's ringing calls with the pickup code."""
    permissions: tuple[Name, ...] = ()
    """Permission classes of outbound routes it may use; routes without a class are for all."""
    recording: Policy | None = None
    """Recording of its calls; default: the general policy."""
    networks: Networks = ()
    """Only phones in these networks may register; empty: from anywhere."""

    @model_validator(mode="after")
    def _check_secret(self) -> Extension:
        if self.secret is not None and self.ha1 is not None:
            raise refuse(f"the extension {self.number} has both a secret and hashes", "secret: or ha1:")
        return self


class RingGroup(Model):
    """Phones that ring together or in turn."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the group: the key it stands under."""
    number: InternalNumber | None = None
    """Number to dial it inside."""
    members: Annotated[tuple[PhoneNumber, ...], Field(min_length=1)]
    """Extensions, or outside numbers with + in front."""
    strategy: Literal["simultaneous", "in_turn"] = "simultaneous"
    """All at once, or one after the other."""
    ring_seconds: Annotated[Seconds, Field(ge=1, le=600)] = 20.0
    """For all together, or for each in turn."""
    delays: tuple[Seconds, ...] = ()
    """Simultaneous: how long after the first each member begins to ring; empty: all at once."""
    fallback: Target = Field(default="hangup:no_answer", validate_default=True)
    """Where the call goes when nobody answers."""

    @model_validator(mode="after")
    def _check_delays(self) -> RingGroup:
        if self.delays and len(self.delays) != len(self.members):
            raise refuse(
                f"there are {len(self.delays)} delays for {len(self.members)} members", "one delay for each member"
            )
        return self
