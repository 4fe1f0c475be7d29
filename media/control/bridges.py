"""Bridges: the matrices call control set, kept in step with the engine's routes."""

from __future__ import annotations

from collections.abc import Iterable

from media.control.legs import LegRecord, LegTable, UnknownObject
from media.control.routing import compile_routes
from media.engine.core import Engine
from media.protocol import BridgeState, Hears

MAX_CELLS = 20_000
MAX_LEGS = 512


class BridgeDesk:
    def __init__(self, engine: Engine, legs: LegTable) -> None:
        self._engine = engine
        self._legs = legs
        self._matrices: dict[str, tuple[Hears, ...]] = {}
        self._members: dict[str, set[str]] = {}

    def states(self) -> tuple[BridgeState, ...]:
        return tuple(BridgeState(bridge=name, matrix=matrix) for name, matrix in self._matrices.items())

    def listeners(self, leg: LegRecord) -> list[LegRecord]:
        """Legs that hear this one."""
        found = []
        for cell in self._matrices.get(leg.bridge, ()):
            if cell.source == leg.name and cell.listener != leg.name:
                record = self._legs.get(cell.listener)
                if record is not None:
                    found.append(record)
        return found

    def hears_alone(self, leg: LegRecord) -> bool:
        """Whether the leg hears exactly one other, unchanged."""
        cells = [cell for cell in self._matrices.get(leg.bridge, ()) if cell.listener == leg.name]
        return len(cells) == 1 and cells[0].gain_db == 0

    def set_matrix(self, bridge: str, matrix: tuple[Hears, ...]) -> None:
        """Raises UnknownObject for a leg that does not exist, ValueError for a matrix too large."""
        if len(matrix) > MAX_CELLS:
            raise ValueError(f"a matrix of {len(matrix)} cells; at most {MAX_CELLS} are allowed")
        members = {name for cell in matrix for name in (cell.listener, cell.source)}
        if len(members) > MAX_LEGS:
            raise ValueError(f"a bridge of {len(members)} legs; at most {MAX_LEGS} are allowed")
        records = [self._legs.find(name) for name in members]
        touched = {bridge}
        for record in records:
            if record.bridge and record.bridge != bridge:
                touched.add(record.bridge)
                self._take_out(record)
            record.bridge = bridge
        left = self._members.get(bridge, set()) - members
        for name in left:
            gone = self._legs.get(name)
            if gone is not None and gone.bridge == bridge:
                gone.bridge = ""
        self._matrices[bridge] = matrix
        self._members[bridge] = members
        self._apply(touched, left)

    def close(self, bridge: str) -> None:
        """Raises UnknownObject."""
        if bridge not in self._matrices:
            raise UnknownObject(f"no bridge {bridge!r}")
        self.set_matrix(bridge, ())
        del self._matrices[bridge]
        del self._members[bridge]

    def refresh(self, leg: LegRecord) -> None:
        """Something about the leg changed (codec, recorder, mixing player): route its bridge anew."""
        if leg.bridge:
            self._apply({leg.bridge}, ())
        elif leg.codecs:
            self._engine.set_routes(compile_routes((), {leg.name: leg.view()}, (leg.name,)))

    def leave(self, leg: LegRecord) -> None:
        """The leg is about to close."""
        bridge = leg.bridge
        if not bridge:
            return
        self._take_out(leg)
        self._apply({bridge}, (leg.name,))

    def _take_out(self, leg: LegRecord) -> None:
        bridge = leg.bridge
        leg.bridge = ""
        self._matrices[bridge] = tuple(
            cell for cell in self._matrices[bridge] if leg.name not in (cell.listener, cell.source)
        )
        self._members[bridge].discard(leg.name)

    def _apply(self, bridges: Iterable[str], left: Iterable[str]) -> None:
        """One engine command for everything: old and new bridge change in the same instant."""
        matrix = [cell for bridge in bridges for cell in self._matrices.get(bridge, ())]
        names = {name for bridge in bridges for name in self._members.get(bridge, ())} | set(left)
        views = {}
        for name in names:
            record = self._legs.get(name)
            if record is not None and record.codecs:
                views[name] = record.view()
        routes = compile_routes(matrix, views, names)
        if routes:
            self._engine.set_routes(routes)
