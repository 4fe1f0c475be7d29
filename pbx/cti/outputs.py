"""What the CTI hub asks its shell to do, in order."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .actor import Actor
from .commands import AnyCommand


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Send these frames to the peer, in order."""

    peer: int
    frames: list[bytes]


class Close(msgspec.Struct, frozen=True):
    """Say goodbye; nothing is sent to the peer after this."""

    peer: int
    code: int
    reason: str


class CheckToken(msgspec.Struct, frozen=True):
    """Find out whose token this is; answered by ``Hub.token_checked``."""

    peer: int
    token: str

    def __repr__(self) -> str:
        return f"CheckToken(peer={self.peer})"


class ReadLog(msgspec.Struct, frozen=True):
    """Read the log once the peer has taken most of what it was sent; answered by ``Hub.log_read``."""

    peer: int
    since: int
    limit: int


class Execute(msgspec.Struct, frozen=True):
    """Give the command to the switch; answered by ``Hub.done`` with the same ``request_id``."""

    actor: Actor
    command: AnyCommand
    request_id: str


class Explain(msgspec.Struct, frozen=True):
    """Read why a call went as it did; answered by ``Hub.done``."""

    call: str
    request_id: str


class KeepAnswer(msgspec.Struct, frozen=True):
    """Store the answer; once durable: ``Hub.answer_kept``."""

    user: str
    id: str
    answer: str


Output: TypeAlias = Deliver | Close | CheckToken | ReadLog | Execute | Explain | KeepAnswer
