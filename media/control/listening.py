"""Utterances of callers for a speech recogniser: found by the talk detector, cut out of the leg's audio, sent whole.

The engine's tap gives the samples, its talk detector the beginnings and ends, both as positions on one count of
samples; nothing here looks at a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from media.control.legs import LegRecord
from media.engine.core import Engine
from media.protocol import AnyEvent, SpeechStarted, StartListening, UtteranceHeard

WIDTH = 2
"""Bytes of a sample."""
PRE_ROLL_MS = 500
"""Kept from before speech was noticed: soft beginnings of words, and the detector's own 80 ms."""
HANGOVER_MS = 400
"""The talk detector says that talk ended after so much quiet; a shorter pause cannot be told."""
LONGEST_MS = 60_000
"""An utterance of 16 kHz stays below half of what a frame of the protocol may hold."""

Ending = Literal["pause", "too_long"]


class Endpointer:
    """Where one utterance begins and ends. Positions are samples since listening began."""

    def __init__(self, rate: int, pause_ms: int, max_ms: int, *, talking: bool = False) -> None:
        """``talking``: speech is under way already."""
        self._pre_roll = PRE_ROLL_MS * rate // 1000
        self._hangover = HANGOVER_MS * rate // 1000
        self._pause = max(pause_ms, HANGOVER_MS) * rate // 1000
        self._most = min(max(max_ms, 1), LONGEST_MS) * rate // 1000
        self._audio = bytearray()
        self._position = 0
        self._began: int | None = 0 if talking else None
        self._quiet_since: int | None = None

    @property
    def speaking(self) -> bool:
        """Whether speech has begun."""
        return self._began is not None

    @property
    def samples(self) -> bytes:
        """The utterance so far, with what led up to it."""
        return bytes(self._audio)

    def talk(self, talking: bool, position: int) -> None:
        """The detector changed its mind when the tap had been given ``position`` samples."""
        if not talking:
            self._quiet_since = position - self._hangover
            return
        self._quiet_since = None
        if self._began is None:
            self._began = position

    def add(self, samples: bytes) -> Ending | None:
        """Take in audio; says when the utterance is over."""
        self._audio += samples
        self._position += len(samples) // WIDTH
        if self._began is None:
            surplus = len(self._audio) - self._pre_roll * WIDTH
            if surplus > 0:
                del self._audio[:surplus]
            return None
        if self._quiet_since is not None and self._position - self._quiet_since >= self._pause:
            return "pause"
        return "too_long" if self._position - self._began >= self._most else None


@dataclass(slots=True, eq=False)
class Listening:
    name: str
    rate: int
    asked: StartListening
    endpointer: Endpointer
    told: bool = False
    """SpeechStarted was sent."""


class ListeningDesk:
    """At most one listening a leg; it is over with its utterance."""

    def __init__(
        self,
        engine: Engine,
        emit: Callable[[AnyEvent], None],
        update_ears: Callable[[LegRecord], bool],
    ) -> None:
        self._engine = engine
        self._emit = emit
        self._update_ears = update_ears
        self._running: dict[int, Listening] = {}

    def start(self, leg: LegRecord, command: StartListening) -> None:
        """Replaces what the leg was listened to for. Raises ValueError for a leg that is not configured."""
        if not leg.codecs:
            raise ValueError(f"leg {leg.name!r} is not configured yet")
        self._begin(leg, command)
        leg.listening = True
        self._update_ears(leg)

    def _begin(self, leg: LegRecord, command: StartListening) -> None:
        rate = leg.codecs[0].pcm_rate
        self._engine.start_tap(leg.number)
        endpointer = Endpointer(rate, command.pause_ms, command.max_ms, talking=leg.talking)
        self._running[leg.number] = Listening(command.listening, rate, command, endpointer)

    def stop(self, leg: LegRecord, name: str) -> None:
        """No effect where another, or none, is running."""
        running = self._running.get(leg.number)
        if running is not None and name in ("", running.name):
            self._end(leg)

    def leg_closed(self, leg: LegRecord) -> None:
        self._running.pop(leg.number, None)

    def rate_changed(self, leg: LegRecord) -> None:
        """The leg's codec is another: what was heard of an utterance at the old rate is given up."""
        running = self._running.get(leg.number)
        if running is not None and running.rate != leg.codecs[0].pcm_rate:
            self._begin(leg, running.asked)

    # --- what the engine says -----------------------------------------------------------------------------

    def talk(self, leg: LegRecord, talking: bool, position: int) -> None:
        running = self._running.get(leg.number)
        if running is not None:
            running.endpointer.talk(talking, position)
            self.take(leg)

    def take(self, leg: LegRecord) -> None:
        """The tap holds samples."""
        running = self._running.get(leg.number)
        if running is None:
            return
        ending = running.endpointer.add(self._engine.read_tap(leg.number))
        if running.endpointer.speaking and not running.told:
            running.told = True
            self._emit(SpeechStarted(leg=leg.name, listening=running.name))
        if ending is not None:
            samples = running.endpointer.samples
            self._end(leg)
            self._emit(
                UtteranceHeard(leg=leg.name, listening=running.name, reason=ending, rate=running.rate, samples=samples)
            )

    def _end(self, leg: LegRecord) -> None:
        del self._running[leg.number]
        self._engine.stop_tap(leg.number)
        leg.listening = False
        self._update_ears(leg)
