"""Invented but plausible histories: the events of calls through queues to agents, from a seed.

For tests of folds and storage, for benches, and to give a desktop's author something to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

from pbx.core.ids import SeededIds
from pbx.events import catalogue as e
from pbx.events.catalogue import AnyEvent, Record


def make_call(
    call: str, *, agent: str, queue: str, ids: SeededIds, answered: bool = True
) -> Iterator[tuple[float, AnyEvent]]:
    """The events of one inbound call as (seconds after the one before, event)."""
    trunk, phone, device = f"{call}-t", f"{call}-a", f"extension:{agent}"
    caller = f"+4930{int(ids.uniform(1_000_000, 9_999_999))}"
    offer, recording, path = f"{call}-o", f"{call}-r", f"2026/11/22/{call}.wav"
    yield (
        0.0,
        e.Offered(call=call, leg=trunk, direction="inbound", device="trunk:carrier", caller=caller, called="8000"),
    )
    yield 0.01, e.Routed(call=call, destination="flow:main", rule="main line")
    yield 0.01, e.FlowEntered(call=call, flow="main", version="1")
    yield 0.02, e.Established(call=call, leg=trunk, device="trunk:carrier")
    yield 0.0, e.NodeEntered(call=call, flow="main", node="menu")
    yield ids.uniform(2, 8), e.DigitsCollected(call=call, flow="main", node="menu", digits="1")
    yield 0.0, e.CallInformation(call=call, data={"language": "en", "customer": caller[-4:]})
    yield 0.0, e.FlowLeft(call=call, flow="main", reason="queue")
    yield 0.0, e.Queued(call=call, item=call, queue=queue, priority=0, position=1, entry=f"{call}-e")
    waited = ids.uniform(1, 30)
    if not answered:
        yield (
            waited,
            e.QueueLeft(call=call, item=call, queue=queue, reason="abandoned", waited_s=waited, entry=f"{call}-e"),
        )
        yield 0.0, e.ConnectionCleared(call=call, leg=trunk, device="trunk:carrier", by="remote", cause=16)
        yield 0.0, e.CallCleared(call=call, outcome="abandoned", reason="caller")
        return
    why = {"candidates": 3, "chosen": agent, "strategy": "longest_idle"}
    yield waited - 1, e.AgentOffered(call=call, item=call, queue=queue, agent=agent, offer=offer, why=why)
    yield 0.0, e.AgentRinging(agent=agent, item=call)
    yield 0.0, e.Originated(call=call, leg=phone, device=device, called=agent, agent=agent)
    yield 0.1, e.Delivered(call=call, leg=phone, device=device, agent=agent)
    yield 0.9, e.Established(call=call, leg=phone, device=device, agent=agent)
    yield (
        0.0,
        e.OfferEnded(call=call, item=call, queue=queue, agent=agent, offer=offer, result="accepted", ringing_s=0.9),
    )
    yield (
        0.0,
        e.QueueLeft(
            call=call, item=call, queue=queue, reason="answered", waited_s=waited, agent=agent, entry=f"{call}-e"
        ),
    )
    yield 0.0, e.AgentBusy(agent=agent, item=call)
    yield 0.0, e.Bridged(call=call, legs=(trunk, phone))
    yield 0.0, e.RecordingStarted(call=call, recording=recording, leg=trunk, path=path, agent=agent)
    talk = ids.uniform(20, 300)
    if talk > 200:
        yield 10.0, e.Held(call=call, leg=phone, device=device, agent=agent)
        yield 5.0, e.Retrieved(call=call, leg=phone, device=device, agent=agent)
        talk -= 15
    yield talk, e.ConnectionCleared(call=call, leg=trunk, device="trunk:carrier", by="remote", cause=16)
    yield 0.0, e.ConnectionCleared(call=call, leg=phone, device=device, by="local", cause=16, agent=agent)
    yield 0.0, e.CallCleared(call=call, outcome="answered", reason="caller")
    yield 0.0, e.AgentWorkingAfterCall(agent=agent, item=call, until_s=30)
    yield (
        0.2,
        e.RecordingCompleted(
            call=call,
            recording=recording,
            leg=trunk,
            path=path,
            duration_ms=int(talk * 1000),
            size_bytes=9,
            sha256="ab",
            conversation=e.Conversation(
                talk_from_ms=6000,
                talk_to_ms=9000,
                talk_ratio=0.4,
                silence_ms=int(talk * 1000) - 14_500,
                longest_silence_ms=1500,
                crosstalk_ms=500,
                crosstalk_count=1,
            ),
        ),
    )
    yield ids.uniform(3, 25), e.WrapUpCompleted(agent=agent, item=call, disposition="solved")
    yield 0.0, e.AgentReady(agent=agent)


def make_history(
    calls: int,
    *,
    seed: int = 1,
    agents: int = 20,
    queues: tuple[str, ...] = ("support", "sales"),
    start_seq: int = 1,
    start_at: float = 1_795_000_000.0,
    rate: float = 0.5,
) -> list[Record]:
    """Records of ``calls`` calls, ``rate`` a second, woven together in order of time; every seventh caller gives up."""
    ids = SeededIds(seed)
    timeline: list[tuple[float, int, AnyEvent]] = []
    for n in range(agents):
        logged_on = e.AgentLoggedOn(agent=str(1001 + n), device=f"extension:{1001 + n}")
        timeline += [(start_at, n, logged_on), (start_at, n, e.AgentReady(agent=str(1001 + n)))]
    for n in range(calls):
        at = start_at + 1 + n / rate
        events = make_call(
            f"c{seed}-{n}",
            agent=str(1001 + n % agents),
            queue=queues[n % len(queues)],
            ids=ids,
            answered=n % 7 != 6,
        )
        for delay, event in events:
            at += delay
            timeline.append((at, n, event))
    timeline.sort(key=lambda entry: entry[0])
    return [Record(start_seq + i, at, event) for i, (at, _, event) in enumerate(timeline)]
