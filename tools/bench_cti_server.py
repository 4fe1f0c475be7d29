"""The server side of bench_cti: event log, CTI hub and HTTP as in Tandem, with invented calls in place of the switch.

Prints one JSON line when it listens, and one with its own costs each time it reads a line from standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from pbx.adapters.desk_server import DeskServer, load_live
from pbx.adapters.gatekeeper import Gatekeeper
from pbx.adapters.http import HttpServer
from pbx.core.ids import SeededIds
from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, AnyCommand, CommandDone
from pbx.cti.permissions import Directory
from pbx.events.catalogue import AnyEvent, Record
from pbx.events.line import Line
from pbx.storage.event_log import EventLog
from pbx.storage.users import Users
from pbx.testing.scenarios import make_call

TICK_S = 0.005


def make_directory(agents: int, queues: int) -> Directory:
    return Directory(agent_queues={str(1001 + n): (f"q{n % queues}",) for n in range(agents)})


class Calls:
    """Calls that begin at a steady rate and run ``speed`` times as fast as people talk."""

    def __init__(self, rate: float, agents: int, queues: int, speed: float, seed: int) -> None:
        self._rate, self._agents, self._queues, self._speed = rate, agents, queues, speed
        self._ids = SeededIds(seed)
        self._seed = seed
        self._count = 0
        self._running: list[tuple[float, int, AnyEvent, Iterator[tuple[float, AnyEvent]]]] = []

    def advance(self, elapsed: float) -> list[AnyEvent]:
        """Events due until ``elapsed`` seconds after the start."""
        import heapq

        while self._count < elapsed * self._rate:
            agent = self._count % self._agents
            events = make_call(
                f"b{self._seed}-{self._count}",
                agent=str(1001 + agent),
                queue=f"q{agent % self._queues}",
                ids=self._ids,
                answered=self._count % 10 != 9,
            )
            _, first = next(events)
            heapq.heappush(self._running, (self._count / self._rate, self._count, first, events))
            self._count += 1
        due = []
        while self._running and self._running[0][0] <= elapsed:
            at, number, event, events = heapq.heappop(self._running)
            due.append(event)
            following = next(events, None)
            if following is not None:
                heapq.heappush(self._running, (at + following[0] / self._speed, number, following[1], events))
        return due


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    folder = Path(options.folder)
    log = EventLog(
        f"sqlite:///{folder}/tandem.db",
        journal=folder / "journal",
        post=loop.call_soon_threadsafe,
        on_durable=lambda lines: publish(lines),
    )
    log.open()
    users = Users(log.engine)
    directory = make_directory(options.agents, options.queues)
    users.put_user("root", "administrator", wall=time.time())
    for agent in directory.agent_queues:
        users.put_user(agent, "agent", wall=time.time(), agent=agent)

    class Tokens(Users):
        """The bench's tokens are the users' names: nothing of it is measured."""

        def check_token(self, token: str, wall: float) -> Actor | None:
            name = token.removeprefix("bench-token-")
            return Actor(user=name, role="administrator" if name == "root" else "agent", agent=name)

    def execute(actor: Actor, command: AnyCommand, request_id: str) -> None:
        desk.done(CommandDone(request_id=request_id, result=Accepted()))

    desk = DeskServer(
        log,
        Gatekeeper(Tokens(log.engine), clock=time.monotonic, wall=time.time),
        load_live(log),
        execute,
        clock=time.monotonic,
        wall=time.time,
        directory=directory,
    )

    def publish(lines: Sequence[tuple[Line, Record]]) -> None:
        desk.publish(lines)

    http = HttpServer(None, desk.make_socket, port=options.port)
    await http.start()
    print(msgspec.json.encode({"port": http.port, "seq": log.last_seq}).decode(), flush=True)
    calls = Calls(options.rate, options.agents, options.queues, options.speed, log.last_seq)
    started = time.monotonic()
    stdin = loop.run_in_executor(None, sys.stdin.readline)
    running = True
    while True:
        await asyncio.sleep(TICK_S)
        due = calls.advance(time.monotonic() - started) if running else []
        if due:
            wall, first = time.time(), log.last_seq + 1
            log.append([Record(first + n, wall, event) for n, event in enumerate(due)])
        if stdin.done():
            word = stdin.result().strip()
            if not word:
                break
            running = word == "go"
            usage = resource.getrusage(resource.RUSAGE_SELF)
            stats = desk.hub.stats
            report = {
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "rss_kib": usage.ru_maxrss,
                "events": stats.events,
                "frames": stats.frames,
                "bytes": stats.bytes,
                "seq": log.durable_seq,
            }
            print(msgspec.json.encode(report).decode(), flush=True)
            stdin = loop.run_in_executor(None, sys.stdin.readline)
    await desk.stop()
    await http.stop()
    log.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--queues", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--speed", type=float, default=5.0)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
