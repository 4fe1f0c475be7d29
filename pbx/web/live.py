"""What is now: calls, agents, queues, the wallboard; and commands."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Header, HTTPException, Path, Request, Response

from pbx.cti.commands import COMMANDS
from pbx.cti.permissions import Scope
from pbx.cti.views import sees_call
from pbx.events.folds.live import LiveAgent, LiveCall
from pbx.events.folds.wallboard import Wallboard, make_wallboard
from pbx.ports.backend import Backend

from .access import ActorOf, BackendOf, get_scope
from .answer import answer, describes

router = APIRouter(prefix="/api", tags=["live"])

STATUS_OF_CODE = {
    "bad_request": 422,
    "unknown_command": 404,
    "forbidden": 403,
    "unknown_object": 404,
    "limit_exceeded": 429,
    "draining": 503,
    "timeout": 504,
    "failed": 500,
}
"""HTTP status of a refused command; 409 for the rest."""


@router.get("/calls", responses=describes(list[LiveCall]))
async def list_calls(actor: ActorOf, backend: BackendOf) -> Response:
    """Calls that run, as far as they concern the user."""
    scope = get_scope(backend, actor)
    return answer([call for call in backend.desk.hub.live.state.calls.values() if sees_call(scope, call)])


@router.get("/calls/{call}", responses=describes(LiveCall))
async def read_call(call: str, actor: ActorOf, backend: BackendOf) -> Response:
    found = backend.desk.hub.live.state.calls.get(call)
    if found is None or not sees_call(get_scope(backend, actor), found):
        raise HTTPException(404, "there is no such call; one that ended is under /api/cdr")
    return answer(found)


@router.get("/agents", responses=describes(list[LiveAgent]))
async def list_agents(actor: ActorOf, backend: BackendOf) -> Response:
    """Agents and their states, those who never logged on included."""
    scope, state = get_scope(backend, actor), backend.desk.hub.live.state
    known = set(state.agents) | set(backend.desk.hub.directory.agent_queues)
    names = sorted(known if scope.everything else known & scope.agents)
    return answer([state.agents.get(name) or LiveAgent(agent=name) for name in names])


@router.get("/queues", responses=describes(Wallboard))
async def list_queues(actor: ActorOf, backend: BackendOf) -> Response:
    """The wallboard: each queue now and today, and its agents by state."""
    return answer(measure(backend, get_scope(backend, actor)))


def measure(backend: Backend, scope: Scope) -> Wallboard:
    hub = backend.desk.hub
    wall = backend.wall()
    everybody = hub.live.state.agents.keys() | hub.directory.agent_queues
    return make_wallboard(
        hub.live.state,
        wall=wall,
        day=hub.live.count_day(wall),
        serving=hub.directory.serving(),
        queues=None if scope.everything else scope.queues,
        agents=everybody if scope.everything else scope.agents,
    )


@router.post("/commands/{method}")
async def give_command(
    request: Request,
    actor: ActorOf,
    backend: BackendOf,
    method: Annotated[str, Path(max_length=64)],
    idempotency_key: Annotated[str, Header(min_length=8, max_length=64)],
    params: Annotated[dict[str, Any], Body()],
) -> Response:
    """A CTI command, with the same names, rights and answers as on the socket. The Idempotency-Key is its id:
    repeated with the same one it is answered again and not carried out again."""
    if method not in COMMANDS:
        raise HTTPException(404, f"there is no command {method!r}")
    text = msgspec.json.encode({"jsonrpc": "2.0", "id": idempotency_key, "method": method, "params": params})
    response = msgspec.json.decode(await backend.desk.ask(actor, text))
    if "error" in response:
        error = response["error"]
        code = error["data"]["code"]
        return answer({"code": code, "detail": error["message"]}, status=STATUS_OF_CODE.get(code, 409))
    return answer(response["result"])
