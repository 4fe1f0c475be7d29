"""`make bench-cti`: many desktops, each following its own agent and queue, while calls run.

Measures the time from an event's append to its arrival at each desktop, and what a delivered event costs the server;
then cuts connections at random, kills the server with SIGKILL, and checks that no desktop missed an event or got one
twice.

    python -m tools.bench_cti [--agents 500] [--rate 50] [--seconds 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_AT = b'"at":'
_SEQ = b'"seq":'
_EVENT = b'"method":"event"'
_POSITION = b'"method":"position"'


class Desktop(asyncio.Protocol):
    """As little as a client can be: what is measured is the server. ``seqs`` are the events it got, in order."""

    def __init__(self, user: str, bench: Bench) -> None:
        self.user = user
        self.bench = bench
        self.seqs: list[int] = []
        self.position: int | None = None
        self.first: int | None = None
        """Number its first subscription began after."""
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()
        self.subscribed = asyncio.Event()
        self._buffer = b""
        self._upgraded = False

    async def connect(self, port: int) -> None:
        """Try until it works; subscribes from the last position."""
        self._buffer, self._upgraded = b"", False
        self.closed.clear()
        while True:
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
                return
            except OSError:
                await asyncio.sleep(0.1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(self.user.encode().ljust(16, b"x")[:16]).decode()
        transport.write(
            f"GET /cti HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer bench-token-{self.user}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._buffer += data
        if not self._upgraded:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(head.decode())
            self._upgraded, self._buffer = True, rest
            since = {} if self.position is None else {"since": self.position}
            self._send({"jsonrpc": "2.0", "id": "subscribe", "method": "Subscribe", "params": since})
        self._read_frames(now)

    def _read_frames(self, now: float) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 2:
            size, head = buffer[start + 1], 2
            if size > 125:
                head = 4 if size == 126 else 10
                if len(buffer) - start < head:
                    break
                size = int.from_bytes(buffer[start + 2 : start + head], "big")
            end = start + head + size
            if len(buffer) < end:
                break
            if buffer[start] == 0x81:
                self._take(buffer[start + head : end], now)
            start = end
        self._buffer = buffer[start:]

    def _take(self, message: bytes, now: float) -> None:
        if _EVENT in message[:40]:
            at = message.index(_AT) + 5
            seq = message.index(_SEQ) + 6
            self.position = int(message[seq : message.index(b",", seq)])
            self.seqs.append(self.position)
            if self.bench.measuring:
                self.bench.delays.append(now - float(message[at : message.index(b",", at)]))
        elif _POSITION in message[:45]:
            self.position = json.loads(message)["params"]["seq"]
        elif b'"id":"subscribe"' in message[:60]:
            result = json.loads(message)["result"]
            if "gap" in result:
                raise RuntimeError(f"a gap: {result['gap']}")
            if self.first is None:
                self.first = self.position = result["seq"]
            self.subscribed.set()

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        assert self.transport is not None and len(data) < 65_536
        head = bytes((0x81, 0x80 | len(data))) if len(data) < 126 else b"\x81\xfe" + len(data).to_bytes(2, "big")
        self.transport.write(head + bytes(4) + data)


class Bench:
    def __init__(self, options: argparse.Namespace, folder: str) -> None:
        self.options = options
        self.folder = folder
        self.delays: list[float] = []
        self.measuring = False
        self.port = 0
        self.desktops = [Desktop(str(1001 + n), self) for n in range(options.agents)]
        self._random = random.Random(1)

    async def start_server(self) -> None:
        o = self.options
        self.server = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tools.bench_cti_server", self.folder, "--port", str(self.port), "--agents", str(o.agents)),
            *("--queues", str(o.queues), "--rate", str(o.rate), "--speed", str(o.speed)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        self.port = (await self.read_server())["port"]

    async def read_server(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        found: dict[str, Any] = json.loads(await self.server.stdout.readline())
        return found

    async def ask_server(self, word: str = "go") -> dict[str, Any]:
        """Its costs so far; ``quiet``: no more calls."""
        assert self.server.stdin is not None
        self.server.stdin.write(f"{word}\n".encode())
        return await self.read_server()

    async def run(self) -> dict[str, Any]:
        await self.start_server()
        keepers = [asyncio.create_task(self.keep(desktop)) for desktop in self.desktops]
        await asyncio.gather(*(desktop.subscribed.wait() for desktop in self.desktops))
        await asyncio.sleep(self.options.warm_up)
        before, mine = await self.ask_server(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
        begun = time.monotonic()
        self.measuring = True
        await asyncio.sleep(self.options.seconds)
        self.measuring = False
        elapsed = time.monotonic() - begun
        after = await self.ask_server()
        report = self.describe(before, after, elapsed)
        report["bench_cpu"] = round((resource.getrusage(resource.RUSAGE_SELF).ru_utime - mine) / elapsed, 3)
        await self.disturb()
        last = (await self.ask_server("quiet"))["seq"]
        await asyncio.sleep(1.0)
        last = (await self.ask_server("quiet"))["seq"]
        for keeper in keepers:
            keeper.cancel()
        report |= await self.verify(last)
        assert self.server.stdin is not None
        self.server.stdin.close()
        await self.server.wait()
        return report

    async def keep(self, desktop: Desktop) -> None:
        """Connected, whatever happens."""
        while True:
            await desktop.connect(self.port)
            await desktop.closed.wait()

    async def disturb(self) -> None:
        """Cut connections at random, and kill the server in the middle of it."""
        for n in range(self.options.reconnects):
            desktop = self._random.choice(self.desktops)
            if desktop.transport is not None:
                desktop.transport.abort()
            if n == self.options.reconnects // 2:
                self.server.send_signal(signal.SIGKILL)
                await self.server.wait()
                await self.start_server()
            await asyncio.sleep(self._random.uniform(0, 0.1))
        await asyncio.sleep(3.0)

    async def verify(self, last: int) -> dict[str, Any]:
        """Every desktop once more from its beginning: the log must give what it was shown live."""
        found: dict[str, Any] = {"told": 0, "lost": 0, "repeated": 0}
        for start in range(0, len(self.desktops), 50):
            some = self.desktops[start : start + 50]
            replays = await asyncio.wait_for(asyncio.gather(*map(self.replay, some)), 120)
            for desktop, seqs in zip(some, replays, strict=True):
                found["told"] += len(desktop.seqs)
                found["repeated"] += len(desktop.seqs) - len(set(desktop.seqs))
                found["lost"] += len(set(seqs) ^ set(desktop.seqs))
                if desktop.seqs != sorted(desktop.seqs):
                    raise RuntimeError(f"{desktop.user} was told out of order")
        return found | {"reconnects": self.options.reconnects, "last": last}

    async def replay(self, desktop: Desktop) -> list[int]:
        """What the log holds for this desktop since it first subscribed."""
        if desktop.transport is not None:
            desktop.transport.abort()
        again = Desktop(desktop.user, self)
        again.first = again.position = desktop.first
        await again.connect(self.port)
        await again.subscribed.wait()
        last = desktop.seqs[-1] if desktop.seqs else 0
        quiet, seen = 0, -1
        while quiet < 10:
            reached = again.seqs[-1] if again.seqs else 0
            quiet = quiet + 1 if len(again.seqs) == seen and reached >= last else 0
            seen = len(again.seqs)
            await asyncio.sleep(0.05)
        if again.transport is not None:
            again.transport.abort()
        return again.seqs

    def describe(self, before: dict[str, Any], after: dict[str, Any], elapsed: float) -> dict[str, Any]:
        delays = sorted(self.delays)
        frames = after["frames"] - before["frames"]
        cpu = after["cpu_s"] - before["cpu_s"]
        quantiles = {f"p{q:g}_ms": round(delays[int(len(delays) * q / 100)] * 1000, 2) for q in (50, 90, 99, 99.9)}
        return {
            "desktops": len(self.desktops),
            "calls_per_s": self.options.rate,
            "events_per_s": round((after["events"] - before["events"]) / elapsed),
            "delivered_per_s": round(frames / elapsed),
            "mbytes_per_s": round((after["bytes"] - before["bytes"]) / elapsed / 1e6, 2),
            **quantiles,
            "max_ms": round(delays[-1] * 1000, 2),
            "server_cpu": round(cpu / elapsed, 3),
            "cpu_us_per_delivered": round(cpu / max(1, frames) * 1e6, 1),
            "server_rss_mib": round(after["rss_kib"] / 1024, 1),
        }


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=500, help="desktops")
    parser.add_argument("--queues", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50.0, help="calls per second")
    parser.add_argument("--speed", type=float, default=5.0, help="how much faster than life calls run")
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring")
    parser.add_argument("--warm-up", type=float, default=5.0)
    parser.add_argument("--reconnects", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the result there too")
    return parser


def run(arguments: list[str]) -> dict[str, Any]:
    options = make_parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tandem-bench-cti-") as folder:
        report = asyncio.run(Bench(options, folder).run())
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return report


def main() -> None:
    report = run(sys.argv[1:])
    width = max(map(len, report))
    for name, value in report.items():
        print(f"{name:<{width}}  {value}")
    if report["lost"] or report["repeated"]:
        sys.exit("events were lost or repeated")


if __name__ == "__main__":
    main()
