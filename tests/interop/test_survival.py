"""Call control is killed with calls up: those who talk hear nothing of it, and the next process has them in hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from ruamel.yaml import YAML

from tests.interop.conftest import CARRIER, Site
from tools import listen
from tools.demo import stage
from tools.demo.desktop import Desktop
from tools.phones import Phone, write_tone
from tools.sipp_phones import Sipp, write_alaw

pytestmark = pytest.mark.interop


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """``tandem serve`` in a process that can be killed and started again on the same ports."""

    def __init__(self, folder: Path, ports: int = 0) -> None:
        """``ports``: how many RTP ports more than a demonstration it has."""
        self.folder = folder
        self.config = stage.build(folder)
        self.sip, self.http = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        yaml = YAML()
        path = self.config / "tandem.yaml"
        tandem = yaml.load(path)
        tandem["sip"]["listeners"] = {"udp": {"transport": "udp", "address": "127.0.0.1", "port": self.sip}}
        tandem["http"]["port"] = self.http
        tandem["rtp"]["port_max"] += ports
        with path.open("w") as file:
            yaml.dump(tandem, file)
        if ports:
            self._edit("trunks", "carrier-a", max_calls=CALLS * 2)
            self._edit("queues", "support", max_length=CALLS)
        self.process: asyncio.subprocess.Process

    def _edit(self, kind: str, name: str, **keys: int) -> None:
        yaml, path = YAML(), self.config / f"{kind}.yaml"
        data = yaml.load(path)
        data[kind][name].update(keys)
        with path.open("w") as file:
            yaml.dump(data, file)

    async def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pbx", "serve", "--config", str(self.config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TANDEM_HOME": str(self.folder / "data")},
                cwd=stage.REPOSITORY,
            )
        for _ in range(400):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.http)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise AssertionError(f"the server does not come up:\n{(self.folder / 'server.log').read_text()[-3000:]}")

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await self.process.wait()

    def secret(self, name: str) -> str:
        return (self.folder / "data" / "secrets" / name).read_text().strip()

    def phone(self, name: str, hz: float, user: str, address: str = "127.0.0.1") -> Phone:
        write_tone(self.folder / f"{name}.wav", hz)
        return Phone(
            name,
            *("--user", user, "--address", address, "--speak", str(self.folder / f"{name}.wav")),
            *("--record", str(self.folder / f"{name}-heard-%d.wav"), "--log", str(self.folder / f"{name}.log")),
        )

    def desktop(self) -> Desktop:
        return Desktop(f"ws://127.0.0.1:{self.http}/cti", self.secret("token-admin"), lambda event: None)


async def test_a_killed_call_control_takes_its_calls_back(tmp_path: Path) -> None:
    served = Served(tmp_path)
    await served.start()
    caller = served.phone("caller", 440, "13912345678", CARRIER)
    waiter = served.phone("waiter", 700, "13912345679", CARRIER)
    agent = served.phone("agent", 1000, "1001")
    seen: list[dict[str, Any]] = []
    async with caller, waiter, agent:
        await agent.register("1001", served.secret("extension-1001"), f"sip:127.0.0.1:{served.sip}")
        async with served.desktop() as desktop:
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "log_on"})
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "ready"})
            caller.do("call", uri=f"sip:01055550100@127.0.0.1:{served.sip}")
            call = (await desktop.wait("Offered", called="+861055550100"))["event"]["call"]
            await desktop.wait("NodeEntered", call=call, node="start")
            await asyncio.sleep(1.2)
            caller.do("digits", digits="2")
            await desktop.wait("NodeEntered", call=call, node="main_menu")
            caller.do("digits", digits="2")
            await agent.wait("incoming")
            agent.do("answer")
            await desktop.wait("Bridged", call=call)
            waiter.do("call", uri=f"sip:01055550100@127.0.0.1:{served.sip}")
            await waiter.wait("state", state="CONFIRMED")
            await asyncio.sleep(1.2)
            waiter.do("digits", digits="2")
            await desktop.wait("DigitsCollected", node="start", digits="2")
            await asyncio.sleep(2.0)
            seen += desktop.events
        await served.kill()
        await asyncio.sleep(1.0)
        await served.start()
        async with served.desktop() as desktop:
            state = await desktop.ask("SnapshotCall", {"call": call})
            assert state is not None
            # The one in the flow is still there, and goes on where he was: he reaches the queue.
            await asyncio.sleep(3.0)
            waiter.do("digits", digits="2")
            await desktop.wait("Queued", queue="support")
            agent.do("hold")
            await desktop.wait("Held", call=call)
            await asyncio.sleep(1.0)
            agent.do("retrieve")
            await desktop.wait("Retrieved", call=call)
            await asyncio.sleep(1.0)
            caller.do("hangup")
            await desktop.wait("CallCleared", call=call, outcome="answered")
            await desktop.wait("AgentWorkingAfterCall", agent="8001")
            recording = (await desktop.wait("RecordingCompleted", call=call))["event"]
            waiter.do("hangup")
            await desktop.wait("QueueLeft", reason="abandoned")
            numbers = [event["seq"] for event in seen + desktop.events]
            assert numbers == sorted(set(numbers)), "no event twice, none out of order"
    await served.stop()
    # Nobody who talked heard anything of it: one unbroken tone until the agent held.
    sound = listen.load(tmp_path / "agent-heard-0.wav")
    tones = listen.find_tone_intervals(sound.channels[0], sound.rate, 440, bridge_ms=60)
    assert max(b - a for a, b in tones) > 5.0, tones
    path = tmp_path / "data" / "recordings" / recording["path"]
    info = soundfile.info(path)
    assert info.channels == 2 and abs(info.duration - recording["duration_ms"] / 1000) < 0.1
    assert json.loads(path.with_name(path.name + ".json").read_text())["sha256"] == recording["sha256"]


async def test_a_killed_gateway_is_replaced_and_its_calls_go_on(site: Site) -> None:
    """A new gateway is started, both parties get a re-INVITE to it, and what was recorded can be played."""
    async with site.phone("caller", 440, address=CARRIER) as caller, site.phone("lina", 1000, user="1001") as lina:
        await site.register(lina, "1001")
        caller.do("call", uri=site.uri("01055550101"))
        await lina.wait("incoming")
        lina.do("answer")
        await caller.wait("state", state="CONFIRMED")
        await asyncio.sleep(2)
        mark = len(caller.events)
        (link,) = site.server._links.values()
        assert link.process_id is not None
        os.kill(link.process_id, signal.SIGKILL)
        await caller.wait("media", after=mark)
        await asyncio.sleep(2.5)
        caller.do("hangup")
        await lina.wait("state", state="DISCONNECTED")
        await asyncio.sleep(0.5)
    assert site.heard("caller", 1000) > 3.0 and site.heard("lina", 440) > 3.0
    recordings = sorted((site.folder / "data" / "recordings").rglob("*.wav"))
    assert len(recordings) == 2, "one file before, one after"
    for path in recordings:
        sound = listen.load(path)
        assert len(sound.channels[0]) / sound.rate > 0.9
        assert listen.tone_share(sound.channels[0], sound.rate, 440) > 0.5


CALLS = int(os.environ.get("TANDEM_SURVIVE_CALLS", "12"))
"""Half of them talk, a quarter is in the flow, a quarter waits in the queue. ``make survive`` takes 200."""
UP_S = 16 + CALLS // 10
"""Seconds from the answer of a call to its end."""


async def test_many_calls_outlive_a_killed_call_control(tmp_path: Path) -> None:
    """As recorded, nobody who talks hears a gap; who waits keeps his place; all records are right afterwards."""
    served = Served(tmp_path, ports=3 * CALLS * 2 + 40)
    await served.start()
    write_alaw(tmp_path / "caller.alaw", 440)
    write_alaw(tmp_path / "agent.alaw", 1000)
    server = ("127.0.0.1", served.sip)
    callee = Sipp(tmp_path, "127.0.0.1", server)
    groups = {name: Sipp(tmp_path, CARRIER, server) for name in ("talk", "flow", "queue")}
    dialled = {"talk": "01055550101", "flow": "01055550100", "queue": "01055550100"}
    counts = {"talk": CALLS // 2, "flow": CALLS // 4, "queue": CALLS - CALLS // 2 - CALLS // 4}
    try:
        await callee.register("1001", served.secret("extension-1001"))
        await callee.start("callee", "-m", str(counts["talk"]), "-l", str(CALLS), seconds=120)
        async with served.desktop() as desktop:
            for name, phone in groups.items():
                options = ("-s", dialled[name], "-key", "caller", "13912345678", "-d", str(UP_S * 1000))
                count = str(counts[name])
                scenario = "caller" if name == "queue" else "talker"
                await phone.start(scenario, "-m", count, "-l", count, "-r", "10", *options, seconds=120)
            await desktop.wait_for(lambda events: _count(events, "Bridged") == counts["talk"])
            await desktop.wait_for(lambda events: _count(events, "Queued") == counts["queue"])
            seen = list(desktop.events)
        places = [event["event"]["item"] for event in seen if event["event"]["type"] == "Queued"]
        await asyncio.sleep(0.5)
        await served.kill()
        await asyncio.sleep(1.0)
        await served.start()
        async with served.desktop() as desktop:
            await asyncio.gather(*(phone.finish() for phone in (callee, *groups.values())))
            await desktop.wait_for(lambda events: _count(events, "CallCleared") >= CALLS)
            await desktop.wait_for(lambda events: _count(events, "RecordingCompleted") >= counts["talk"])
            after = [event["event"] for event in desktop.events]
    finally:
        for phone in (callee, *groups.values()):
            await phone.stop()
        await served.stop()
    assert _count_plain(after, "Queued") == 0, "nobody queued anew"
    left = [event["item"] for event in after if event["type"] == "QueueLeft"]
    assert sorted(left) == sorted(places)
    outcomes = [event["outcome"] for event in after if event["type"] == "CallCleared"]
    assert "indeterminate" not in outcomes and len(outcomes) == CALLS
    talked = {event["event"]["call"] for event in seen if event["event"]["type"] == "Bridged"}
    checked = 0
    for event in after:
        if event["type"] == "RecordingCompleted" and event["call"] in talked:
            sound = listen.load(tmp_path / "data" / "recordings" / event["path"])
            for channel, hz in zip(sound.channels, (440, 1000), strict=True):
                tones = listen.find_tone_intervals(channel, sound.rate, hz)
                assert max(b - a for a, b in tones) > UP_S - 2.0, (event["path"], hz, tones)
            checked += 1
    assert checked == counts["talk"]


def _count(events: list[dict[str, Any]], kind: str) -> int:
    return _count_plain([event["event"] for event in events], kind)


def _count_plain(events: list[dict[str, Any]], kind: str) -> int:
    return sum(event["type"] == kind for event in events)
