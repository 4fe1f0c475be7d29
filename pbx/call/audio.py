"""Who hears whom: the matrix and the background of every leg, computed from a call as it stands."""

from __future__ import annotations

from media.protocol import Hears

from .model import Call, Leg

SUPERVISOR_GAIN_DB = 0.0


def wanted_matrix(call: Call) -> tuple[Hears, ...]:
    """The bridge of ``call``: talkers hear each other; supervisors hear, whisper or take part.

    A leg on hold, by its phone or by us, neither speaks nor hears.
    """
    active = [call.legs[leg] for leg in call.talkers if _takes_part(call.legs[leg])]
    cells = [Hears(listener=a.id, source=b.id) for a in active for b in active if a is not b]
    for supervisor in call.legs.values():
        if not supervisor.supervision or supervisor.state != "connected" or supervisor.held:
            continue
        for talker in active:
            cells.append(Hears(listener=supervisor.id, source=talker.id, gain_db=SUPERVISOR_GAIN_DB))
            spoken_to = supervisor.supervision == "barge" or (
                supervisor.supervision == "whisper" and talker.id == supervisor.supervises
            )
            if spoken_to:
                cells.append(Hears(listener=talker.id, source=supervisor.id))
    return tuple(cells)


def wanted_background(call: Call, leg: Leg, music: str) -> str:
    """What ``leg`` is to hear when no prompt plays: ``music:CLASS``, ``ringback`` or empty for its bridge.

    ``music`` is the class for those on hold.
    """
    if leg.configured is None or leg.held or leg.state == "ended" or leg.supervision:
        return ""
    if leg.parked:
        return f"music:{music}"
    if leg.id in call.talkers:
        active = [other for other in call.others(leg.id) if _takes_part(other)]
        on_hold = [other for other in call.others(leg.id) if other.held or other.parked]
        return f"music:{music}" if on_hold and not active else ""
    return leg.waiting


def _takes_part(leg: Leg) -> bool:
    return leg.configured is not None and leg.state != "ended" and not leg.held and not leg.parked
