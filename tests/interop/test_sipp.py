"""SIPp as the carrier, both directions, which sends back the voice it gets: who hears his own tone was connected. And
SIPp as a registered agent, who speaks a tone of his own."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest

from tests.interop.conftest import CARRIER, Site
from tools.demo import verify
from tools.demo.desktop import Desktop
from tools.sipp_phones import Sipp, free_port, write_alaw

pytestmark = pytest.mark.interop
SCENARIOS = Path(__file__).parent / "sipp"


async def sipp(scenario: str, site: Site, *options: str, transport: str = "u1") -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "sipp",
        *(
            "-sf",
            str(SCENARIOS / f"{scenario}.xml"),
            "-i",
            CARRIER,
            "-mi",
            CARRIER,
            "-rtp_echo",
            "-m",
            "1",
            "-nostdin",
            "-trace_err",
        ),
        *("-t", transport, "-timeout", "20s", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=site.folder,
    )


async def until_bound(address: str, port: int) -> None:
    """Wait until somebody listens there for UDP: a call to a closed port fails at once (ICMP)."""
    wanted = f" {int.from_bytes(ipaddress.ip_address(address).packed, 'little'):08X}:{port:04X} "
    async with asyncio.timeout(15):
        while wanted not in Path("/proc/net/udp").read_text("ascii"):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_calls_an_extension(site: Site, transport: str) -> None:
    async with site.phone("lina", 1000, user="1001") as lina:
        await site.register(lina, "1001")
        port = site.port if transport == "udp" else site.tcp_port
        options = (
            "-s",
            "01055550101",
            "-p",
            str(free_port(CARRIER)),
            "-mp",
            str(free_port(CARRIER)),
            f"127.0.0.1:{port}",
        )
        caller = await sipp("uac-talk-bye", site, *options, transport="u1" if transport == "udp" else "t1")
        await lina.wait("incoming")
        lina.do("answer")
        await lina.wait("state", state="DISCONNECTED")
        output, _ = await caller.communicate()
    assert caller.returncode == 0, output.decode()[-2000:]
    assert site.heard("lina", 1000) > 1.5


async def test_an_extension_calls_out_over_the_trunk(site: Site) -> None:
    trunk = site.server.configuration.trunks["carrier-a"]
    async with site.phone("lina", 1000, user="1001") as lina:
        await site.register(lina, "1001")
        callee = await sipp("uas-ring-answer", site, "-p", str(trunk.port), "-mp", str(free_port(CARRIER)))
        await until_bound(CARRIER, trunk.port)
        lina.do("call", uri=site.uri("923456789"))
        await lina.wait("state", state="EARLY")
        await lina.wait("state", state="CONFIRMED")
        await asyncio.sleep(2)
        lina.do("hangup")
        output, _ = await callee.communicate()
    assert callee.returncode == 0, output.decode()[-2000:]
    assert site.heard("lina", 1000) > 1.2


async def test_sipp_is_a_registered_agent(site: Site) -> None:
    """It registers with digest, answers what the queue offers, speaks, holds, retrieves; we listen to our recording."""
    write_alaw(site.folder / "agent.alaw", 1000)
    write_alaw(site.folder / "caller.alaw", 440)
    agent = Sipp(site.folder, "127.0.0.1", ("127.0.0.1", site.port))
    caller = Sipp(site.folder, CARRIER, ("127.0.0.1", site.port))
    assert site.server.http is not None
    url = f"ws://127.0.0.1:{site.server.http.port}/cti"
    try:
        async with Desktop(url, site.secrets["token-admin"], lambda event: None) as desktop:
            await agent.register("1001", site.secrets["extension-1001"])
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "log_on"})
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "ready"})
            await agent.start("agent")
            await caller.start("caller", "-s", "01055550100", "-key", "caller", "13912345678")
            offered = await desktop.wait("Offered", called="+861055550100")
            call = offered["event"]["call"]
            await caller.finish()
            await agent.finish()
            completed = (await desktop.wait("RecordingCompleted", call=call))["event"]
            await desktop.wait("AgentWorkingAfterCall", agent="8001")
            times = {seen["event"]["type"]: seen["at"] for seen in desktop.events if seen["event"].get("call") == call}
    finally:
        await agent.stop()
        await caller.stop()
    began = times["RecordingStarted"]
    spans = {name: times[name] - began for name in ("Bridged", "Held", "Retrieved", "CallCleared")}
    found = verify.Findings()
    talks = [(spans["Bridged"], spans["Held"]), (spans["Retrieved"], spans["CallCleared"])]
    verify.judge_recording(
        site.folder / "data" / "recordings" / completed["path"], talks, (spans["Held"], spans["Retrieved"]), found
    )
    assert not found.failed, found.lines
    record = await asyncio.to_thread(site.server.backend.records.read_call, call)
    assert record is not None and record["outcome"] == "answered" and record["agent"] == "8001"
