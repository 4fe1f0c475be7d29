"""Which legs are recorded, where the files go, and what became of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from media import protocol as media
from pbx.call.model import Call, Leg, RecordingNote
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


MESSAGES = "messages/"
"""Below the recordings folder: what callers said to flows."""


class RecordingControl:
    def __init__(self, ex: Exchange, root: str) -> None:
        self._ex = ex
        self._root = root
        self._disks: dict[str, media.DiskLevel] = {}
        """By gateway."""
        self._calls: dict[str, tuple[str, str, str]] = {}
        """Call, leg and path of every recorder that has not reported its end."""
        self._interrupted: dict[str, list[str]] = {}
        """Legs, by call, whose recorder died with its gateway."""
        self._to_restart: set[str] = set()
        """Of these, those that are recorded again as soon as they have a port on the new one."""

    @property
    def disk(self) -> media.DiskLevel:
        """The worst of all gateways."""
        levels = self._disks.values()
        return "full" if "full" in levels else "low" if "low" in levels else "ok"

    def is_full(self, gateway: str) -> bool:
        return self._disks.get(gateway) == "full"

    def disk_changed(self, gateway: str, level: media.DiskLevel, free_bytes: int) -> None:
        """A gateway looked at the disk of its recordings."""
        if self._disks.get(gateway, "ok") != level:
            self._disks[gateway] = level
            self._ex.log(facts.DiskStateChanged(level=level, free_bytes=free_bytes, gateway=gateway))

    def blocks(self, gateway: str, *, trunk: str = "", extension: str = "") -> bool:
        """Whether a call would have to be recorded that cannot be, and the administrator wants it refused then."""
        settings = self._ex.settings
        if not self.is_full(gateway) or settings.configuration.recording.when_full != "reject":
            return False
        return settings.recording_policy(trunk=trunk, extension=extension).mode == "all"

    @property
    def running(self) -> Collection[str]:
        """Recorders that have not reported their end, by id."""
        return self._calls

    def find_running(self, path: str) -> str:
        """The recorder that still writes ``path``; empty: none."""
        return next((name for name, (_, _, written) in self._calls.items() if written == path), "")

    def locate(self, path: str) -> str:
        """Where a path below the recordings folder is."""
        return f"{self._root}/{path}"

    @property
    def open(self) -> int:
        """Recorders that have not reported their end."""
        return len(self._calls)

    # --- policy -----------------------------------------------------------------------------------------------

    def leg_connected(self, call: Call, leg: Leg) -> None:
        """A trunk's own policy begins with its answer; the rest waits for the conversation."""
        entry = (
            self._ex.settings.configuration.trunks.get(leg.device.partition(":")[2]) if leg.kind == "trunk" else None
        )
        if entry is not None and entry.recording is not None and self._wanted(call, leg):
            self.start(call, leg)

    def talk_started(self, call: Call, legs: list[str], agent: str) -> None:
        """People talk: record the sides that are configured, by the most particular policy."""
        sides = self._ex.settings.configuration.recording.sides
        running = {note.leg for note in call.recordings.values() if note.state != "stopping"}
        for name in legs:
            leg = call.legs[name]
            side = "trunk" if leg.kind == "trunk" else "agent"
            alone = "trunk" not in {call.legs[other].kind for other in legs}
            if (side in sides or alone) and name not in running and self._wanted(call, leg):
                self.start(call, leg)
                if side == "trunk" and "agent" not in sides:
                    break
                if alone:
                    break
        self.parties_changed(call)

    def _wanted(self, call: Call, leg: Leg) -> bool:
        agent = next((other.agent for other in call.legs.values() if other.agent and other.state == "connected"), "")
        extension = next(
            (other.device.partition(":")[2] for other in call.legs.values() if other.kind == "extension"), ""
        )
        trunk = next((other.device.partition(":")[2] for other in call.legs.values() if other.kind == "trunk"), "")
        policy = self._ex.settings.recording_policy(trunk=trunk, extension=extension, queue=call.queue, agent=agent)
        if policy.mode == "percentage":
            return self._ex.ids.uniform(0.0, 100.0) < float(policy.percent or 0.0)
        return policy.mode == "all"

    # --- recorders --------------------------------------------------------------------------------------------

    def start(self, call: Call, leg: Leg) -> RecordingNote | None:
        """Record ``leg`` from now on; None where that is not possible or already done."""
        ex = self._ex
        if any(note.leg == leg.id and note.state != "stopping" for note in call.recordings.values()):
            return None
        if self.is_full(leg.gateway):
            ex.log(
                facts.RecordingFailed(
                    call=call.id, recording="", leg=leg.id, path="", reason="the disk is full", kept=False
                )
            )
            return None
        return self._begin(call, leg, self._path(call, leg), self._describe(call, leg))

    def start_message(self, call: Call, leg: Leg, purpose: str) -> tuple[str, str]:
        """Record a message of the caller. Returns the recorder's id and the path below the recordings folder."""
        path = f"{MESSAGES}{self._day(call)}/{purpose}-{self._ex.ids.token()}.wav"
        metadata = {"kind": "message", "call": call.id, "caller": call.caller}
        note = self._begin(call, leg, path, metadata)
        return note.id, note.path

    def _begin(self, call: Call, leg: Leg, path: str, metadata: dict[str, str]) -> RecordingNote:
        ex = self._ex
        note = RecordingNote(id=ex.ids.token("rec-"), leg=leg.id, path=path, agent=leg.agent)
        call.recordings[note.id] = note
        self._calls[note.id] = (call.id, leg.id, path)
        ex.media.send(
            leg.gateway,
            media.StartRecording(
                id=ex.media.next_id(),
                recording=note.id,
                leg=leg.id,
                path=f"{self._root}/{path}",
                format=ex.settings.configuration.recording.format,
                metadata=metadata,
            ),
        )
        return note

    def _describe(self, call: Call, leg: Leg) -> dict[str, str]:
        parties = [
            f"{other.device} {other.number}".strip()
            for other in call.legs.values()
            if other.state != "ended" and other.id != leg.id and other.state == "connected"
        ]
        return {
            "call": call.id,
            "caller": call.caller,
            "called": call.called,
            "direction": call.direction,
            "recorded": leg.device,
            "parties": ", ".join(parties),
            "queue": call.queue,
            "agent": call.agents[-1] if call.agents else leg.agent,
        }

    def _day(self, call: Call) -> str:
        return f"{self._local(call):%Y/%m/%d}"

    def _local(self, call: Call) -> datetime:
        zone = ZoneInfo(self._ex.settings.configuration.locale.timezone)
        return datetime.fromtimestamp(call.started_at or self._ex.wall, UTC).astimezone(zone)

    def _path(self, call: Call, leg: Leg) -> str:
        moment = self._local(call)
        name = self._ex.settings.configuration.recording.name.format(
            date=moment, time=moment, call=call.id, leg=leg.id, caller=call.caller, called=call.called
        )
        call.recorded += 1
        # A name that an administrator's template lets climb out of the folder stays inside.
        safe = "/".join(part for part in name.split("/") if part not in ("", ".", ".."))
        return f"{safe}{f'-{call.recorded}' if call.recorded > 1 else ''}.wav"

    def stop(self, call: Call, recording: str) -> None:
        note = call.recordings.get(recording)
        if note is None or note.state == "stopping":
            return
        note.state = "stopping"
        leg = call.legs[note.leg]
        self._ex.media.send(leg.gateway, media.StopRecording(id=self._ex.media.next_id(), recording=recording))

    def stop_all(self, call: Call) -> None:
        for recording in list(call.recordings):
            self.stop(call, recording)

    def pause(self, call: Call, recording: str, *, mask: bool) -> None:
        leg = call.legs[call.recordings[recording].leg]
        self._ex.media.send(
            leg.gateway, media.PauseRecording(id=self._ex.media.next_id(), recording=recording, mask=mask)
        )

    def resume(self, call: Call, recording: str) -> None:
        leg = call.legs[call.recordings[recording].leg]
        self._ex.media.send(leg.gateway, media.ResumeRecording(id=self._ex.media.next_id(), recording=recording))

    def mask(self, call: Call, on: bool) -> None:
        """Card data is being entered, or no more."""
        for recording, note in call.recordings.items():
            if note.state == "stopping":
                continue
            if on:
                self.pause(call, recording, mask=True)
            else:
                self.resume(call, recording)

    def parties_changed(self, call: Call) -> None:
        """A new segment begins in every recording of the call."""
        for note in call.recordings.values():
            if note.state in ("recording", "starting") and call.legs[note.leg].state != "ended":
                leg = call.legs[note.leg]
                self._ex.media.send(
                    leg.gateway,
                    media.MarkRecording(
                        id=self._ex.media.next_id(), recording=note.id, metadata=self._describe(call, leg)
                    ),
                )

    def leg_ended(self, call: Call, leg: Leg) -> None:
        self._to_restart.discard(leg.id)
        for note in call.recordings.values():
            if note.leg == leg.id:
                self.stop(call, note.id)

    def call_cleared(self, call: Call) -> None:
        self._interrupted.pop(call.id, None)
        self.stop_all(call)

    def gateway_lost(self, call: Call) -> None:
        """Its recorders died with it; the files are repaired by the new one. Recording goes on in new files."""
        legs = self._interrupted.pop(call.id, [])
        for recording, note in list(call.recordings.items()):
            self._calls.pop(recording, None)
            self._ex.log(
                facts.RecordingFailed(
                    call=call.id,
                    recording=recording,
                    leg=note.leg,
                    path=note.path,
                    reason="gateway restarted",
                    kept=True,
                )
            )
            if note.state != "stopping":
                legs.append(note.leg)
        call.recordings = {}
        self._to_restart.update(leg for leg in legs if call.legs[leg].state == "connected")

    def leg_configured(self, call: Call, leg: Leg) -> None:
        """A leg whose recorder died is back on its new gateway."""
        if leg.id in self._to_restart:
            self._to_restart.discard(leg.id)
            self.start(call, leg)

    # --- what became of them ----------------------------------------------------------------------------------

    def progressed(self, event: media.RecordingStarted | media.RecordingPaused | media.RecordingResumed) -> None:
        call_id, leg_id, path = self._calls.get(event.recording, ("", "", ""))
        call = self._ex.calls.get(call_id)
        note = call.recordings.get(event.recording) if call else None
        if not call_id:
            return
        if isinstance(event, media.RecordingStarted):
            if note is not None and note.state == "starting":
                note.state = "recording"
            agent = note.agent if note else ""
            self._ex.log(
                facts.RecordingStarted(call=call_id, recording=event.recording, leg=leg_id, path=path, agent=agent)
            )
        elif isinstance(event, media.RecordingPaused):
            if note is not None:
                note.state = "masked" if event.masked else "paused"
            self._ex.log(
                facts.RecordingPaused(
                    call=call_id, recording=event.recording, offset_ms=event.offset_ms, masked=event.masked
                )
            )
        else:
            if note is not None:
                note.state = "recording"
            self._ex.log(facts.RecordingResumed(call=call_id, recording=event.recording, offset_ms=event.offset_ms))

    def finished(self, event: media.RecordingCompleted | media.RecordingFailed) -> None:
        call_id, leg, path = self._calls.pop(event.recording, ("", event.leg, self.relative(event.path)))
        call = self._ex.calls.get(call_id)
        note = call.recordings.pop(event.recording, None) if call is not None else None
        if note is not None and note.state != "stopping" and isinstance(event, media.RecordingCompleted):
            # Nobody ended it: a new gateway has repaired the file of one that died.
            self._interrupted.setdefault(call_id, []).append(leg)
        if isinstance(event, media.RecordingCompleted):
            self._ex.log(
                facts.RecordingCompleted(
                    call=call_id,
                    recording=event.recording,
                    leg=leg,
                    path=path,
                    duration_ms=event.duration_ms,
                    size_bytes=event.size_bytes,
                    sha256=event.sha256,
                    conversation=msgspec.convert(event.conversation, facts.Conversation | None, from_attributes=True),
                )
            )
        else:
            self._ex.log(
                facts.RecordingFailed(
                    call=call_id, recording=event.recording, leg=leg, path=path, reason=event.reason, kept=event.kept
                )
            )
        completed = isinstance(event, media.RecordingCompleted)
        if call is not None:
            duration = event.duration_ms if isinstance(event, media.RecordingCompleted) else 0
            self._ex.taking.reported(call, event.recording, duration, kept=completed)
        self._ex.voicemail.reported(event.recording, kept=completed or getattr(event, "kept", False))

    def failed(self, recording: str, reason: str, *, kept: bool) -> None:
        """The gateway would not even start it."""
        call_id, leg, path = self._calls.get(recording, ("", "", ""))
        self.finished(media.RecordingFailed(recording=recording, leg=leg, path=path, reason=reason, kept=kept))

    def relative(self, path: str) -> str:
        """A path of the gateway's as events name it: below the recordings folder."""
        return path.removeprefix(self._root).lstrip("/")

    def adopt(self, call: Call) -> None:
        """After a restart: recorders of ``call`` report to us again."""
        for note in call.recordings.values():
            self._calls[note.id] = (call.id, note.leg, note.path)

    def disown(self, call: Call, recording: str) -> None:
        """After a restart: this recorder had reported its end already."""
        call.recordings.pop(recording, None)
        self._calls.pop(recording, None)
