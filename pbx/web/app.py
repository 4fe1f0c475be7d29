"""The HTTP API. Everything but /health needs a token."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pbx.ports.backend import Backend, Health
from pbx.storage.database import StorageUnavailable

from . import history, live, sessions
from .access import BackendOf, find_actor
from .answer import answer, describes, make_openapi
from .metrics import CONTENT_TYPE, render_metrics

MAX_BODY = 1 << 20


class LimitBody:
    """ASGI middleware: a body that says it is too large is refused before it is read; chunked ones are not taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"0")
            if b"transfer-encoding" in headers or not length.isdigit() or int(length) > MAX_BODY:
                refuse = JSONResponse({"detail": f"a body has a length, of at most {MAX_BODY} bytes"}, 413)
                await refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(backend: Backend) -> FastAPI:
    app = FastAPI(
        title="Tandem",
        version=version("tandem-pbx"),
        description="Live state, records, recordings and commands of a call centre. Events: the CTI socket at `/cti`.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.backend = backend
    for part in (sessions.router, live.router, history.router):
        app.include_router(part)
    app.add_middleware(LimitBody)

    @app.exception_handler(StorageUnavailable)
    async def handle_away(request: Request, error: StorageUnavailable) -> Response:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})

    @app.get("/health", tags=["system"], responses=describes(Health))
    async def read_health(backend: BackendOf) -> Response:
        """Open to everybody. 503 where no calls are taken."""
        health = backend.health()
        return answer(health, status=200 if health.status in ("ok", "degraded") else 503)

    @app.get("/metrics", tags=["system"])
    async def read_metrics(request: Request, backend: BackendOf) -> Response:
        """For Prometheus. Needs a token unless the configuration says `metrics_open`."""
        if not backend.metrics_open:
            actor = await find_actor(request, backend, request.headers.get("Authorization", ""))
            if actor.role not in ("supervisor", "administrator"):
                raise HTTPException(403, f"the role {actor.role} may not do this")
        return Response(render_metrics(backend), media_type=CONTENT_TYPE)

    @app.get("/openapi.json", tags=["system"])
    async def read_openapi(request: Request, backend: BackendOf) -> Response:
        """This description."""
        await find_actor(request, backend, request.headers.get("Authorization", ""))
        return JSONResponse(make_openapi(app))

    return app
