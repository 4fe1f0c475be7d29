"""From a who-hears-whom matrix to what each leg of the engine does: relay, mix or nothing. Pure.

A listener is relayed to when it hears exactly one leg, at 0 dB, in a codec that needs no decoding, and nothing
else (a recorder that wants samples, a player that plays on top) forces its audio through the mixer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from media.engine.terms import RouteSpec
from media.protocol import Hears

G711_KINDS = frozenset({0, 1})


@dataclass(frozen=True, slots=True)
class LegView:
    """What routing needs to know of a configured leg."""

    number: int
    sends: int
    """Kind of the codec we send to it."""
    receives: int
    """Kind of the codec that comes from it."""
    clock_rate: int
    channels: int = 1
    must_mix: bool = False
    must_decode: bool = False


def amplitude(gain_db: float) -> float:
    """Factor of a gain; below -90 dB nothing is heard."""
    return 0.0 if gain_db <= -90.0 else float(10.0 ** (min(gain_db, 30.0) / 20.0))


def can_relay(source: LegView, listener: LegView) -> bool:
    """Whether packets of one may be sent to the other as they are, or with each G.711 code replaced."""
    if source.receives in G711_KINDS and listener.sends in G711_KINDS:
        return True
    return (
        source.receives == listener.sends
        and source.clock_rate == listener.clock_rate
        and source.channels == listener.channels
    )


def compile_routes(matrix: Sequence[Hears], legs: Mapping[str, LegView], also: Iterable[str] = ()) -> list[RouteSpec]:
    """One route for every leg of the matrix and of `also` (legs that left it). Legs that are not in `legs` (not
    configured yet) neither hear nor are heard."""
    hears: dict[str, dict[str, float]] = {}
    for cell in matrix:
        if cell.listener in legs and cell.source in legs:
            hears.setdefault(cell.listener, {})[cell.source] = cell.gain_db
    names = dict.fromkeys(name for cell in matrix for name in (cell.listener, cell.source) if name in legs)
    names.update(dict.fromkeys(name for name in also if name in legs))
    sinks: dict[str, list[int]] = {name: [] for name in names}
    decoded = {name for name in names if legs[name].must_decode}
    relayed: set[str] = set()
    mixing: set[str] = set()
    for listener, sources in hears.items():
        view = legs[listener]
        only = next(iter(sources))
        if len(sources) == 1 and sources[only] == 0 and not view.must_mix and can_relay(legs[only], view):
            relayed.add(listener)
            sinks[only].append(view.number)
        else:
            mixing.add(listener)
            decoded.update(sources)
    return [
        RouteSpec(
            leg=legs[name].number,
            hears=tuple((legs[source].number, amplitude(gain)) for source, gain in hears[name].items())
            if name in mixing
            else (),
            sinks=tuple(sinks[name]),
            relayed=name in relayed,
            mixing=name in mixing,
            decoding=name in decoded,
        )
        for name in names
    ]
