"""What a call detail record says: one call, its visits to flows and queues, who talked when, and what was recorded.

Times are the records' wall clock in seconds; durations are in seconds unless the name says ms.
"""

from __future__ import annotations

import msgspec

from pbx.events.catalogue import Conversation


class FlowVisit(msgspec.Struct, omit_defaults=True):
    flow: str
    version: str
    entered_at: float
    left_at: float | None = None
    reason: str = ""
    tags: list[str] = []


class QueueVisit(msgspec.Struct, omit_defaults=True):
    """One entry into a queue; a call that comes back is counted again."""

    queue: str
    entry: str
    entered_at: float
    left_at: float | None = None
    reason: str = ""
    """answered, abandoned, or the flow-out; empty while it waits."""
    waited_s: float = 0.0
    agent: str = ""


class OfferDetail(msgspec.Struct, omit_defaults=True):
    """An agent's phone rang for the call."""

    offer: str
    agent: str
    queue: str
    offered_at: float
    result: str = ""
    ringing_s: float = 0.0


class Talk(msgspec.Struct, omit_defaults=True):
    """One party's connection, from answer to end. Ring time is before, after-call work behind it."""

    leg: str
    device: str
    party: str = ""
    """Telephone number of the party."""
    agent: str = ""
    queue: str = ""
    rang_at: float | None = None
    answered_at: float | None = None
    left_at: float | None = None
    held_at: float | None = None
    """Since when this party holds; set only while it does."""
    hold_s: float = 0.0
    """Time this party put the others on hold."""
    holds: int = 0
    after_call_s: float = 0.0
    disposition: str = ""
    note: str = ""
    ended_by: str = ""
    """``remote`` and so on as in ConnectionCleared, or ``transfer_blind``, ``transfer_attended``,
    ``transfer_takeover``, or ``failed:STATUS`` where it was never answered."""


class TransferDetail(msgspec.Struct, omit_defaults=True):
    at: float
    leg: str
    device: str
    destination: str
    kind: str
    agent: str = ""


class RecordingDetail(msgspec.Struct, omit_defaults=True):
    recording: str
    leg: str
    path: str
    started_at: float
    agent: str = ""
    state: str = "recording"
    """recording, completed or failed."""
    duration_ms: int = 0
    size_bytes: int = 0
    sha256: str = ""
    reason: str = ""
    pauses_ms: list[tuple[int, int]] = []
    """Offsets (from, to) that are silent or missing; to is -1 while it is paused."""
    conversation: Conversation | None = None


class CallDetail(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Everything the log says about one call."""

    call: str
    direction: str = ""
    device: str = ""
    leg: str = ""
    """The leg it began with."""
    caller: str = ""
    called: str = ""
    caller_name: str = ""
    destination: str = ""
    """Where routing sent it first."""
    started_at: float = 0.0
    answered_at: float | None = None
    """Inbound: by the IVR or an agent; else by the party that was called."""
    ended_at: float | None = None
    outcome: str = ""
    reason: str = ""
    flows: list[FlowVisit] = []
    queues: list[QueueVisit] = []
    offers: list[OfferDetail] = []
    talks: list[Talk] = []
    transfers: list[TransferDetail] = []
    recordings: list[RecordingDetail] = []
    voicemails: list[str] = []
    data: dict[str, str] = {}
    mos: dict[str, float] = {}
    """Leg to mean opinion score, where it could be known."""

    @property
    def wait_s(self) -> float:
        return sum(visit.waited_s for visit in self.queues)

    @property
    def hold_s(self) -> float:
        return sum(talk.hold_s for talk in self.talks)

    @property
    def talk_s(self) -> float:
        """Agents' connected time less hold; in a call without agents, that of everyone but the party who called."""
        return sum(self.measure_talk(talk) for talk in self._counted())

    def measure_talk(self, talk: Talk) -> float:
        """Seconds this party talked: connected, less what it held. The first leg of a call we make talks once the
        other side answered."""
        if talk.answered_at is None or talk.left_at is None:
            return 0.0
        start = talk.answered_at
        if talk.leg == self.leg and self.direction != "inbound":
            if self.answered_at is None:
                return 0.0
            start = max(start, self.answered_at)
        return max(0.0, talk.left_at - start - talk.hold_s)

    def _counted(self) -> list[Talk]:
        agents = [talk for talk in self.talks if talk.agent]
        return agents or [talk for talk in self.talks if talk.leg != self.leg]
