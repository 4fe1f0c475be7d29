"""SIPp as the carrier, both directions. It sends back the voice it gets: who hears his own tone was connected."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.interop.conftest import CARRIER, Site

pytestmark = pytest.mark.interop
SCENARIOS = Path(__file__).parent / "sipp"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((CARRIER, 0))
        port: int = probe.getsockname()[1]
        return port


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


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_calls_an_extension(site: Site, transport: str) -> None:
    async with site.phone("lina", 1000, user="1001") as lina:
        await site.register(lina, "1001")
        port = site.port if transport == "udp" else site.tcp_port
        options = ("-s", "01055550101", "-p", str(free_port()), "-mp", str(free_port()), f"127.0.0.1:{port}")
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
        callee = await sipp("uas-ring-answer", site, "-p", str(trunk.port), "-mp", str(free_port()))
        lina.do("call", uri=site.uri("923456789"))
        await lina.wait("state", state="EARLY")
        await lina.wait("state", state="CONFIRMED")
        await asyncio.sleep(2)
        lina.do("hangup")
        output, _ = await callee.communicate()
    assert callee.returncode == 0, output.decode()[-2000:]
    assert site.heard("lina", 1000) > 1.2
