"""The arrivals of a real day out of the event log: each entry into a queue with its handling time and patience."""

from __future__ import annotations

from collections.abc import Iterable

from pbx.acd.simulation.distributions import RecordedCall, Replay
from pbx.events import catalogue as facts

GAVE_UP = ("abandoned", "exit_key", "voicemail")


def read_replay(records: Iterable[facts.Record]) -> dict[str, Replay]:
    """Queue to its arrivals, in seconds after the first entry of all.

    The handling time is from the answer to the moment the agent stops talking; it is unknown where the log ends
    before. Patience is known of those who gave up; of the others only that it was longer, so it is left unknown.
    """
    reader = _Reader()
    for record in records:
        reader.read(record)
    start = min((call[1] for call in reader.calls.values()), default=0.0)
    queues: dict[str, list[RecordedCall]] = {}
    for entry, (queue, at, caller, priority) in reader.calls.items():
        queues.setdefault(queue, []).append(
            RecordedCall(
                at=at - start,
                handling_s=reader.handling.get(entry),
                patience_s=reader.patience.get(entry),
                caller=caller,
                priority=priority,
            )
        )
    return {queue: Replay(tuple(sorted(calls, key=lambda call: call.at))) for queue, calls in queues.items()}


class _Reader:
    def __init__(self) -> None:
        self.calls: dict[str, tuple[str, float, str, int]] = {}
        self.handling: dict[str, float] = {}
        self.patience: dict[str, float] = {}
        self._callers: dict[str, str] = {}
        self._talking: dict[str, tuple[str, float]] = {}
        """Agent to the entry he answered, and when."""

    def read(self, record: facts.Record) -> None:
        event = record.event
        match event:
            case facts.Offered():
                self._callers[event.call] = event.caller
            case facts.Queued():
                entry = event.entry or f"{event.item} at {record.seq}"
                caller = self._callers.get(event.call, "")
                self.calls[entry] = (event.queue, record.at, caller, event.priority)
            case facts.QueueLeft():
                if event.reason == "answered":
                    self._talking[event.agent] = (event.entry, record.at)
                elif event.reason in GAVE_UP:
                    self.patience[event.entry] = event.waited_s
            case facts.AgentWorkingAfterCall() | facts.AgentReady() | facts.AgentNotReady() | facts.AgentLoggedOff():
                answered = self._talking.pop(event.agent, None)
                if answered is not None:
                    self.handling[answered[0]] = record.at - answered[1]
            case facts.CallCleared():
                self._callers.pop(event.call, None)
            case _:
                pass
