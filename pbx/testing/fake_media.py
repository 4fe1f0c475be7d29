"""A media gateway without media, in virtual time: keeps the books as the real one does and plays by the clock.

It refuses what the real one refuses, so that a switch that uses the protocol wrongly is found out.
"""

from __future__ import annotations

from collections.abc import Callable

from media import protocol as media
from media.conversation import measure_conversation
from pbx.core.timers import Deadline, Timers

SPEECH_MS_PER_CHARACTER = 70
MUSIC_MS = 30_000
FILE_MS = 2_000


class FakeMedia:
    """``handle`` takes a command and gives the reply; ``events`` collects what happens meanwhile."""

    def __init__(self, name: str = "local", *, capacity: int = 10_000) -> None:
        self.name = name
        self.capacity = capacity
        self.now = 0.0
        self.legs: dict[str, media.ConfigureLeg | None] = {}
        self.players: dict[str, tuple[media.Play, float]] = {}
        self.bridges: dict[str, tuple[media.Hears, ...]] = {}
        self.quiet = False
        """Nobody speaks."""
        self.recordings: dict[str, tuple[media.StartRecording, float]] = {}
        self.events: list[media.AnyEvent] = []
        self.refused: list[tuple[media.Command, media.Refused]] = []
        self._ports = 10_000
        self._timers: Timers[str] = Timers()
        self._seen: set[int] = set()
        self._actions: dict[type, Callable[..., media.AnyReply | None]] = {
            media.OpenLeg: self._open,
            media.ConfigureLeg: self._configure,
            media.CloseLeg: self._close,
            media.CloseAll: self._close_all,
            media.SetBridge: self._set_bridge,
            media.CloseBridge: self._close_bridge,
            media.Play: self._play,
            media.StopPlay: self._stop_play,
            media.StartRecording: self._start_recording,
            media.StopRecording: self._stop_recording,
            media.PauseRecording: self._known_recording,
            media.ResumeRecording: self._known_recording,
            media.MarkRecording: self._known_recording,
            media.SendDigits: self._known_leg,
            media.TakeSnapshot: self._take_snapshot,
            media.StartListening: self._known_leg,
            media.StopListening: self._known_leg,
        }

    def welcome(self) -> media.Welcome:
        return media.Welcome(id=1, version=1, gateway=self.name, legs=len(self.legs), capacity=self.capacity)

    def connect_again(self) -> None:
        """Call control is a new process with a new connection: it counts its commands from the start."""
        self._seen.clear()

    def handle(self, command: media.AnyCommand, now: float) -> media.AnyReply:
        """Carry out a command."""
        self.now = now
        assert command.id not in self._seen, f"id {command.id} was used twice"
        self._seen.add(command.id)
        reply = self._actions[type(command)](command) or media.Ok(id=command.id)
        if isinstance(reply, media.Refused):
            self.refused.append((command, reply))
        return reply

    def press(self, leg: str, digit: str, now: float) -> None:
        """The party at ``leg`` presses a key."""
        self.now = now
        if leg not in self.legs:
            return
        self.events.append(media.DigitReceived(leg=leg, digit=digit))
        playing = self.players.get(leg)
        if playing is not None and digit in playing[0].stop_on_digits:
            self._finish(leg, "digit")

    def next_deadline(self) -> Deadline | None:
        at = self._timers.next()
        return None if at is None else Deadline(at, "a player ends")

    def expire(self, now: float) -> None:
        self.now = now
        while (leg := self._timers.pop(now)) is not None:
            self._finish(leg, "completed")

    # --- commands ---------------------------------------------------------------------------------------------

    def _unknown(self, command: media.Command, what: str) -> media.Refused:
        return media.Refused(id=command.id, code="unknown", reason=f"no {what}")

    def _open(self, command: media.OpenLeg) -> media.AnyReply:
        if len(self.legs) >= self.capacity:
            return media.Refused(id=command.id, code="exhausted", reason="no port is free")
        self.legs.setdefault(command.leg, None)
        self._ports += 2
        return media.LegOpened(id=command.id, leg=command.leg, address="192.0.2.200", port=self._ports)

    def _configure(self, command: media.ConfigureLeg) -> media.AnyReply | None:
        if command.leg not in self.legs:
            return self._unknown(command, f"leg {command.leg}")
        before = self.legs[command.leg]
        if not self.quiet and "talk" in command.detect and (before is None or "talk" not in before.detect):
            # Whom somebody listens to speaks, until the test says otherwise.
            self.events.append(media.TalkStarted(leg=command.leg))
        self.legs[command.leg] = command
        return None

    def _known_leg(
        self, command: media.SendDigits | media.StartListening | media.StopListening
    ) -> media.AnyReply | None:
        return None if command.leg in self.legs else self._unknown(command, f"leg {command.leg}")

    def _close(self, command: media.CloseLeg) -> media.AnyReply | None:
        if command.leg not in self.legs:
            return self._unknown(command, f"leg {command.leg}")
        if command.leg in self.players:
            self._finish(command.leg, "closed")
        for recording, (started, _) in list(self.recordings.items()):
            if started.leg == command.leg:
                self._complete(recording)
        for bridge, matrix in self.bridges.items():
            self.bridges[bridge] = tuple(h for h in matrix if command.leg not in (h.listener, h.source))
        del self.legs[command.leg]
        self.events.append(media.Quality(stats=media.LegStats(leg=command.leg), final=True))
        return None

    def _close_all(self, command: media.CloseAll) -> None:
        for leg in self.legs.keys() - set(command.keep):
            self._close(media.CloseLeg(id=command.id, leg=leg))

    def _set_bridge(self, command: media.SetBridge) -> media.AnyReply | None:
        members = {leg for hears in command.matrix for leg in (hears.listener, hears.source)}
        missing = members - self.legs.keys()
        if missing:
            return self._unknown(command, f"leg {sorted(missing)[0]}")
        for bridge, matrix in self.bridges.items():
            self.bridges[bridge] = tuple(h for h in matrix if not members & {h.listener, h.source})
        self.bridges[command.bridge] = command.matrix
        return None

    def _close_bridge(self, command: media.CloseBridge) -> media.AnyReply | None:
        return None if self.bridges.pop(command.bridge, None) is not None else self._unknown(command, "bridge")

    def _play(self, command: media.Play) -> media.AnyReply | None:
        if command.leg not in self.legs:
            return self._unknown(command, f"leg {command.leg}")
        if command.leg in self.players:
            self._finish(command.leg, "replaced")
        self.players[command.leg] = (command, self.now)
        if not command.loop:
            self._timers.set(command.leg, self.now + sum(_length_ms(item) for item in command.items) / 1000)
        return None

    def _stop_play(self, command: media.StopPlay) -> media.AnyReply | None:
        playing = self.players.get(command.leg)
        if playing is None or (command.player and playing[0].player != command.player):
            return self._unknown(command, f"player {command.player}")
        self._finish(command.leg, "stopped")
        return None

    def _start_recording(self, command: media.StartRecording) -> media.AnyReply | None:
        if command.leg not in self.legs:
            return self._unknown(command, f"leg {command.leg}")
        self.recordings[command.recording] = (command, self.now)
        self.events.append(media.RecordingStarted(recording=command.recording, leg=command.leg, path=command.path))
        return None

    def _stop_recording(self, command: media.StopRecording) -> media.AnyReply | None:
        if command.recording not in self.recordings:
            return self._unknown(command, f"recording {command.recording}")
        self._complete(command.recording)
        return None

    def _known_recording(
        self, command: media.PauseRecording | media.ResumeRecording | media.MarkRecording
    ) -> media.AnyReply | None:
        return None if command.recording in self.recordings else self._unknown(command, "recording")

    def _take_snapshot(self, command: media.TakeSnapshot) -> media.AnyReply:
        return media.Snapshot(
            id=command.id,
            legs=tuple(
                media.LegState(
                    leg=leg,
                    call="",
                    address="192.0.2.200",
                    port=0,
                    configured=configured,
                    player=self.players[leg][0].player if leg in self.players else "",
                    recordings=tuple(name for name, (started, _) in self.recordings.items() if started.leg == leg),
                )
                for leg, configured in self.legs.items()
            ),
            bridges=tuple(media.BridgeState(bridge=name, matrix=matrix) for name, matrix in self.bridges.items()),
            recordings=tuple(
                media.RecordingState(
                    recording=name,
                    leg=started.leg,
                    path=started.path,
                    state="recording",
                    duration_ms=int((self.now - since) * 1000),
                )
                for name, (started, since) in self.recordings.items()
            ),
        )

    # --- what happens -----------------------------------------------------------------------------------------

    def _finish(self, leg: str, reason: str) -> None:
        playing = self.players.pop(leg, None)
        self._timers.cancel(leg)
        if playing is not None:
            played = int((self.now - playing[1]) * 1000)
            self.events.append(
                media.PlayFinished(leg=leg, player=playing[0].player, reason=reason, played_ms=played)  # type: ignore[arg-type]
            )

    def _complete(self, recording: str) -> None:
        started, since = self.recordings.pop(recording)
        duration_ms = int((self.now - since) * 1000)
        self.events.append(
            media.RecordingCompleted(
                recording=recording,
                leg=started.leg,
                path=started.path,
                duration_ms=duration_ms,
                size_bytes=44,
                sha256="0" * 64,
                conversation=measure_conversation([(0, duration_ms // 2)], [], duration_ms),
            )
        )


def _length_ms(item: media.PlayItem) -> int:
    if isinstance(item, media.Speech):
        return 300 + SPEECH_MS_PER_CHARACTER * len(item.text)
    if isinstance(item, media.Silence):
        return item.duration_ms
    if isinstance(item, media.Tone):
        return item.duration_ms or FILE_MS
    return MUSIC_MS if isinstance(item, media.Music) else FILE_MS
