"""The desk's own corners: what happens while it is set up, and its snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import uvloop

from pbx.adapters.desk_server import DeskServer, load_live, make_day_counter
from pbx.adapters.gatekeeper import Gatekeeper
from pbx.core.timers import Deadline
from pbx.events.catalogue import Record
from pbx.events.line import Line
from pbx.storage.event_log import EventLog
from pbx.storage.users import Users
from pbx.testing.scenarios import make_history


def make_desk(log: EventLog) -> DeskServer:
    gatekeeper = Gatekeeper(Users(log.engine), clock=time.monotonic, wall=time.time)
    return DeskServer(
        log, gatekeeper, load_live(log), lambda actor, command, id: None, clock=time.monotonic, wall=time.time
    )


async def test_events_written_while_it_is_set_up_are_neither_lost_nor_counted_twice(tmp_path: Path) -> None:
    announced: list[Sequence[tuple[Line, Record]]] = []
    log = EventLog(f"sqlite:///{tmp_path}/t.db", journal=tmp_path / "j", on_durable=announced.append)
    log.open()
    history = make_history(30, agents=3)

    def write(part: list[Record]) -> None:
        log.append(part)
        assert log.flush()

    await asyncio.to_thread(write, history[:100])
    desk = make_desk(log)
    await asyncio.to_thread(write, history[100:150])
    await asyncio.to_thread(write, history[150:])
    late = [pair for batch in announced for pair in batch if pair[0].seq > 150]
    early = [pair for batch in announced for pair in batch if pair[0].seq <= 100]
    desk.publish(early)
    assert desk.hub.seq == 100
    desk.publish(late)
    assert desk.hub.seq == len(history)
    assert desk.hub.live.snapshot() == load_live(log).snapshot()
    await desk.stop()
    assert await asyncio.to_thread(log.close)


async def test_a_restart_reads_the_snapshot_and_the_rest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    log = EventLog(url, journal=tmp_path / "j")
    log.open()
    history = make_history(60, agents=3)
    log.append(history[:700])
    assert await asyncio.to_thread(log.flush)
    desk = make_desk(log)
    desk.save_live()
    log.append(history[700:])
    await desk.stop()
    assert await asyncio.to_thread(log.close)
    again = EventLog(url, journal=tmp_path / "j")
    again.open()
    assert again.reader.read_fold("live")[0] == 700
    live = load_live(again)
    assert live.state.seq == len(history) and live.state.calls == {}
    assert sum(queue.counts.offered for queue in live.state.queues.values()) == 60
    assert await asyncio.to_thread(again.close)


def test_a_deadline_that_has_come_is_no_fault_under_uvloop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handles of what is due at once are no timer handles."""

    async def serve() -> None:
        log = EventLog(f"sqlite:///{tmp_path}/t.db", journal=tmp_path / "j")
        log.open()
        desk = make_desk(log)
        with monkeypatch.context() as patch:
            patch.setattr(desk.hub, "next_deadline", lambda: Deadline(-1.0, "late"))
            desk.publish([])
            desk.publish([])
        await desk.stop()
        assert await asyncio.to_thread(log.close)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def test_days_begin_at_midnight_where_the_call_centre_is() -> None:
    midnight = datetime(2026, 11, 22, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
    count = make_day_counter("Asia/Shanghai")
    assert count(midnight) == count(midnight + 86_399) == count(midnight - 1) + 1
    assert make_day_counter("UTC")(midnight) == make_day_counter("UTC")(midnight - 1)
