"""Log in and out, users and their tokens."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from pbx.adapters.gatekeeper import TooManyFailures
from pbx.cti.actor import Actor, Role
from pbx.storage.users import Token, User, UserError

from .access import ActorOf, Administrator, BackendOf, get_address
from .answer import answer, describes

router = APIRouter(prefix="/api", tags=["users"])
SESSION_S = 12 * 3600.0


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    user: Annotated[str, Field(max_length=64)]
    password: Annotated[SecretStr, Field(max_length=1024)]


class UserBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Role
    agent: Annotated[str, Field(max_length=128)] = ""
    teams: Annotated[list[str], Field(max_length=1000)] = []
    password: Annotated[SecretStr | None, Field(max_length=1024)] = None
    """Left out: the one there is stays."""
    enabled: bool = True


class TokenBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: Annotated[str, Field(max_length=128)] = ""
    lifetime_s: Annotated[float | None, Field(gt=0, le=10 * 366 * 86400)] = None


@router.post("/login")
async def log_in(body: Login, request: Request, backend: BackendOf) -> dict[str, str | float]:
    """A token for twelve hours."""
    try:
        actor = await backend.gatekeeper.check_password(
            body.user, body.password.get_secret_value(), get_address(request)
        )
    except TooManyFailures as error:
        raise HTTPException(429, str(error), {"Retry-After": "60"}) from None
    if actor is None:
        raise HTTPException(401, "unknown user or wrong password")
    token = await asyncio.to_thread(
        backend.users.create_token, actor.user, wall=backend.wall(), label="session", lifetime_s=SESSION_S
    )
    return {"token": token, "expires_in": SESSION_S, "role": actor.role, "agent": actor.agent}


@router.post("/logout", status_code=204)
async def log_out(request: Request, actor: ActorOf, backend: BackendOf) -> None:
    """The token is worth nothing from now on."""
    token = request.headers["Authorization"].partition(" ")[2].strip()
    await asyncio.to_thread(backend.users.revoke_token, token)
    backend.gatekeeper.forget(token)


@router.get("/me", responses=describes(Actor))
async def read_me(actor: ActorOf) -> Response:
    """Who this token is."""
    return answer(actor)


@router.get("/users", responses=describes(list[User]))
async def list_users(actor: Administrator, backend: BackendOf) -> Response:
    return answer(await asyncio.to_thread(backend.users.list_users))


@router.put("/users/{name}", responses=describes(User))
async def put_user(name: str, body: UserBody, actor: Administrator, backend: BackendOf) -> Response:
    """Add or change a user."""
    password = body.password.get_secret_value() if body.password is not None else None
    try:
        user = await asyncio.to_thread(
            backend.users.put_user,
            name,
            body.role,
            wall=backend.wall(),
            agent=body.agent,
            teams=body.teams,
            password=password,
            enabled=body.enabled,
        )
    except UserError as error:
        raise HTTPException(422, str(error)) from None
    changed = f"role {body.role}" + (", password" if password is not None else "") + ("" if body.enabled else ", off")
    await backend.audit(actor.user, "user_changed", name, changed)
    backend.desk.revoke(name)
    return answer(user)


@router.delete("/users/{name}", status_code=204)
async def remove_user(name: str, actor: Administrator, backend: BackendOf) -> None:
    if not await asyncio.to_thread(backend.users.remove_user, name):
        raise HTTPException(404, f"there is no user {name!r}")
    await backend.audit(actor.user, "user_removed", name)
    backend.desk.revoke(name)


@router.get("/users/{name}/tokens", responses=describes(list[Token]))
async def list_tokens(name: str, actor: Administrator, backend: BackendOf) -> Response:
    return answer(await asyncio.to_thread(backend.users.list_tokens, name))


@router.post("/users/{name}/tokens", status_code=201)
async def create_token(name: str, body: TokenBody, actor: Administrator, backend: BackendOf) -> dict[str, str]:
    """A new token; it is shown this once."""
    try:
        token = await asyncio.to_thread(
            backend.users.create_token, name, wall=backend.wall(), label=body.label, lifetime_s=body.lifetime_s
        )
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    await backend.audit(actor.user, "token_created", name, body.label)
    return {"token": token}


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: str, actor: Administrator, backend: BackendOf) -> None:
    owners = [token.user for token in await asyncio.to_thread(backend.users.list_tokens) if token.id == token_id]
    if not owners or not await asyncio.to_thread(backend.users.revoke_token, token_id):
        raise HTTPException(404, "there is no such token")
    await backend.audit(actor.user, "token_revoked", owners[0], token_id)
    backend.desk.revoke(owners[0])
