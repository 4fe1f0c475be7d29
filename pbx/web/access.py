"""Who asks over HTTP: the Bearer token, and the roles a route is for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from pbx.adapters.gatekeeper import TooManyFailures
from pbx.cti.actor import Actor, Role
from pbx.cti.permissions import Scope, find_scope
from pbx.ports.backend import Backend


def get_backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


BackendOf = Annotated[Backend, Depends(get_backend)]


def get_address(request: Request) -> str:
    return request.client.host if request.client else ""


async def find_actor(
    request: Request, backend: BackendOf, authorization: Annotated[str, Header(max_length=600)] = ""
) -> Actor:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "a Bearer token is needed", {"WWW-Authenticate": "Bearer"})
    try:
        actor = await backend.gatekeeper.check_token(token.strip(), get_address(request))
    except TooManyFailures as error:
        raise HTTPException(429, str(error), {"Retry-After": "60"}) from None
    if actor is None:
        raise HTTPException(401, "this token is not valid", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return actor


ActorOf = Annotated[Actor, Depends(find_actor)]


def allow(*roles: Role) -> Callable[[Actor], Awaitable[Actor]]:
    """Dependency: only these roles."""

    async def check(actor: ActorOf) -> Actor:
        if actor.role not in roles:
            raise HTTPException(403, f"the role {actor.role} may not do this")
        return actor

    return check


Administrator = Annotated[Actor, Depends(allow("administrator"))]
Listener = Annotated[Actor, Depends(allow("supervisor", "quality", "administrator"))]


def get_scope(backend: Backend, actor: Actor) -> Scope:
    return find_scope(actor, backend.desk.hub.directory)


def list_visible(backend: Backend, actor: Actor) -> tuple[str, ...] | None:
    """Topics of the call records the user may read; None: all. An agent reads its own, not its whole queue's."""
    scope = get_scope(backend, actor)
    if scope.everything:
        return None
    if actor.role == "agent":
        return (f"agent:{actor.agent}",)
    return tuple(sorted(scope.topics))
