"""Processes under measurement: compiled, started, loaded with calls, and their CPU read from the kernel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from media.client import GatewayClient
from media.codecs.opus import OpusEncoder
from media.protocol import (
    Codec,
    ConfigureLeg,
    Hears,
    LegOpened,
    OpenLeg,
    Play,
    SetBridge,
    StartRecording,
    TickLateness,
    Tone,
)

HERE = Path(__file__).parent
LOAD_PORT = 9900
FLOOR_PORT = 10000
GATEWAY_PORTS = "20000-29999"
AHEAD = ("nice", "-n", "-11")
"""The engine asks for this priority; floor and callers get the same, where the system allows it."""
CODECS = {
    "PCMU": Codec(name="PCMU", payload_type=0),
    "PCMA": Codec(name="PCMA", payload_type=8),
    "G722": Codec(name="G722", payload_type=9),
    "OPUS": Codec(name="OPUS", payload_type=111, clock_rate=48000, channels=2),
}


@dataclass(frozen=True)
class Measurement:
    cpu_s: float
    seconds: float
    calls: int
    sent: int
    received: int
    p50_us: int
    p99_us: int
    p999_us: int
    late: tuple[int, ...] = ()
    """Of the gateway's ticks: how many in each class of lateness; the floor has none."""

    @property
    def us_per_call_second(self) -> float:
        return self.cpu_s * 1e6 / (self.calls * self.seconds)


def compile_tools(folder: Path) -> None:
    for name in ("floor", "load"):
        source, target = HERE / f"{name}.c", folder / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["gcc", "-O2", "-Wall", "-o", str(target), str(source)], check=True)


def store_opus(folder: Path) -> None:
    """Ten seconds of something like speech in Opus, for the callers that speak it."""
    chance = np.random.default_rng(1)
    t = np.arange(160_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 130 * k * t + k) / k for k in range(1, 30))
    samples = (4000 * voice * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)) + chance.normal(0, 50, len(t))).astype(np.int16)
    encoder = OpusEncoder(16_000, bitrate=24_000)
    packets = [encoder.encode(samples[at : at + 320]) for at in range(0, len(samples), 320)]
    (folder / "opus.bin").write_bytes(b"".join(len(packet).to_bytes(2, "little") + packet for packet in packets))


def cpu_seconds(pid: int) -> float:
    """CPU of all threads so far, user and system, from the scheduler's own nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Floor:
    """The C relay."""

    def __init__(self, folder: Path, calls: int, connected: bool, record: bool) -> None:
        self.ports = [f"{FLOOR_PORT + 4 * call + 2 * leg}/0" for call in range(calls) for leg in range(2)]
        command = [*AHEAD, str(folder / "floor"), "-n", str(calls), "-p", str(FLOOR_PORT), "-q", str(LOAD_PORT)]
        if connected:
            command.append("-c")
        if record:
            target = folder / "floor-recordings"
            target.mkdir(exist_ok=True)
            command += ["-r", str(target)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._child.stdout is not None
        if self._child.stdout.readline() != b"ready\n":
            raise RuntimeError("the floor relay did not start")
        self.pid = self._child.pid

    async def close(self) -> None:
        self._child.kill()
        self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


class Gateway:
    """A gateway process with calls set up in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports: list[str] = []
        self.client: GatewayClient
        self.pid = 0
        self.events: dict[str, int] = {}
        self.late: TickLateness | None = None

    async def start(self) -> None:
        target = f"unix:{self._folder}/bench.sock"
        self._child = await asyncio.create_subprocess_exec(
            *[
                sys.executable,
                "-m",
                "media.gateway",
                "--control",
                target,
                "--rtp",
                GATEWAY_PORTS,
                "--recordings",
                str(self._folder / "recordings"),
                "--cache",
                str(self._folder / "cache"),
                "--drain",
                "0.1",
                "--capacity",
                "5000",
                "--log-format",
                "json",
            ],
            stderr=subprocess.PIPE,
        )
        self.pid = self._child.pid
        assert self._child.stderr is not None
        if b"listens" not in await self._child.stderr.readline():
            raise RuntimeError("the gateway did not start")
        self.client = await GatewayClient.connect(target, on_event=self._count)

    def _count(self, event: Any) -> None:
        if isinstance(event, TickLateness):
            self.late = event
        name = type(event).__name__
        self.events[name] = self.events.get(name, 0) + 1

    def lateness(self) -> tuple[int, ...]:
        """The gateway's ticks by lateness, as it last said (within the last second)."""
        return (*self.late.counts, self.late.beyond) if self.late else ()

    async def leg(self, name: str, codec: str, **more: Any) -> None:
        client = self.client
        opened: LegOpened = await client.request(OpenLeg(id=client.next_id(), leg=name, call=name))
        self.ports.append(f"{opened.port}/{CODECS[codec].payload_type}")
        client.send(
            ConfigureLeg(
                id=client.next_id(),
                leg=name,
                remote_address="127.0.0.1",
                remote_port=LOAD_PORT,
                codecs=(CODECS[codec],),
                dtmf_payload_type=101,
                **more,
            )
        )

    async def bridge(self, name: str, legs: list[str]) -> None:
        client = self.client
        matrix = tuple(Hears(listener=x, source=y) for x in legs for y in legs if x != y)
        await client.request(SetBridge(id=client.next_id(), bridge=name, matrix=matrix))

    async def record(self, leg: str) -> None:
        client = self.client
        path = f"run-{self.pid}/{leg}.wav"
        await client.request(StartRecording(id=client.next_id(), recording=leg, leg=leg, path=path))

    async def play(self, leg: str) -> None:
        client = self.client
        items = (Tone(spec="440/60000", duration_ms=60000),)
        await client.request(Play(id=client.next_id(), leg=leg, player=leg, items=items, loop=True))

    async def close(self) -> None:
        self.client.close()
        self._child.send_signal(signal.SIGTERM)
        await self._child.communicate()


async def measure(
    folder: Path,
    pid: int,
    ports: list[str],
    calls: int,
    seconds: float,
    *,
    warm_s: float = 1.0,
    gateway: Gateway | None = None,
) -> Measurement:
    """Load `ports` with callers and read what the process `pid` spends meanwhile, and how late its ticks come."""
    command = [*AHEAD, str(folder / "load"), "-q", str(LOAD_PORT), "-s", str(seconds), "-w", str(warm_s)]
    command += ["-o", str(folder / "opus.bin")]
    load = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert load.stdin is not None and load.stdout is not None
    load.stdin.write(" ".join(ports).encode())
    load.stdin.close()
    await asyncio.sleep(warm_s)
    late_before = gateway.lateness() if gateway else ()
    before = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    after = cpu_seconds(pid)
    late_after = gateway.lateness() if gateway else ()
    result = json.loads(await load.stdout.read())
    await load.wait()
    return Measurement(
        cpu_s=after - before,
        seconds=seconds,
        calls=calls,
        sent=result["sent"],
        received=result["received"],
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
        p999_us=result["p999_us"],
        late=tuple(b - a for a, b in zip(late_before, late_after, strict=False)),
    )


def remove_recordings(folder: Path) -> None:
    """Free the disk between runs."""
    for name in ("recordings", "floor-recordings"):
        for path in sorted((folder / name).rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            else:
                os.unlink(path)
