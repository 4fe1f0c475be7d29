"""The AsyncAPI 3 description of the CTI socket, made from the types and the tables of permissions.

Operations are written from the server's point of view, as AsyncAPI wants it: it *receives* commands and *sends* events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pbx.events.catalogue import AnyEvent, Record

from . import protocol as p
from .commands import COMMANDS, Accepted
from .permissions import COMMAND_ROLES, EVENT_ROLES

_TEMPLATE = "#/components/schemas/{name}"
RESULTS: dict[str, Any] = {
    "Authenticate": p.Welcome,
    "Subscribe": p.Subscribed,
    "Unsubscribe": p.Position,
    "Ping": p.Position,
}
"""What the protocol's own requests are answered with; commands are answered with their result data, an object."""


def read_summary(kind: type[Any]) -> str:
    """The first paragraph of a type's docstring in one line; empty where it only has the one msgspec makes."""
    doc = kind.__doc__ or ""
    return " ".join(doc.strip().split("\n\n")[0].split())


def _list_kinds() -> list[Any]:
    return [*COMMANDS.values(), *p.REQUESTS.values(), *RESULTS.values(), *p.NOTIFICATIONS.values(), Accepted, Record]


def make_schemas() -> dict[str, Any]:
    """JSON Schema of every struct that is sent or received, by name."""
    _, components = msgspec.json.schema_components(_list_kinds(), ref_template=_TEMPLATE)
    # The tag says nothing new in params: the method is there already.
    for name in COMMANDS:
        components[name]["properties"].pop("type", None)
        components[name]["required"] = [field for field in components[name].get("required", []) if field != "type"]
        components[name].setdefault("additionalProperties", False)
    return components


def _refer(name: str) -> dict[str, str]:
    return {"$ref": _TEMPLATE.format(name=name)}


def _make_request(method: str, *, unique: bool) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string", "maxLength": 64}
    if unique:
        text |= {"minLength": 8, "description": "Never used before by this user; the same again repeats the answer."}
    return {
        "type": "object",
        "required": ["jsonrpc", "id", "method"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": text if unique else {"anyOf": [text, {"type": "integer"}]},
            "method": {"const": method},
            "params": _refer(method),
        },
    }


def _make_response(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["jsonrpc", "id"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["string", "integer", "null"]},
            "result": result,
            "error": _refer("Error"),
        },
    }


def _make_notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["jsonrpc", "method", "params"],
        "properties": {"jsonrpc": {"const": "2.0"}, "method": {"const": method}, "params": params},
    }


def _make_event_params(kind: type[Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["seq", "at", "event"],
        "properties": {
            "seq": {"type": "integer", "description": "Counts up by one over the life of the installation."},
            "at": {"type": "number", "description": "Seconds since 1970, UTC."},
            "event": _refer(kind.__name__),
        },
    }


def _make_error() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string", "description": "For people; may change."},
            "data": {
                "type": "object",
                "properties": {"code": {"enum": list(p.ERROR_NUMBERS), "description": "For programs; stable."}},
            },
        },
    }


def make_asyncapi() -> dict[str, Any]:
    """The whole document."""
    messages: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for method, kind in {**p.REQUESTS, **COMMANDS}.items():
        command = COMMANDS.get(method)
        result = _refer(RESULTS[method].__name__) if method in RESULTS else {"type": "object"}
        messages[method] = {
            "title": method,
            "summary": read_summary(kind),
            "payload": _make_request(method, unique=command is not None),
        }
        messages[f"{method}Response"] = {"title": f"{method}Response", "payload": _make_response(result)}
        operations[method] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/cti"},
            "summary": read_summary(kind),
            "messages": [_in_channel(method)],
            "reply": {"channel": {"$ref": "#/channels/cti"}, "messages": [_in_channel(f"{method}Response")]},
        }
        if command is not None:
            operations[method]["x-roles"] = sorted(COMMAND_ROLES[command])
    for kind in AnyEvent.__args__:
        name = kind.__name__
        messages[name] = {
            "title": name,
            "summary": read_summary(kind),
            "payload": _make_notification("event", _make_event_params(kind)),
            "x-roles": sorted(EVENT_ROLES[name]),
        }
    for method, note in p.NOTIFICATIONS.items():
        messages[note.__name__] = {
            "title": note.__name__,
            "summary": read_summary(note),
            "payload": _make_notification(method, _refer(note.__name__)),
        }
    events = [kind.__name__ for kind in AnyEvent.__args__]
    operations["events"] = _make_sending("Durable events that concern the subscriber, each once, in order.", events)
    notes = [note.__name__ for note in p.NOTIFICATIONS.values()]
    operations["notifications"] = _make_sending("What is no event.", notes)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tandem CTI",
            "version": f"{p.VERSION}.0.0",
            "description": "JSON-RPC 2.0 over WebSocket; services and events carry the names of ECMA-269 (CSTA). "
            "docs/cti.md explains the protocol.",
        },
        "servers": {
            "local": {
                "host": "localhost:8080",
                "protocol": "ws",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
        },
        "channels": {
            "cti": {
                "address": "/cti",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": make_schemas() | {"Error": _make_error()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _make_sending(summary: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/cti"},
        "summary": summary,
        "messages": [_in_channel(name) for name in names],
    }


def _in_channel(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/cti/messages/{name}"}
