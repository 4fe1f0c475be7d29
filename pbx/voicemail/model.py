"""What is known of a mailbox, and what the machine wants done. Times are seconds since 1970 (UTC)."""

from __future__ import annotations

from typing import Literal

import msgspec

from pbx.core.lockout import Lockout

State = Literal["new", "heard", "saved", "deleted"]
Change = Literal["heard", "saved", "deleted", "restored"]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of one mailbox."""

    max_messages: int = 100
    """Deleted ones do not count."""
    retention_s: float = 0.0
    """Messages older than this go; 0: never."""
    max_wrong_pins: int = 5
    """So many in a row shut the mailbox ..."""
    lock_s: float = 900.0
    """... for so long."""


class VoiceMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, as it is kept."""

    id: str
    mailbox: str
    call: str
    caller: str
    at: float
    seconds: float
    path: str
    """Of its audio, below the voicemail folder."""
    sources: tuple[str, ...] = ()
    """Recordings it is still to be made of, below the recordings' folder or (forwarded ones) the voicemail folder with
    ``voicemail:`` in front; empty once the audio is in its place."""
    ready: bool = False
    """It may be listened to."""
    urgent: bool = False
    state: State = "new"
    before: State = "new"
    """What it was when it was deleted."""
    deleted_at: float = 0.0
    forwarded_by: str = ""
    """Number of the mailbox it was forwarded from."""


class Access(Lockout, frozen=True, kw_only=True, omit_defaults=True):
    """What the owner of a mailbox chose, and who tried to get in."""

    mailbox: str
    pin_hash: str = ""
    """Salted; empty: the PIN of the configuration, if there is one."""
    greeting: str = ""
    """Path of the greeting recorded by phone, below the voicemail folder."""

    def __repr__(self) -> str:
        return f"Access(mailbox={self.mailbox!r}, wrong={self.wrong}, locked_until={self.locked_until})"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """As RFC 3842 counts messages; ``new`` and ``old`` have the urgent ones among them."""

    new: int = 0
    old: int = 0
    urgent_new: int = 0
    urgent_old: int = 0


# --- what the machine wants done ----------------------------------------------------------------------------------


class Output(msgspec.Struct, frozen=True):
    pass


class KeepMessage(Output, frozen=True):
    """Write it down."""

    message: VoiceMessage


class DropMessage(Output, frozen=True):
    """It is gone for good: forget the row and its audio."""

    message: VoiceMessage


class KeepAccess(Output, frozen=True):
    access: Access


class MakeAudio(Output, frozen=True):
    """Make one mono file of the sources, one after the other; answered by :meth:`Mailboxes.made`."""

    key: str
    """The message's id, or ``greeting:NUMBER``."""
    sources: tuple[str, ...]
    path: str


class RemoveAudio(Output, frozen=True):
    path: str


class Waiting(Output, frozen=True):
    """A mailbox holds these messages now."""

    mailbox: str
    counts: Counts


class Arrived(Output, frozen=True):
    """A message can be listened to."""

    message: VoiceMessage


class Expired(Output, frozen=True):
    """Its time was over."""

    message: VoiceMessage


AnyOutput = KeepMessage | DropMessage | KeepAccess | MakeAudio | RemoveAudio | Waiting | Arrived | Expired
