"""A gateway that outlived call control: what it does is compared with what was written down of its calls.

Calls are written a moment after they changed, so the last moment before the death is missing: a prompt that ended, a
hold, a recorder that began. The gateway knows. Where the two differ its word counts, and the switch goes on from there
to what the calls need now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from media import protocol as media
from pbx.call.model import Call, Leg, RecordingNote

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

BACKGROUND = "background"


class Expected:
    """What the gateway should be doing at the moment it is asked; what is commanded later is not in its answer."""

    def __init__(self, ex: Exchange, gateway: str) -> None:
        self.calls = {
            call.id: (call.bridge, {leg.id: (leg.player, leg.background) for leg in call.live() if leg.port})
            for call in ex.calls.values()
            if call.gateway == gateway
        }


def compare(ex: Exchange, expected: Expected, snapshot: media.Snapshot) -> None:
    """Bring the calls that ``expected`` tells of in line with what the gateway says it does."""
    legs = {state.leg: state for state in snapshot.legs}
    bridges = {state.bridge: state.matrix for state in snapshot.bridges}
    recordings = {state.recording: state for state in snapshot.recordings}
    for name, (bridge, sounds) in expected.calls.items():
        call = ex.calls.get(name)
        if call is None or name in ex.ending:
            continue
        actual = bridges.get(name, ())
        if call.bridge == bridge and set(actual) != set(bridge):
            call.bridge = actual
            ex.touch(call)
            if name in bridges and not actual:
                ex.media.send(call.gateway, media.CloseBridge(id=ex.media.next_id(), bridge=name))
        _compare_recordings(ex, call, recordings)
        for leg_id, sound in sounds.items():
            leg = call.legs[leg_id]
            if leg.state == "ended" or (leg.player, leg.background) != sound:
                continue
            state = legs.get(leg_id)
            if state is None:
                # It was closed: the leg ended, and that was not written any more.
                ex.legs.hangup(leg, cause=41, reason="ended while the server restarted")
            else:
                _compare_sound(ex, call, leg, state.player)


def _compare_sound(ex: Exchange, call: Call, leg: Leg, playing: str) -> None:
    if playing == leg.player or (not leg.player and playing == BACKGROUND and leg.background):
        return
    if playing:
        ex.media.send(leg.gateway, media.StopPlay(id=ex.media.next_id(), leg=leg.id, player=playing))
    leg.background = ""
    ex.touch(call)
    if leg.player:
        ended = media.PlayFinished(leg=leg.id, player=leg.player, reason="completed", played_ms=0)
        ex.media.happened(leg.gateway, ended)


def _compare_recordings(ex: Exchange, call: Call, recordings: dict[str, media.RecordingState]) -> None:
    for name, state in recordings.items():
        if state.leg in call.legs and name not in call.recordings:
            path = ex.recording.relative(state.path)
            agent = call.legs[state.leg].agent
            call.recordings[name] = RecordingNote(id=name, leg=state.leg, path=path, agent=agent, state=state.state)
            ex.recording.adopt(call)
    for name, note in list(call.recordings.items()):
        if name not in recordings and note.state != "stopping":
            ex.recording.disown(call, name)
