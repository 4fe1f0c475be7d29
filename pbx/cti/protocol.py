"""JSON-RPC 2.0 as it is spoken on ``/cti``: what is read, what is sent, and the numbers of errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pbx.events.folds.live import LiveAgent, LiveCall, LiveContact, LiveQueue, LiveTrunk
from pbx.events.folds.wallboard import QueueRow

from .commands import Accepted, CommandRejected, CommandResult, ErrorCode

MAX_MESSAGE = 65_536
"""Bytes of one message from a client."""
VERSION = 1
"""Of the protocol; goes up only where an old client would break."""

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_NOT_AUTHENTICATED = 4001
CLOSE_SLOW_READER = 4002
CLOSE_FLOOD = 4003
CLOSE_REVOKED = 4004
CLOSE_RESUBSCRIBE = 4005
"""WebSocket close codes (RFC 6455 section 7.4.2: 4000-4999 are ours)."""

RpcId: TypeAlias = str | int

ERROR_NUMBERS: dict[ErrorCode, int] = {
    "bad_request": -32602,
    "unknown_command": -32601,
    "not_authenticated": -32001,
    "forbidden": -32002,
    "unknown_object": -32003,
    "wrong_state": -32004,
    "busy": -32005,
    "unreachable": -32006,
    "not_supported": -32007,
    "limit_exceeded": -32008,
    "id_reused": -32009,
    "draining": -32010,
    "timeout": -32011,
    "failed": -32000,
}
PARSE_ERROR = -32700
INVALID_REQUEST = -32600


class Request(msgspec.Struct, frozen=True, kw_only=True):
    jsonrpc: Literal["2.0"]
    method: Annotated[str, Meta(min_length=1, max_length=64)]
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: Annotated[str, Meta(max_length=64)] | int | UnsetType = UNSET


class Authenticate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First message, where the token was not in the Authorization header or the subprotocol."""

    token: Annotated[str, Meta(min_length=8, max_length=512)]


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to be told. Nothing named: everything that concerns the user. Replaces an earlier subscription."""

    since: Annotated[int, Meta(ge=0)] | None = None
    """Last sequence number seen: the events after it follow. Without it: a snapshot, and the events after that."""
    own: bool = False
    """The agent this user is."""
    agents: Annotated[tuple[str, ...], Meta(max_length=5000)] = ()
    queues: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    teams: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    all: bool = False
    """Everything that concerns the user; what a role sees is in the table of permissions."""
    events: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    """Types of events wanted; empty: all."""
    wallboard: bool = False
    """Also the numbers of these queues once a second, as ``wallboard`` notifications."""


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No more events; commands go on."""


class Ping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answered with the newest sequence number."""


REQUESTS: dict[str, type[Authenticate | Subscribe | Unsubscribe | Ping]] = {
    kind.__name__: kind for kind in (Authenticate, Subscribe, Unsubscribe, Ping)
}


# --- what the server sends ------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Result of Authenticate."""

    user: str
    role: str
    agent: str
    seq: int
    """Newest event."""
    version: int = VERSION


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is now, of that which concerns the user."""

    at: float
    calls: list[LiveCall]
    agents: list[LiveAgent]
    queues: list[LiveQueue]
    trunks: list[LiveTrunk] = []
    registrations: dict[str, list[LiveContact]] = {}


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """These events are not kept any more (or, for ``future``, were never known here): a snapshot takes their place."""

    first: int
    last: int
    reason: Literal["retention", "future"]


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of Subscribe."""

    seq: int
    """Events after this number follow."""
    resumed: bool
    snapshot: Snapshot | None = None
    gap: Gap | None = None


class CallContext(msgspec.Struct, frozen=True, kw_only=True):
    """``call``: a call that ran already now concerns the user; the event by which it does comes next."""

    seq: int
    call: LiveCall


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """``position``: nothing up to this number concerned you; resume from here."""

    seq: int


class WallboardRows(msgspec.Struct, frozen=True, kw_only=True):
    """``wallboard``: queues whose numbers changed, and those where somebody waits; at most once a second."""

    at: float
    seq: int
    queues: list[QueueRow]


class TextMessage(msgspec.Struct, frozen=True, kw_only=True):
    """``message``: a supervisor's line of text. Not an event: it is not repeated."""

    sender: str
    text: str


NOTIFICATIONS: dict[str, type[msgspec.Struct]] = {
    "call": CallContext,
    "position": Position,
    "wallboard": WallboardRows,
    "message": TextMessage,
}
"""Beside ``event``, whose params are a record of the log."""

decode_request = msgspec.json.Decoder(Request).decode
_encode = msgspec.json.Encoder().encode
_EVENT_HEAD = b'{"jsonrpc":"2.0","method":"event","params":'


def make_event(record_json: str) -> bytes:
    """One notification for all peers: the record is taken as it is stored."""
    return _EVENT_HEAD + record_json.encode() + b"}"


def make_notification(method: str, params: Any) -> bytes:
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})


def make_result(id: RpcId, result: Any) -> bytes:
    return _encode({"jsonrpc": "2.0", "id": id, "result": result})


def make_error(id: RpcId | None, code: ErrorCode, message: str, *, number: int | None = None) -> bytes:
    shown = ERROR_NUMBERS[code] if number is None else number
    return _encode({"jsonrpc": "2.0", "id": id, "error": {"code": shown, "message": message, "data": {"code": code}}})


def make_answer(id: RpcId, result: CommandResult) -> bytes:
    """The response to a command."""
    if isinstance(result, Accepted):
        return make_result(id, result.data)
    assert isinstance(result, CommandRejected)
    return make_error(id, result.code, result.message)
