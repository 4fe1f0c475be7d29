"""A call detail as rows of the tables that are searched."""

from __future__ import annotations

from typing import Any

import msgspec

from pbx.events.folds.detail import CallDetail, RecordingDetail, Talk

_encode = msgspec.json.Encoder().encode


def collect_topics(detail: CallDetail) -> list[str]:
    """Agents and queues the call met: what decides who may read its record."""
    agents = [talk.agent for talk in detail.talks] + [offer.agent for offer in detail.offers]
    found = [f"agent:{agent}" for agent in agents if agent] + [f"queue:{visit.queue}" for visit in detail.queues]
    return list(dict.fromkeys(found))


def make_cdr_row(detail: CallDetail) -> dict[str, Any]:
    agents = [talk.agent for talk in detail.talks if talk.agent and talk.answered_at is not None]
    dispositions = [talk.disposition for talk in detail.talks if talk.disposition]
    return {
        "call_id": detail.call,
        "started_at": detail.started_at,
        "answered_at": detail.answered_at,
        "ended_at": detail.ended_at or detail.started_at,
        "direction": detail.direction,
        "device": detail.device,
        "caller": detail.caller,
        "called": detail.called,
        "outcome": detail.outcome,
        "reason": detail.reason,
        "queue": detail.queues[0].queue if detail.queues else "",
        "agent": agents[-1] if agents else "",
        "disposition": dispositions[-1] if dispositions else "",
        "wait_s": detail.wait_s,
        "talk_s": detail.talk_s,
        "hold_s": detail.hold_s,
        "transfers": len(detail.transfers),
        "recordings": len(detail.recordings),
        "detail": _encode(detail).decode(),
    }


def make_topic_rows(detail: CallDetail) -> list[dict[str, Any]]:
    return [
        {"call_id": detail.call, "topic": topic, "started_at": detail.started_at} for topic in collect_topics(detail)
    ]


def make_segment_rows(detail: CallDetail) -> list[dict[str, Any]]:
    """``flow``, ``queue`` and ``talk`` segments in order of time."""
    end = detail.ended_at or detail.started_at
    rows = [
        _make_segment("flow", "", "", "", flow.entered_at, flow.left_at or end, 0.0, flow.reason, flow.flow)
        for flow in detail.flows
    ]
    rows += [
        _make_segment("queue", "", visit.agent, visit.queue, visit.entered_at, visit.left_at or end, 0.0, visit.reason)
        for visit in detail.queues
    ]
    for talk in detail.talks:
        if talk.answered_at is not None:
            left = talk.left_at or end
            row = _make_segment(
                "talk", talk.device, talk.agent, talk.queue, talk.answered_at, left, talk.hold_s, talk.ended_by
            )
            recording = _choose_recording(detail, talk)
            if recording is not None:
                row["recording"] = recording.recording
                row["recording_from_ms"], row["recording_to_ms"] = _measure_offsets(recording, talk.answered_at, left)
            rows.append(row)
    rows.sort(key=lambda row: (row["from_at"], row["to_at"]))
    for n, row in enumerate(rows):
        row["call_id"], row["n"] = detail.call, n
    return rows


def make_recording_rows(detail: CallDetail) -> list[dict[str, Any]]:
    return [
        {
            "recording": recording.recording,
            "call_id": detail.call,
            "leg": recording.leg,
            "agent": recording.agent,
            "path": recording.path,
            "started_at": recording.started_at,
            "state": recording.state,
            "duration_ms": recording.duration_ms,
            "size_bytes": recording.size_bytes,
            "sha256": recording.sha256,
            "conversation": msgspec.to_builtins(recording.conversation),
        }
        for recording in detail.recordings
    ]


def _make_segment(
    kind: str,
    device: str,
    agent: str,
    queue: str,
    from_at: float,
    to_at: float,
    hold_s: float,
    ended_by: str,
    flow: str = "",
) -> dict[str, Any]:
    return {
        "kind": kind,
        "party": device or (f"flow:{flow}" if flow else f"queue:{queue}"),
        "agent": agent,
        "queue": queue,
        "from_at": from_at,
        "to_at": max(from_at, to_at),
        "hold_s": hold_s,
        "ended_by": ended_by,
        "recording": "",
        "recording_from_ms": None,
        "recording_to_ms": None,
    }


def _choose_recording(detail: CallDetail, talk: Talk) -> RecordingDetail | None:
    """The party's own recording if there is one, else the first that runs while it talks."""
    running = [recording for recording in detail.recordings if _overlaps(recording, talk)]
    own = [recording for recording in running if recording.leg == talk.leg]
    chosen = own or running
    return chosen[0] if chosen else None


def _overlaps(recording: RecordingDetail, talk: Talk) -> bool:
    if recording.state == "failed" or talk.answered_at is None:
        return False
    if talk.left_at is not None and talk.left_at <= recording.started_at:
        return False
    end = recording.started_at + recording.duration_ms / 1000
    return recording.state == "recording" or end > talk.answered_at


def _measure_offsets(recording: RecordingDetail, from_at: float, to_at: float) -> tuple[int, int]:
    start = max(0, round((from_at - recording.started_at) * 1000))
    end = max(start, round((to_at - recording.started_at) * 1000))
    if recording.duration_ms:
        start, end = min(start, recording.duration_ms), min(end, recording.duration_ms)
    return start, end
