"""Registrations over restarts: which bindings are written to storage, and how they are read back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

import msgspec

from pbx.sip.events import Registered, Unregistered
from pbx.storage.writes import PutBinding

REFRESH_S = 60.0
"""A refreshed registration is written again when its time has moved by this much."""


class Registrations:
    """Writes what the registrar reports."""

    def __init__(self, put: Callable[[PutBinding], None], epoch: float) -> None:
        """``epoch``: wall clock minus monotonic clock, in seconds."""
        self._put = put
        self._epoch = epoch
        self._kept: dict[tuple[str, str], float] = {}

    def keep(self, binding: Registered | Unregistered) -> None:
        key = (binding.extension, binding.contact)
        if isinstance(binding, Unregistered):
            self._kept.pop(key, None)
            self._put(PutBinding(extension=binding.extension, contact=binding.contact))
            return
        if binding.refreshed and abs(binding.expires_at - self._kept.get(key, 0.0)) < REFRESH_S:
            return
        self._kept[key] = binding.expires_at
        self._put(
            PutBinding(
                extension=binding.extension,
                contact=binding.contact,
                expires_at=binding.expires_at + self._epoch,
                binding=msgspec.json.encode(binding).decode(),
            )
        )


def restore_registrations(stored: Iterable[PutBinding], epoch: float) -> list[Registered]:
    """Bindings on the monotonic clock of this process; what cannot be read any more is passed over."""
    kept = []
    for entry in stored:
        with contextlib.suppress(msgspec.MsgspecError):
            binding = msgspec.json.decode(entry.binding, type=Registered)
            kept.append(msgspec.structs.replace(binding, expires_at=entry.expires_at - epoch))
    return kept
