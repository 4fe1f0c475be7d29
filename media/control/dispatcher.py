"""Commands in, replies out; what the engine reports becomes events. No sockets: the server calls `handle`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from media.control.bridges import BridgeDesk
from media.control.clips import NAMES, ClipLoader
from media.control.legs import LegRecord, LegTable, UnknownObject, read_setup
from media.control.listening import ListeningDesk
from media.control.playing import PlayerDesk
from media.control.quality import estimate_mos
from media.control.recorders import FULL_BYTES, LOW_BYTES, RecorderDesk
from media.engine.core import Engine, RingFull
from media.engine.pace import LATENESS_BOUNDS_US
from media.engine.ports import PortsExhausted
from media.prompts.errors import PromptError
from media.prompts.store import PromptStore
from media.protocol import (
    AnyCommand,
    AnyEvent,
    AnyReply,
    CloseAll,
    CloseBridge,
    CloseLeg,
    ConfigureLeg,
    ControlPlay,
    Detected,
    DigitReceived,
    DigitsSent,
    Intruder,
    LegOpened,
    LegReport,
    LegState,
    LegStats,
    MarkRecording,
    MediaStarted,
    MediaTimeout,
    Ok,
    OpenLeg,
    PauseRecording,
    Play,
    Prepare,
    Quality,
    QueryLeg,
    Refused,
    ResumeRecording,
    SendDigits,
    SetBridge,
    Snapshot,
    StartListening,
    StartRecording,
    StopListening,
    StopPlay,
    StopRecording,
    TakeSnapshot,
    TalkStarted,
    TalkStopped,
    TickLateness,
    TickOverrun,
)

log = structlog.get_logger("media.dispatcher")

QUALITY_INTERVAL_S = 10.0
DISK_INTERVAL_S = 5.0
INTERWORKED_MS = 100
INTERWORKED_GAP_MS = 60


class Dispatcher:
    """All that call control has set up here. `now` is monotonic seconds, `wall` UTC seconds since 1970."""

    def __init__(
        self,
        engine: Engine,
        store: PromptStore,
        recordings: Path,
        executor: ThreadPoolExecutor,
        emit: Callable[[AnyEvent], None],
        *,
        address4: str,
        address6: str = "",
        now: Callable[[], float],
        wall: Callable[[], float],
        chance: random.Random,
        disk_low: int = LOW_BYTES,
        disk_full: int = FULL_BYTES,
    ) -> None:
        """``disk_low``, ``disk_full``: bytes left free that are reported, and that stop new recordings."""
        self._engine = engine
        self._executor = executor
        self._emit = emit
        self._addresses = {"ipv4": address4, "ipv6": address6}
        self._now = now
        self._chance = chance
        self._legs = LegTable()
        self._bridges = BridgeDesk(engine, self._legs)
        self._clips = ClipLoader(store, executor)
        self._players = PlayerDesk(engine, self._legs, self._bridges, self._clips, emit, self._update_ears)
        self._listenings = ListeningDesk(engine, emit, self._update_ears)
        self.recorders = RecorderDesk(
            engine, self._legs, self._bridges, recordings, executor, emit, wall, disk_low, disk_full
        )
        self._batches: dict[int, tuple[str, str]] = {}
        self._batch = 0
        self._unconfirmed: dict[int, tuple[Callable[[AnyReply], None], AnyReply]] = {}
        self._confirmation = 0
        self._preparing: set[asyncio.Task[None]] = set()
        self._disk_checked = 0.0
        self._handlers: dict[type, Callable[[Any], AnyReply | None]] = {
            OpenLeg: self._open_leg,
            ConfigureLeg: self._configure_leg,
            CloseLeg: self._close_leg,
            SetBridge: self._set_bridge,
            CloseBridge: self._close_bridge,
            Play: self._play,
            StopPlay: self._stop_play,
            ControlPlay: self._control_play,
            SendDigits: self._send_digits,
            StartListening: self._start_listening,
            StopListening: self._stop_listening,
            StartRecording: self._start_recording,
            PauseRecording: self._pause_recording,
            ResumeRecording: self._resume_recording,
            MarkRecording: self._mark_recording,
            StopRecording: self._stop_recording,
            Prepare: self._prepare,
            QueryLeg: self._query_leg,
            TakeSnapshot: self._take_snapshot,
            CloseAll: self._close_all,
        }

    @property
    def leg_count(self) -> int:
        return len(self._legs)

    def handle(self, command: AnyCommand, answer: Callable[[AnyReply], None]) -> None:
        """Carry out one command and give `answer` the reply. Never raises for a command's own faults.

        The reply to a ConfigureLeg waits until the engine works by it: what the peer sends after it is not lost."""
        reply = self._carry_out(command)
        if isinstance(command, ConfigureLeg) and isinstance(reply, Ok):
            self._unconfirmed[self._confirmation] = (answer, reply)
        else:
            answer(reply)

    def _carry_out(self, command: AnyCommand) -> AnyReply:
        try:
            reply = self._handlers[type(command)](command)
        except UnknownObject as error:
            return Refused(id=command.id, code="unknown", reason=str(error))
        except (PortsExhausted, RingFull) as error:
            return Refused(id=command.id, code="exhausted", reason=str(error))
        except FileExistsError as error:
            return Refused(id=command.id, code="exists", reason=str(error))
        except OSError as error:
            return Refused(id=command.id, code="io", reason=str(error))
        except ValueError as error:
            return Refused(id=command.id, code="invalid", reason=str(error))
        except MemoryError as error:
            return Refused(id=command.id, code="internal", reason=str(error) or "out of memory")
        except Exception:
            # A bug must not cost call control its connection, and with it all other calls.
            log.exception("command failed", command=type(command).__name__)
            return Refused(id=command.id, code="internal", reason="the gateway failed; its log says where")
        return Ok(id=command.id) if reply is None else reply

    # --- legs ---------------------------------------------------------------------------------------------

    def _open_leg(self, command: OpenLeg) -> AnyReply:
        record = self._legs.get(command.leg)
        if record is None:
            number = self._legs.next_number()
            port = self._engine.open_leg(
                number,
                command.family,
                self._chance.getrandbits(32) or 1,
                # Below 2^15 at first, so that SRTP's roll-over counter cannot be ambiguous (RFC 3711 section 3.3.1).
                self._chance.getrandbits(15),
                self._chance.getrandbits(32),
            )
            now = self._now()
            # Reports of legs opened together are spread over the interval.
            reported = now - QUALITY_INTERVAL_S * self._chance.random()
            record = LegRecord(command.leg, command.call, number, port, command.family, opened=now, reported=reported)
            self._legs.add(record)
        return LegOpened(id=command.id, leg=record.name, address=self._addresses[record.family], port=record.port)

    def _configure_leg(self, command: ConfigureLeg) -> None:
        record = self._legs.find(command.leg)
        setup = read_setup(command, record.configured)
        self._engine.configure_leg(record.number, setup)
        changed = record.codecs != setup.codecs
        record.configured = command
        record.codecs = setup.codecs
        if record.receives >= 0 and record.receives not in {codec.kind for codec in setup.codecs}:
            record.receives = -1
        record.detect = setup.detect
        if not self._update_ears(record) and changed:
            self._bridges.refresh(record)
        self._engine.confirm(self._confirmation + 1)
        self._confirmation += 1

    def _update_ears(self, record: LegRecord) -> bool:
        """Give the engine the detectors the leg needs now; True when that changed."""
        wanted = record.wanted_ears()
        if wanted == record.ears:
            return False
        self._engine.set_ears(record.number, wanted[0], wanted[1])
        record.ears = wanted
        record.talking = False
        self._listenings.rate_changed(record)
        self._bridges.refresh(record)
        return True

    def _close_leg(self, command: CloseLeg) -> None:
        self._close(self._legs.find(command.leg))

    def _close(self, record: LegRecord) -> None:
        self._bridges.leave(record)
        self._engine.close_leg(record.number)
        self._players.leg_closed(record)
        self._listenings.leg_closed(record)
        self._legs.close(record)
        self.recorders.leg_closed(record)

    def _close_all(self, command: CloseAll) -> None:
        keep = set(command.keep)
        for record in self._legs.records():
            if record.name not in keep:
                self._close(record)

    def _query_leg(self, command: QueryLeg) -> AnyReply:
        record = self._legs.find(command.leg)
        return LegReport(id=command.id, stats=self._stats(record, self._engine.stats(record.number)))

    def _stats(self, record: LegRecord, counted: dict[str, Any]) -> LegStats:
        """Counters as a message; the MOS only where the round trip is known."""
        mos = None
        trip = counted["round_trip_ms"]
        received = counted["packets_received"]
        if trip is not None and record.codecs and received:
            # Half the way there and back, and what the far jitter buffer is likely to hold.
            delay = trip / 2.0 + 40.0 + 2.0 * counted["jitter_ms"]
            mos = estimate_mos(NAMES[record.sends], delay, counted["lost"] / (received + counted["lost"]))
        return LegStats(leg=record.name, mos=mos, **counted)

    def close_everything(self) -> None:
        """The gateway ends."""
        self._close_all(CloseAll(id=0))

    @property
    def unfinished(self) -> bool:
        """Whether the engine still holds legs or recorders."""
        return self._engine.leg_count > 0 or self.recorders.busy

    # --- bridges ------------------------------------------------------------------------------------------

    def _set_bridge(self, command: SetBridge) -> None:
        self._bridges.set_matrix(command.bridge, command.matrix)

    def _close_bridge(self, command: CloseBridge) -> None:
        self._bridges.close(command.bridge)

    # --- players and digits -------------------------------------------------------------------------------

    def _play(self, command: Play) -> None:
        self._players.play(self._legs.find(command.leg), command)

    def _stop_play(self, command: StopPlay) -> None:
        self._players.stop(self._legs.find(command.leg), command.player)

    def _control_play(self, command: ControlPlay) -> None:
        self._players.control(self._legs.find(command.leg), command)

    def _prepare(self, command: Prepare) -> None:
        task = asyncio.get_running_loop().create_task(self._render(command))
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)

    async def _render(self, command: Prepare) -> None:
        """Ahead of need; what cannot be rendered says so when it is played."""
        for codec in command.codecs:
            form = codec.upper() if codec.upper() in ("PCMU", "PCMA", "G722", "OPUS") else "linear/16000"
            for item in command.items:
                try:
                    await self._clips.load((item,), form)
                except (PromptError, OSError, ValueError):
                    continue

    def _send_digits(self, command: SendDigits) -> None:
        record = self._legs.find(command.leg)
        if not record.codecs:
            raise ValueError(f"leg {record.name!r} is not configured yet")
        if not command.digits or not set(command.digits.upper()) <= set("0123456789*#ABCD") or len(command.digits) > 64:
            raise ValueError("digits are 1 to 64 of 0-9, *, #, A-D")
        self._batch += 1
        self._batches[self._batch] = (record.name, command.digits)
        self._engine.send_digits(
            record.number, command.digits, command.duration_ms, command.gap_ms, command.inband, self._batch
        )

    def _pass_digit_on(self, source: LegRecord, digit: str) -> None:
        """Digits for listeners whom no packet reaches: those of a mix, and those without telephone-event."""
        wanted = source.configured
        for listener in self._bridges.listeners(source):
            configured = listener.configured
            if configured is None or wanted is None:
                continue
            view = listener.view()
            relayed = view.sends == source.view().receives and not view.must_mix
            if relayed and configured.dtmf_payload_type is not None and self._bridges.hears_alone(listener):
                continue
            inband = configured.dtmf_payload_type is None
            if inband and view.sends > 1:
                continue
            self._engine.send_digits(listener.number, digit, INTERWORKED_MS, INTERWORKED_GAP_MS, inband, 0)

    # --- listening ----------------------------------------------------------------------------------------

    def _start_listening(self, command: StartListening) -> None:
        self._listenings.start(self._legs.find(command.leg), command)

    def _stop_listening(self, command: StopListening) -> None:
        self._listenings.stop(self._legs.find(command.leg), command.listening)

    # --- recorders ----------------------------------------------------------------------------------------

    def _start_recording(self, command: StartRecording) -> None:
        self.recorders.start(self._legs.find(command.leg), command)

    def _pause_recording(self, command: PauseRecording) -> None:
        self.recorders.pause(command.recording, command.mask)

    def _resume_recording(self, command: ResumeRecording) -> None:
        self.recorders.resume(command.recording)

    def _mark_recording(self, command: MarkRecording) -> None:
        self.recorders.mark(command.recording, command.metadata)

    def _stop_recording(self, command: StopRecording) -> None:
        self.recorders.stop(command.recording)

    # --- the whole ----------------------------------------------------------------------------------------

    def _take_snapshot(self, command: TakeSnapshot) -> AnyReply:
        legs = tuple(
            LegState(
                leg=record.name,
                call=record.call,
                address=self._addresses[record.family],
                port=record.port,
                configured=record.configured,
                player=self._players.current(record),
                recordings=tuple(record.recordings),
            )
            for record in self._legs.records()
        )
        return Snapshot(id=command.id, legs=legs, bridges=self._bridges.states(), recordings=self.recorders.states())

    # --- what the engine reports --------------------------------------------------------------------------

    def pump(self) -> None:
        """Turn everything that happened in the engine into events."""
        for fact in self._engine.drain(self._now()):
            try:
                self._facts[fact[0]](self, *fact[1:])
            except RingFull:
                log.warning("an effect of an event was lost: the engine is overloaded", event=fact[0])

    def look_after(self) -> None:
        """Once a second: periodic quality, lateness, the disk."""
        now = self._now()
        for record in self._legs.records():
            if record.codecs and now - record.reported >= QUALITY_INTERVAL_S:
                record.reported = now
                self._emit(Quality(stats=self._stats(record, self._engine.stats(record.number))))
        counts, beyond, total_s = self._engine.lateness()
        self._emit(TickLateness(bounds_us=LATENESS_BOUNDS_US, counts=counts, beyond=beyond, total_s=total_s))
        if now - self._disk_checked >= DISK_INTERVAL_S:
            self._disk_checked = now
            self.recorders.check_disk()

    def _on_digit(self, number: int, digit: str, method: Any) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._emit(DigitReceived(leg=record.name, digit=digit, method=method))
            if record.bridge:
                self._pass_digit_on(record, digit)

    def _on_play(self, _leg: int, player: int, reason: str, played_ms: int) -> None:
        self._players.ended(player, reason, played_ms)

    def _on_digits_sent(self, _leg: int, batch: int) -> None:
        sent = self._batches.pop(batch, None)
        if sent is not None:
            self._emit(DigitsSent(leg=sent[0], digits=sent[1]))

    def _on_started(self, number: int, address: str, port: int) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._emit(MediaStarted(leg=record.name, address=address, port=port))

    def _on_timeout(self, number: int, silent_ms: int) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._emit(MediaTimeout(leg=record.name, silent_ms=silent_ms))

    def _on_intruder(self, number: int, address: str, port: int, packets: int) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._emit(Intruder(leg=record.name, address=address, port=port, packets=packets))

    def _on_codec(self, number: int, kind: int) -> None:
        record = self._legs.numbered(number)
        if record is not None and record.codecs:
            before = record.receives if record.receives >= 0 else record.sends
            record.receives = kind
            if before != kind and self._legs.get(record.name) is record:
                self._bridges.refresh(record)

    def _on_gone(self, number: int, counted: dict[str, Any]) -> None:
        record = self._legs.numbered(number)
        self._legs.forget(number)
        if record is not None:
            self._emit(Quality(stats=self._stats(record, counted), final=True))

    def _on_confirmed(self, _leg: int, number: int) -> None:
        """The engine has obeyed everything up to this confirmation (an event may have found the ring full)."""
        while self._unconfirmed and (first := next(iter(self._unconfirmed))) <= number:
            answer, reply = self._unconfirmed.pop(first)
            answer(reply)

    def _on_talk(self, number: int, talking: bool, talked_ms: int, position: int) -> None:
        record = self._legs.numbered(number)
        if record is None or "talk" not in record.ears[1]:
            return
        record.talking = talking
        self._listenings.talk(record, talking, position)
        if "talk" in record.detect:
            self._emit(TalkStarted(leg=record.name) if talking else TalkStopped(leg=record.name, talked_ms=talked_ms))

    def _on_tap(self, number: int) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._listenings.take(record)

    def _on_detected(self, number: int, what: Any, after_ms: int) -> None:
        record = self._legs.numbered(number)
        if record is not None:
            self._emit(Detected(leg=record.name, what=what, after_ms=after_ms))

    def _on_overrun(self, late_us: int, count: int) -> None:
        self._emit(TickOverrun(late_ms=late_us / 1000.0, count=count))

    def _on_rec_state(self, number: int, state: int, samples: int) -> None:
        self.recorders.changed(number, state, samples)

    def _on_rec_failed(self, number: int, code: int) -> None:
        self.recorders.failed(number, code)

    def _on_rec_done(self, number: int, _code: int, samples: int) -> None:
        self.recorders.done(number, samples)

    _facts: dict[object, Callable[..., None]] = {
        "digit": _on_digit,
        "play": _on_play,
        "digits_sent": _on_digits_sent,
        "started": _on_started,
        "timeout": _on_timeout,
        "intruder": _on_intruder,
        "codec": _on_codec,
        "confirmed": _on_confirmed,
        "gone": _on_gone,
        "talk": _on_talk,
        "tap": _on_tap,
        "detected": _on_detected,
        "overrun": _on_overrun,
        "rec_state": _on_rec_state,
        "rec_failed": _on_rec_failed,
        "rec_done": _on_rec_done,
    }
