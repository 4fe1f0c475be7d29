"""Players: from Play commands to clips in the engine, and exactly one PlayFinished each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from media.control.bridges import BridgeDesk
from media.control.clips import ClipLoader, clip_form
from media.control.legs import LegRecord, LegTable, UnknownObject
from media.control.routing import amplitude
from media.engine.core import Engine, RingFull
from media.engine.handover import Clip
from media.prompts.errors import PromptError
from media.protocol import AnyEvent, ControlPlay, Play, PlayFinished

MAX_ITEMS = 256
MAX_QUEUED = 64


@dataclass(slots=True, eq=False)
class PlayerRecord:
    name: str
    number: int
    leg: LegRecord
    mixed: bool
    speech: bool
    """Ends when the leg speaks."""
    loading: asyncio.Task[None] | None = None
    started: bool = False
    adjustable: bool = True
    """The volume can be changed: G.711 and samples."""
    finished: bool = False


class PlayerDesk:
    def __init__(
        self,
        engine: Engine,
        legs: LegTable,
        bridges: BridgeDesk,
        clips: ClipLoader,
        emit: Callable[[AnyEvent], None],
        update_ears: Callable[[LegRecord], bool],
    ) -> None:
        self._engine = engine
        self._legs = legs
        self._bridges = bridges
        self._clips = clips
        self._emit = emit
        self._update_ears = update_ears
        self._by_number: dict[int, PlayerRecord] = {}
        self._queues: dict[int, list[PlayerRecord]] = {}
        self._last = 0

    def current(self, leg: LegRecord) -> str:
        """The player that was asked for last, which may still be waiting to be rendered; empty: none."""
        queue = self._queues.get(leg.number)
        return queue[-1].name if queue else ""

    def play(self, leg: LegRecord, command: Play) -> None:
        """Raises ValueError for a command that cannot be played by any means."""
        if not leg.codecs:
            raise ValueError(f"leg {leg.name!r} is not configured yet")
        if not 0 < len(command.items) <= MAX_ITEMS:
            raise ValueError(f"a player has 1 to {MAX_ITEMS} items, not {len(command.items)}")
        queue = self._queues.setdefault(leg.number, [])
        if not command.enqueue:
            self._replace_waiting(queue)
        elif len(queue) >= MAX_QUEUED:
            raise ValueError(f"leg {leg.name!r} has {MAX_QUEUED} players waiting already")
        self._last += 1
        record = PlayerRecord(command.player, self._last, leg, command.mix, command.stop_on_speech)
        form = clip_form(leg.codecs[0], command.mix or bool(leg.view().must_mix))
        clips = self._clips.at_hand(command.items, form)
        behind = queue[-1].loading if queue else None
        queue.append(record)
        self._by_number[record.number] = record
        if clips is not None and (behind is None or behind.done()):
            self._start(record, command, clips, form)
        else:
            record.loading = asyncio.create_task(self._load(record, command, form, behind))

    def stop(self, leg: LegRecord, player: str) -> None:
        """Stop one player, or ("") all of a leg. Raises UnknownObject for a player that is not there."""
        queue = self._queues.get(leg.number, [])
        found = [record for record in queue if player in ("", record.name)]
        if player and not found:
            raise UnknownObject(f"no player {player!r} on leg {leg.name!r}")
        for record in found:
            if record.started:
                self._engine.stop_play(leg.number, record.number)
            else:
                self._finish(record, "stopped", 0)

    def control(self, leg: LegRecord, command: ControlPlay) -> None:
        for record in self._queues.get(leg.number, []):
            if record.name == command.player and record.started:
                if command.gain_db is not None and not record.adjustable:
                    raise ValueError("the volume of ready-made packets of this codec cannot change")
                gain = None if command.gain_db is None else amplitude(command.gain_db)
                self._engine.control_play(leg.number, record.number, command.pause, command.seek_ms or 0, gain)
                return
        raise UnknownObject(f"no player {command.player!r} plays on leg {leg.name!r}")

    def ended(self, number: int, reason: str, played_ms: int) -> None:
        """The engine says that a player ended."""
        record = self._by_number.get(number)
        if record is not None:
            self._finish(record, reason, played_ms)

    def leg_closed(self, leg: LegRecord) -> None:
        """Players that the engine never saw end here; the others by its event."""
        for record in list(self._queues.get(leg.number, ())):
            if not record.started:
                self._finish(record, "closed", 0)

    def _replace_waiting(self, queue: list[PlayerRecord]) -> None:
        # What plays goes on until its replacement reaches the engine: no gap while that is being rendered.
        for record in list(queue):
            if not record.started:
                self._finish(record, "replaced", 0)

    async def _load(self, record: PlayerRecord, command: Play, form: str, behind: asyncio.Task[None] | None) -> None:
        try:
            clips = await self._clips.load(command.items, form)
        except PromptError as error:
            self._finish(record, "failed", 0, error.reason)
            return
        except (OSError, ValueError, MemoryError) as error:
            self._finish(record, "failed", 0, str(error))
            return
        if behind is not None and not behind.done():
            await asyncio.wait([behind])
        if not record.finished:
            self._start(record, command, clips, form)

    def _start(self, record: PlayerRecord, command: Play, clips: list[Clip], form: str) -> None:
        leg = record.leg
        linear = form.startswith("linear/")
        record.adjustable = linear or leg.law >= 0
        per_ms = 2 * leg.codecs[0].pcm_rate // 1000 if linear else 8
        try:
            if command.mix:
                leg.mixed_players += 1
                self._bridges.refresh(leg)
            if command.stop_on_speech:
                leg.speech_players += 1
                self._update_ears(leg)
            record.started = True
            self._engine.play(
                leg.number,
                record.number,
                [(clip, 0) for clip in clips],
                command.loop,
                command.mix,
                linear,
                command.stop_on_digits,
                command.stop_on_speech,
                command.enqueue,
                per_ms,
            )
        except (KeyError, RingFull) as error:
            self._finish(record, "failed", 0, str(error))

    def _release(self, record: PlayerRecord) -> None:
        """Let the leg go back to what it needs without this player."""
        leg = record.leg
        leg.mixed_players -= record.mixed
        leg.speech_players -= record.speech
        if self._legs.get(leg.name) is leg:
            if record.speech:
                self._update_ears(leg)
            if record.mixed:
                self._bridges.refresh(leg)

    def _finish(self, record: PlayerRecord, reason: str, played_ms: int, detail: str = "") -> None:
        if record.finished:
            return
        record.finished = True
        if record.loading is not None and not record.started:
            record.loading.cancel()
        self._by_number.pop(record.number, None)
        queue = self._queues.get(record.leg.number, [])
        if record in queue:
            queue.remove(record)
        if not queue:
            self._queues.pop(record.leg.number, None)
        if record.started:
            self._release(record)
        self._emit(
            PlayFinished(
                leg=record.leg.name,
                player=record.name,
                reason=reason,  # type: ignore[arg-type]
                played_ms=played_ms,
                detail=detail,
            )
        )
