"""linphone as an extension: registers, calls and is called, presses keys, holds, transfers; plain and TLS with SRTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import CARRIER, Opener, Site
from tests.interop.linphone import Linphone
from tools import listen
from tools.demo.stage import Edited

pytestmark = pytest.mark.interop
WAYS = [("udp", False), ("tcp", False), ("tls", True)]


def extension_1002(**keys: str) -> Callable[[Path], None]:
    """A change of its configuration."""

    def change(config: Path) -> None:
        with Edited(config / "extensions.yaml") as extensions:
            extensions["extensions"][1002] |= keys

    return change


def agent(site: Site, certificate: tuple[Path, Path], transport: str = "udp", **options: bool) -> Linphone:
    """Extension 1002, speaking 1,000 Hz."""
    password, registrar = site.secrets["extension-1002"], site.uri("x", transport)
    return Linphone(
        site.folder, "1002", password, registrar, 1000, transport=transport, authorities=certificate[0], **options
    )


def seconds_heard(phone: Linphone, hz: float) -> float:
    sound = listen.load(phone.heard)
    return sum(b - a for a, b in listen.find_tone_intervals(sound.channels[0], sound.rate, hz, bridge_ms=60))


@pytest.mark.parametrize(("transport", "srtp"), WAYS)
async def test_it_is_called_and_both_hold_and_press_keys(
    open_site: Opener, certificate: tuple[Path, Path], transport: str, srtp: bool
) -> None:
    async with (
        open_site(extension_1002(srtp="required" if srtp else "off")) as site,
        site.phone("lina", 440, user="1001") as lina,
        agent(site, certificate, transport, srtp=srtp) as linphone,
    ):
        await site.register(lina, "1001")
        await site.until_registered("1002")
        (binding,) = site.server.registrar.contacts("1002", site.server.runtime.clock())
        assert binding.flow.transport == transport and binding.user_agent.startswith("Linphonec/")
        lina.do("call", uri=site.uri("1002"))
        await linphone.wait("incoming call")
        linphone.do("answer")
        await lina.wait("state", state="CONFIRMED")
        await linphone.wait("Media streams established")
        await asyncio.sleep(1.2)
        linphone.do("5")
        lina.do("digits", digits="7")
        await lina.wait("digit", digit="5")
        await linphone.wait("Receiving tone 7")
        mark = linphone.mark
        linphone.do("pause")
        await linphone.wait("is now paused")
        await site.until(lambda: len(site.facts("Held")) == 1)
        linphone.do("resume")
        await linphone.wait("Media streams established", after=mark)
        await site.until(lambda: len(site.facts("Retrieved")) == 1)
        lina.do("hold")
        await site.until(lambda: len(site.facts("Held")) == 2)
        lina.do("retrieve")
        await site.until(lambda: len(site.facts("Retrieved")) == 2)
        await asyncio.sleep(0.8)
        linphone.do("terminate")
        await lina.wait("state", state="DISCONNECTED")
    assert site.heard("lina", 1000) > 1.5
    assert seconds_heard(linphone, 440) > 1.5


async def test_it_calls_and_its_digits_in_info_cross_to_rfc4733_and_back(
    open_site: Opener, certificate: tuple[Path, Path]
) -> None:
    async with open_site(extension_1002(dtmf="info")) as site:
        async with site.phone("lina", 440, user="1001") as lina, agent(site, certificate, info=True) as linphone:
            await site.register(lina, "1001")
            await site.until_registered("1002")
            linphone.do("call 1001")
            await lina.wait("incoming")
            await linphone.wait("ringing")
            lina.do("answer")
            await linphone.wait("Media streams established")
            linphone.do("9")
            await lina.wait("digit", digit="9")
            lina.do("digits", digits="3")
            await linphone.wait("Receiving tone 3")
            await asyncio.sleep(1.2)
            lina.do("hangup")
            await lina.wait("state", state="DISCONNECTED")
    assert [event["digit"] for event in lina.events if event["event"] == "digit"] == ["9"]
    assert site.heard("lina", 1000) > 1.0
    assert seconds_heard(linphone, 440) > 1.0


@pytest.mark.parametrize("attended", [False, True])
async def test_it_transfers_a_caller(site: Site, certificate: tuple[Path, Path], attended: bool) -> None:
    """Blind by REFER; attended by REFER with Replaces between two calls of its own."""
    async with (
        site.phone("caller", 440, address=CARRIER) as caller,
        site.phone("tom", 700, user="1004") as tom,
        agent(site, certificate) as linphone,
    ):
        await site.register(tom, "1004")
        await site.until_registered("1002")
        caller.do("call", uri=site.uri("01055550199"))
        await linphone.wait("incoming call")
        linphone.do("answer")
        await caller.wait("state", state="CONFIRMED")
        await linphone.wait("Media streams established")
        if attended:
            linphone.do("pause")
            await linphone.wait("is now paused")
            linphone.do("call 1004")
        else:
            linphone.do("transfer 1004")
        await tom.wait("incoming")
        tom.do("answer")
        await tom.wait("state", state="CONFIRMED")
        if attended:
            await linphone.wait("Call 2 with", after=0)
            await linphone.wait("connected")
            linphone.do("transfer 1 --to-call 2")
        await site.until(lambda: site.facts("Transferred"))
        await asyncio.sleep(1.5)
        caller.do("hangup")
        await tom.wait("state", state="DISCONNECTED")
    assert site.heard("caller", 700) > 1.0
    assert site.heard("tom", 440) > 1.0
