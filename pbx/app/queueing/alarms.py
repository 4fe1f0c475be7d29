"""Thresholds of queues: an alarm when one is crossed, and word when it is kept again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from pbx.app.outputs import Checkpoint
from pbx.core.timers import Deadline
from pbx.events import catalogue as facts

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

LOOK_S = 5.0
"""The queues are looked at so often; no alarm comes and goes faster."""
KEY = "@alarms"
"""Name of the raised alarms among what is written down."""

Threshold = Literal["waiting", "longest_wait", "agents_ready"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, dict[Threshold, float]]).decode


class Alarms:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._raised: dict[str, dict[Threshold, float]] = {}
        """Queue and threshold to its limit."""
        self._due = 0.0
        self.configure()

    def configure(self) -> None:
        """Take the thresholds of the configuration in force."""
        queues = self._ex.settings.configuration.queues
        self._watched = [name for name, queue in queues.items() if queue.alarms.model_fields_set]

    def next_deadline(self) -> Deadline | None:
        if self._raised or self._watched:
            return Deadline(max(self._due, self._ex.now), "queue alarms")
        return None

    def expire(self, now: float) -> None:
        """Look at every queue with thresholds, and say what is new."""
        if self._due > now:
            return
        self._due = now + LOOK_S
        found = {
            (queue, threshold): (value, limit, crossed)
            for queue in self._watched
            for threshold, value, limit, crossed in self._measure(queue)
        }
        before = {(queue, name): limit for queue, limits in self._raised.items() for name, limit in limits.items()}
        raised = {crossing: limit for crossing, (_, limit, crossed) in found.items() if crossed}
        for crossing in sorted(before.keys() ^ raised.keys()):
            # A threshold that is not configured any more is kept.
            value, limit, crossed = found.get(crossing, (0.0, before.get(crossing, 0.0), False))
            queue, threshold = crossing
            self._ex.log(
                facts.QueueAlarm(queue=queue, threshold=threshold, raised=crossed, value=round(value, 3), limit=limit)
            )
        if before.keys() != raised.keys():
            self._raised = {}
            for (queue, threshold), limit in raised.items():
                self._raised.setdefault(queue, {})[threshold] = limit
            self._ex.out.append(Checkpoint(KEY, _encode(self._raised) if self._raised else b""))

    def _measure(self, queue: str) -> Iterator[tuple[Threshold, float, float, bool]]:
        """Of each threshold its value and limit, and whether it is crossed."""
        alarms = self._ex.settings.configuration.queues[queue].alarms
        view = self._ex.acd.view_queue(queue, self._ex.now)
        if alarms.waiting is not None:
            waiting = view.waiting - view.callbacks
            yield "waiting", waiting, alarms.waiting, waiting >= alarms.waiting
        if alarms.longest_wait is not None:
            longest = view.longest_on_line_s
            yield "longest_wait", longest, alarms.longest_wait, longest >= alarms.longest_wait
        if alarms.agents_ready is not None:
            ready = view.agents.get("ready", 0)
            yield "agents_ready", ready, alarms.agents_ready, view.open and ready < alarms.agents_ready

    def take_over(self, kept: Mapping[str, bytes]) -> None:
        """At start: what was raised before is not raised again, and cleared when it is over."""
        try:
            self._raised = _decode(kept[KEY]) if kept.get(KEY) else {}
        except msgspec.MsgspecError as error:
            self._ex.note("error", "the raised alarms cannot be read", error=str(error))
