"""The switch's side of the media gateways: commands out, replies paired, events to whom they concern."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from media import protocol as media
from pbx.app.outputs import ToGateway
from pbx.call.audio import wanted_background, wanted_matrix
from pbx.call.model import Call, Leg
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


FIRST_ID = 1000
"""Below are the ids of the connection's own greeting: a repeated id would be answered with an old reply."""


class GatewayView(msgspec.Struct):
    """What is known of one gateway."""

    name: str
    up: bool = False
    identity: str = ""
    """The gateway's own name for its life; a new one means that it lost everything."""
    legs: int = 0
    capacity: int = 0
    lateness: media.TickLateness | None = None
    """Of its playout ticks, as it last said."""


class MediaControl:
    def __init__(self, ex: Exchange, gateways: tuple[str, ...]) -> None:
        self._ex = ex
        self.gateways = {name: GatewayView(name) for name in gateways}
        self._last_id = FIRST_ID
        self._waiting: dict[int, media.Command] = {}
        """Commands whose reply matters, by id."""

    # --- commands ---------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def send(self, gateway: str, command: media.AnyCommand) -> None:
        self._waiting[command.id] = command
        self._ex.out.append(ToGateway(gateway, command))

    def choose(self) -> str:
        """The gateway for a new call: up, and with the smallest share of its capacity used. Empty: none is up."""
        up = [view for view in self.gateways.values() if view.up]
        if not up:
            return ""
        return min(up, key=lambda view: view.legs / max(view.capacity, 1)).name

    def open(self, call: Call, leg: Leg) -> None:
        leg.gateway = call.gateway
        self.gateways[leg.gateway].legs += 1
        self.send(leg.gateway, media.OpenLeg(id=self.next_id(), leg=leg.id, call=call.id))

    def configure(self, leg: Leg, configuration: media.ConfigureLeg) -> None:
        anew = leg.configured is None
        leg.configured = configuration
        self.send(leg.gateway, configuration)
        if anew and leg.playing is not None:
            # Its gateway died in the middle of a prompt, which begins again.
            leg.playing = msgspec.structs.replace(leg.playing, id=self.next_id())
            self.send(leg.gateway, leg.playing)

    def close(self, leg: Leg) -> None:
        if not leg.gateway:
            return
        self.gateways[leg.gateway].legs -= 1
        self.send(leg.gateway, media.CloseLeg(id=self.next_id(), leg=leg.id))

    def close_bridge(self, call: Call) -> None:
        if call.bridge:
            call.bridge = ()
            self.send(call.gateway, media.CloseBridge(id=self.next_id(), bridge=call.id))

    def settle(self, call: Call) -> None:
        """Bring bridge and backgrounds of ``call`` to what its state asks for."""
        matrix = wanted_matrix(call)
        if matrix != call.bridge:
            if matrix:
                call.bridge = matrix
                self.send(call.gateway, media.SetBridge(id=self.next_id(), bridge=call.id, matrix=matrix))
            else:
                self.close_bridge(call)
        for leg in call.legs.values():
            if leg.state == "ended" or leg.player:
                continue
            wanted = wanted_background(call, leg, self._ex.settings.hold_music)
            if wanted != leg.background:
                self._change_background(leg, wanted)

    def _change_background(self, leg: Leg, wanted: str) -> None:
        kind, _, name = wanted.partition(":")
        if not kind:
            self.send(leg.gateway, media.StopPlay(id=self.next_id(), leg=leg.id, player="background"))
        else:
            item: media.PlayItem
            if kind == "music":
                item = self._ex.settings.music(name)
            else:
                item = media.Tone(name="ringback", country=self._ex.settings.tone_country)
            self.send(
                leg.gateway,
                media.Play(id=self.next_id(), leg=leg.id, player="background", items=(item,), loop=True),
            )
        leg.background = wanted

    # --- replies ----------------------------------------------------------------------------------------------

    def replied(self, gateway: str, reply: media.AnyReply) -> None:
        command = self._waiting.pop(reply.id, None)
        if isinstance(reply, media.LegOpened):
            self._opened(reply)
        elif isinstance(reply, media.Snapshot):
            self._ex.recovery.compare(gateway, reply)
        elif isinstance(reply, media.Refused) and command is not None:
            self._refused(command, reply)

    def _opened(self, reply: media.LegOpened) -> None:
        found = self._ex.find(reply.leg)
        if found is None or found[1].state == "ended":
            return
        call, leg = found
        leg.address, leg.port = self._ex.settings.media_address(reply.address, leg.peer), reply.port
        self._ex.legs.opened(call, leg)

    def _refused(self, command: media.Command, reply: media.Refused) -> None:
        ex = self._ex
        leg_id = getattr(command, "leg", "")
        found = ex.find(leg_id) if leg_id else None
        call = found[0].id if found else ""
        # What was to be stopped or closed may have ended by itself in the same moment.
        moot = reply.code == "unknown" and isinstance(
            command,
            media.StopPlay | media.StopListening | media.CloseLeg | media.CloseBridge | media.StopRecording,
        )
        if not moot and (found is None or found[1].state != "ended"):
            ex.note("warning", "gateway refused a command", call, command=type(command).__name__, reason=reply.reason)
        if isinstance(command, media.OpenLeg) and found:
            ex.legs.not_opened(*found, reply.reason)
        elif isinstance(command, media.Play) and found and found[1].player == command.player:
            finished = media.PlayFinished(
                leg=command.leg, player=command.player, reason="failed", played_ms=0, detail=reply.reason
            )
            self.happened("", finished)
        elif isinstance(command, media.StartListening) and found:
            ex.listening.refused(found[0], command.listening, reply.reason)
        elif isinstance(command, media.StartRecording):
            ex.recording.failed(command.recording, reply.reason, kept=False)

    # --- events -----------------------------------------------------------------------------------------------

    def happened(self, gateway: str, event: media.AnyEvent) -> None:
        """An event of a gateway."""
        ex = self._ex
        if isinstance(event, media.RecordingStarted | media.RecordingPaused | media.RecordingResumed):
            ex.recording.progressed(event)
        elif isinstance(event, media.RecordingCompleted | media.RecordingFailed):
            ex.recording.finished(event)
        elif isinstance(event, media.DiskState):
            ex.recording.disk_changed(gateway, event.level, event.free_bytes)
        elif isinstance(event, media.Quality):
            self._quality(event)
        elif isinstance(event, media.TickLateness):
            self.gateways.setdefault(gateway, GatewayView(gateway)).lateness = event
        elif isinstance(event, media.TickOverrun):
            ex.note("warning", "playout tick late", gateway=gateway, late_ms=event.late_ms, count=event.count)
        else:
            found = ex.find(event.leg)
            if found is not None and found[1].state != "ended":
                self._on_leg(event, *found)

    def _on_leg(self, event: media.AnyEvent, call: Call, leg: Leg) -> None:
        ex = self._ex
        if isinstance(event, media.DigitReceived):
            ex.legs.digit(call, leg, event.digit)
        elif isinstance(event, media.PlayFinished):
            self._play_finished(event, call, leg)
        elif isinstance(event, media.SpeechStarted | media.UtteranceHeard):
            ex.listening.heard(call, event)
        elif isinstance(event, media.TalkStarted | media.TalkStopped):
            ex.taking.talk(call, leg, isinstance(event, media.TalkStarted))
        elif isinstance(event, media.MediaTimeout):
            ex.legs.silent(call, leg, event.silent_ms)
        elif isinstance(event, media.MediaStarted):
            leg.timed_out = False
        elif isinstance(event, media.Intruder):
            ex.log(
                facts.SecurityAlert(
                    what="rtp_intruder",
                    address=f"{event.address}:{event.port}",
                    detail=f"{event.packets} packets for leg {event.leg} were dropped",
                )
            )

    def _play_finished(self, event: media.PlayFinished, call: Call, leg: Leg) -> None:
        ex = self._ex
        if event.player != leg.player:
            return
        leg.player, leg.playing = "", None
        ex.touch(call)
        if event.reason == "failed":
            ex.note("error", "prompt could not be played", call.id, detail=event.detail)
        session = ex.find_session(call, event.player.partition("/")[0])
        if session is not None:
            session.play_finished(ex, call, leg, event)

    def _quality(self, event: media.Quality) -> None:
        if not event.final:
            return
        stats = event.stats
        note = self._ex.legs.take_quality(stats.leg)
        if note is None:
            return
        call, device = note
        self._ex.log(
            facts.MediaQuality(
                call=call,
                leg=stats.leg,
                device=device,
                received=stats.packets_received,
                lost=stats.lost,
                jitter_ms=stats.jitter_ms,
                late=stats.late,
                duplicates=stats.duplicates,
                round_trip_ms=stats.round_trip_ms,
                mos=stats.mos,
            )
        )

    # --- gateways come and go ---------------------------------------------------------------------------------

    def gateway_up(self, gateway: str, welcome: media.Welcome) -> None:
        view = self.gateways.setdefault(gateway, GatewayView(gateway))
        restarted = bool(view.identity) and view.identity != welcome.gateway
        view.up, view.identity, view.capacity = True, welcome.gateway, welcome.capacity
        self._ex.log(
            facts.GatewayStateChanged(
                gateway=gateway,
                state="restarted" if restarted else "up",
                reason=f"{welcome.legs} legs live there",
            )
        )
        self._ex.recording.disk_changed(gateway, welcome.disk, welcome.disk_free_bytes)
        if restarted:
            view.legs = 0
            self._ex.legs.anchor_again(gateway)
        self._ex.recovery.gateway_up(gateway, restarted=restarted)

    def gateway_down(self, gateway: str, reason: str) -> None:
        view = self.gateways.get(gateway)
        if view is not None and view.up:
            view.up = False
            self._ex.log(facts.GatewayStateChanged(gateway=gateway, state="down", reason=reason))
