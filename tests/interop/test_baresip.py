"""baresip as agent and as caller, plain and with SRTP keys in SDP."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.baresip import Baresip
from tests.interop.conftest import Site
from tools import listen

pytestmark = pytest.mark.interop


def seconds_of(path: object, hz: float) -> float:
    sound = listen.load(path)  # type: ignore[arg-type]
    return sum(b - a for a, b in listen.find_tone_intervals(sound.channels[0], sound.rate, hz, bridge_ms=60))


@pytest.mark.parametrize(("transport", "media"), [("udp", ""), ("tcp", ""), ("udp", "srtp"), ("tls", "srtp")])
async def test_baresip_is_called(site: Site, transport: str, media: str) -> None:
    registrar = site.uri("x", transport).partition("@")[2]
    agent = Baresip(
        site.folder, "1002", site.secrets["extension-1002"], registrar, 1000, transport=transport, media=media
    )
    async with site.phone("lina", 440, user="1001") as lina, agent:
        await site.register(lina, "1001")
        await site.until_registered("1002")
        lina.do("call", uri=site.uri("1002"))
        await lina.wait("state", state="CONFIRMED")
        await asyncio.sleep(2.5)
        lina.do("hangup")
        await lina.wait("state", state="DISCONNECTED")
        await asyncio.sleep(0.3)
    assert site.heard("lina", 1000) > 1.5
    assert seconds_of(agent.heard(), 440) > 1.5


async def test_baresip_calls(site: Site) -> None:
    registrar = site.uri("x").partition("@")[2]
    async with site.phone("lina", 440, user="1001") as lina:
        await site.register(lina, "1001")
        caller = Baresip(site.folder, "1002", site.secrets["extension-1002"], registrar, 1000, dial=site.uri("1001"))
        async with caller:
            await lina.wait("incoming")
            lina.do("answer")
            await lina.wait("state", state="CONFIRMED")
            await asyncio.sleep(2.5)
            lina.do("hangup")
            await lina.wait("state", state="DISCONNECTED")
            await asyncio.sleep(0.3)
    assert site.heard("lina", 1000) > 1.5
    assert seconds_of(caller.heard(), 440) > 1.5
