"""What the switch wants done by the shell around it, in order."""

from __future__ import annotations

from typing import Any

import msgspec

from media.protocol import AnyCommand as MediaCommand
from pbx.cti.commands import CommandDone
from pbx.events.catalogue import Record
from pbx.sip.events import Dropped, Registered, Transmit, Unregistered


class Output(msgspec.Struct, frozen=True):
    pass


class Append(Output, frozen=True):
    """Append to the event log. The shell keeps the order and tells nobody before it is on disk."""

    record: Record


class ToGateway(Output, frozen=True):
    """A command for a media gateway."""

    gateway: str
    command: MediaCommand


class Fetch(Output, frozen=True):
    """An HTTP request of a flow; the answer comes back as ``Switch.fetched`` with the same key."""

    key: tuple[str, str]
    """(call, request)."""
    url: str
    method: str
    headers: dict[str, str]
    query: dict[str, str]
    body: Any
    timeout: float
    retries: int
    max_bytes: int
    secret: bool


class Query(Output, frozen=True):
    """A read-only statement of a flow on a business database; answered by ``Switch.queried``."""

    key: tuple[str, str]
    source: str
    statement: str
    params: dict[str, Any]
    timeout: float
    max_rows: int


class Recognise(Output, frozen=True):
    """Something a caller said; what a recogniser makes of it comes back through ``Switch.answer_request``."""

    key: tuple[str, str]
    language: str
    phrases: tuple[str, ...]
    digits: bool
    rate: int
    samples: bytes
    """Mono, 16 bits, little-endian."""

    def __repr__(self) -> str:
        return f"Recognise(key={self.key!r}, language={self.language!r}, bytes={len(self.samples)})"


class FetchCertificate(Output, frozen=True):
    """A provider's certificate by https; answered by ``Switch.certificate_fetched`` with the same URL, always."""

    url: str


class Notify(Output, frozen=True):
    """An SMS or e-mail through the configured gateway or mail server; nobody waits for it."""

    kind: str
    to: str
    text: str
    subject: str
    attachment: str = ""
    """Path of a WAV file."""


class KeepVoicemail(Output, frozen=True):
    """State of a mailbox or a message as it must be found after a restart; empty ``state``: it is gone."""

    key: str
    state: str


class MakeMessageAudio(Output, frozen=True):
    """Make one file of what callers said in ``sources``; answered by ``Voicemail.made`` with the same key."""

    key: str
    sources: tuple[str, ...]
    path: str


class RemoveMessageAudio(Output, frozen=True):
    path: str


class CheckPin(Output, frozen=True):
    """Whether a PIN fits a salted hash, which takes its time; answered by ``Voicemail.pin_checked``."""

    request: str
    pin: str
    pin_hash: str

    def __repr__(self) -> str:
        return f"CheckPin(request={self.request!r}, pin=<secret>)"


class HashPin(Output, frozen=True):
    """Make a salted hash of a PIN; answered by ``Voicemail.pin_hashed``."""

    request: str
    pin: str

    def __repr__(self) -> str:
        return f"HashPin(request={self.request!r}, pin=<secret>)"


VoicemailWork = MakeMessageAudio | RemoveMessageAudio | CheckPin | HashPin


class Checkpoint(Output, frozen=True):
    """The state of a call as it must be found after a restart; empty ``state``: the call is over."""

    call: str
    state: bytes


class Note(Output, frozen=True):
    """A line for the server's log."""

    level: str
    text: str
    call: str = ""
    details: dict[str, Any] = {}


class Broadcast(Output, frozen=True):
    """A message to desktops that is no fact of the domain."""

    sender: str
    text: str
    agents: tuple[str, ...]
    queues: tuple[str, ...]
    teams: tuple[str, ...]


AnyOutput = (
    Append
    | ToGateway
    | Fetch
    | Query
    | Recognise
    | Notify
    | KeepVoicemail
    | MakeMessageAudio
    | RemoveMessageAudio
    | CheckPin
    | HashPin
    | FetchCertificate
    | CommandDone
    | Checkpoint
    | Note
    | Broadcast
    | Dropped
    | Transmit
    | Registered
    | Unregistered
)
