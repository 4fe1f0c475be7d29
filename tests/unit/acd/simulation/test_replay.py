"""The arrivals of a day out of its log."""

from __future__ import annotations

from pbx.acd.simulation.distributions import RecordedCall
from pbx.acd.simulation.replay import read_replay
from pbx.events import catalogue as facts


def record(seq: int, at: float, event: facts.AnyEvent) -> facts.Record:
    return facts.Record(seq, at, event)


def queued(call: str, queue: str, entry: str, priority: int = 0) -> facts.Queued:
    return facts.Queued(call=call, item=call, queue=queue, priority=priority, position=1, entry=entry)


def left(call: str, entry: str, reason: str, waited: float, agent: str = "") -> facts.QueueLeft:
    return facts.QueueLeft(
        call=call, item=call, queue="support", reason=reason, waited_s=waited, agent=agent, entry=entry
    )


def test_handling_and_patience() -> None:
    offered = facts.Offered(call="c1", leg="l1", direction="inbound", device="trunk:t", caller="+861", called="100")
    records = [
        record(1, 999.0, offered),
        record(2, 1000.0, queued("c1", "support", "c1#1", 3)),
        record(3, 1010.0, left("c1", "c1#1", "answered", 10.0, "ann")),
        record(4, 1012.0, queued("c2", "support", "c2#2")),
        record(5, 1030.0, left("c2", "c2#2", "abandoned", 18.0)),
        record(6, 1040.0, facts.AgentWorkingAfterCall(agent="ann", item="c1")),
        record(7, 1041.0, facts.CallCleared(call="c1", outcome="answered", reason="")),
        record(8, 1050.0, facts.AgentReady(agent="ann")),
        record(9, 1060.0, queued("c3", "sales", "c3#3")),
        record(10, 1061.0, left("c3", "c3#3", "overflow", 1.0)),
        record(11, 1070.0, queued("c4", "support", "c4#4")),
        record(12, 1071.0, left("c4", "c4#4", "answered", 1.0, "bob")),
    ]
    replays = read_replay(records)
    assert replays["support"].calls == (
        RecordedCall(at=0.0, handling_s=30.0, caller="+861", priority=3),
        RecordedCall(at=12.0, patience_s=18.0),
        RecordedCall(at=70.0),
    )
    assert replays["sales"].calls == (RecordedCall(at=60.0),)


def test_an_empty_day() -> None:
    assert read_replay([]) == {}
