"""Which legs each phone and trunk has: for limits, for busy, for lamps."""

from __future__ import annotations

from collections.abc import Iterable

_NONE: dict[str, None] = {}


class DeviceLegs:
    """Live legs by device, oldest first. ``len`` is the number of devices in some call."""

    __slots__ = ("_by_device",)

    def __init__(self) -> None:
        self._by_device: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._by_device)

    def add(self, device: str, leg: str) -> None:
        self._by_device.setdefault(device, {})[leg] = None

    def remove(self, device: str, leg: str) -> None:
        legs = self._by_device.get(device, _NONE)
        legs.pop(leg, None)
        if not legs:
            self._by_device.pop(device, None)

    def count(self, device: str) -> int:
        return len(self._by_device.get(device, _NONE))

    def of(self, device: str) -> Iterable[str]:
        return self._by_device.get(device, _NONE)
