"""What was: call records, recordings and the event log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import FileResponse

from pbx.cti.permissions import EVENT_ROLES
from pbx.events.line import Line
from pbx.ports.backend import Backend
from pbx.storage.records import CdrFilter

from .access import ActorOf, Administrator, BackendOf, Listener, get_scope, list_visible
from .answer import answer

router = APIRouter(prefix="/api", tags=["history"])
MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".opus": "audio/ogg"}
AUDIT_AGAIN_S = 600.0
"""A player asks for a file in many pieces: one entry for each user and recording in so long."""

Text = Annotated[str, Query(max_length=128)]
Time = Annotated[float | None, Query(description="Seconds since 1970, UTC")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str, Query(max_length=200, description="next of the page before")]


@router.get("/cdr")
async def search_records(
    actor: ActorOf,
    backend: BackendOf,
    from_at: Time = None,
    to_at: Time = None,
    caller: Annotated[str, Query(max_length=128, description="Beginning of the number; *123 finds it anywhere")] = "",
    called: Text = "",
    agent: Text = "",
    queue: Text = "",
    outcome: Text = "",
    direction: Text = "",
    device: Text = "",
    disposition: Text = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """Calls that ended, newest first."""
    wanted = CdrFilter(
        from_at=from_at,
        to_at=to_at,
        caller=caller,
        called=called,
        agent=agent,
        queue=queue,
        outcome=outcome,
        direction=direction,
        device=device,
        disposition=disposition,
        visible=list_visible(backend, actor),
    )
    try:
        page = await asyncio.to_thread(backend.records.search, wanted, limit=limit, cursor=cursor)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return answer({"calls": page.rows, "next": page.next})


@router.get("/cdr/{call}")
async def read_record(call: str, actor: ActorOf, backend: BackendOf) -> Response:
    """One call with its segments and everything that is known of it."""
    found = await asyncio.to_thread(backend.records.read_call, call, list_visible(backend, actor))
    if found is None:
        raise HTTPException(404, "there is no record of such a call")
    return answer(found)


@router.get("/cdr/{call}/events")
async def read_call_events(call: str, actor: ActorOf, backend: BackendOf) -> Response:
    """Every event of the call, in order."""
    lines = await asyncio.to_thread(backend.log.read_call, call)
    return answer_lines(choose_lines(backend, actor, lines), lines[-1].seq if lines else 0)


@router.get("/recordings")
async def search_recordings(
    actor: Listener,
    backend: BackendOf,
    call: Text = "",
    from_at: Time = None,
    to_at: Time = None,
    caller: Text = "",
    agent: Text = "",
    queue: Text = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Response:
    """Recordings of calls that ended, newest first."""
    visible = list_visible(backend, actor)
    wanted = CdrFilter(from_at=from_at, to_at=to_at, caller=caller, agent=agent, queue=queue, visible=visible)
    try:
        page = await asyncio.to_thread(backend.records.search_recordings, wanted, call=call, limit=limit, cursor=cursor)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return answer({"recordings": page.rows, "next": page.next})


@router.get("/recordings/{recording}")
async def read_recording(recording: str, actor: Listener, backend: BackendOf) -> Response:
    """What is known of a recording."""
    return answer(await find_recording(backend, recording, list_visible(backend, actor)))


@router.get("/recordings/{recording}/audio", response_class=FileResponse)
async def download_recording(recording: str, actor: Listener, backend: BackendOf) -> Response:
    """The audio (WAV, or the FLAC or Opus it was made into), whole or by ranges.

    Who listened is in the audit trail before the first byte is sent."""
    found = await find_recording(backend, recording, list_visible(backend, actor))
    root = backend.recordings_root.resolve()
    path = (root / str(found["path"])).resolve()
    if not path.is_relative_to(root) or not await asyncio.to_thread(path.is_file):
        raise HTTPException(404, "the file of this recording is not there (any more)")
    await note_listening(backend, actor.user, found)
    return FileResponse(
        path,
        media_type=MEDIA_TYPES.get(path.suffix, "audio/wav"),
        filename=Path(path).name,
        content_disposition_type="inline",
    )


async def find_recording(backend: Backend, recording: str, visible: Sequence[str] | None) -> dict[str, Any]:
    found = await asyncio.to_thread(backend.records.find_recording, recording, visible)
    if found is None:
        raise HTTPException(404, "there is no such recording")
    return found


async def note_listening(backend: Backend, user: str, recording: dict[str, Any]) -> None:
    heard: dict[tuple[str, str], float] = backend.desk.heard
    key, wall = (user, str(recording["recording"])), backend.wall()
    if heard.get(key, 0.0) > wall - AUDIT_AGAIN_S:
        return
    for old in [old for old, at in heard.items() if at <= wall - AUDIT_AGAIN_S]:
        del heard[old]
    await backend.audit(user, "recording_heard", key[1], f"call {recording['call_id']}")
    heard[key] = wall


@router.get("/events")
async def read_events(
    actor: ActorOf,
    backend: BackendOf,
    since: Annotated[int, Query(ge=0, description="Last sequence number seen")] = 0,
    limit: Limit = 100,
) -> Response:
    """Events after ``since`` that concern the user; ``next`` is the number to go on from."""
    lines = await asyncio.to_thread(backend.log.read, since, limit)
    return answer_lines(choose_lines(backend, actor, lines), lines[-1].seq if lines else since)


@router.get("/audit")
async def read_audit(
    actor: Administrator,
    backend: BackendOf,
    since: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = 100,
) -> Response:
    """Who changed or heard what."""
    lines = await asyncio.to_thread(backend.log.reader.read, since, limit, kind="AuditEntry")
    return answer_lines(lines, lines[-1].seq if lines else since)


def choose_lines(backend: Backend, actor: Any, lines: Sequence[Line]) -> list[Line]:
    scope = get_scope(backend, actor)
    topics = scope.topics | {"system"}
    return [
        line
        for line in lines
        if actor.role in EVENT_ROLES.get(line.type, ()) and (scope.everything or not topics.isdisjoint(line.topics))
    ]


def answer_lines(lines: Sequence[Line], upto: int) -> Response:
    """The records as they are stored: nothing is encoded twice."""
    text = f'{{"events":[{",".join(line.json for line in lines)}],"next":{upto}}}'
    return Response(text, media_type="application/json")
