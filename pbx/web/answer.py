"""Answers made of msgspec types, and their schemas in the OpenAPI description."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

_TEMPLATE = "#/components/schemas/{name}"
_types: list[Any] = []


def answer(value: Any, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def describes(kind: Any) -> dict[int | str, dict[str, Any]]:
    """For ``responses=``: a 200 of this type."""
    _types.append(kind)
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)
    return {200: {"description": "OK", "content": {"application/json": {"schema": schema}}}}


def make_openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the components of our own types."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, components = msgspec.json.schema_components(_types, ref_template=_TEMPLATE)
        found.setdefault("components", {}).setdefault("schemas", {}).update(components)
        app.openapi_schema = found
    return app.openapi_schema
