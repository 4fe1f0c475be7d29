"""Kamailio in front: as the proxy that phones register through, as a carrier's border, and as a provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import CARRIER, Opener, Site
from tests.interop.kamailio import INNER, Kamailio
from tools.demo.stage import Edited
from tools.phones import Phone

pytestmark = pytest.mark.interop
PHONE_OF_CARRIER = "13912345678"


def behind(kamailio: Kamailio, **other: object) -> Callable[[Path], None]:
    """A change of configuration: the trunk carrier-a stands behind Kamailio."""

    def change(config: Path) -> None:
        with Edited(config / "trunks.yaml") as trunks:
            trunks["trunks"]["carrier-a"] |= {
                "host": INNER, "port": kamailio.inner[kamailio.transport], "transport": kamailio.transport,
                "networks": [f"{INNER}/32"], **other,
            }  # fmt: skip

    return change


async def talk(site: Site, caller: Phone, callee: Phone, seconds: float = 2.0) -> None:
    """The callee answers, both talk, the caller hangs up."""
    await callee.wait("incoming")
    callee.do("answer")
    await caller.wait("state", state="CONFIRMED")
    await callee.wait("state", state="CONFIRMED")
    await asyncio.sleep(seconds)
    caller.do("hangup")
    await callee.wait("state", state="DISCONNECTED")
    await caller.wait("state", state="DISCONNECTED")


@pytest.mark.parametrize(("outer", "inner"), [("udp", "tcp"), ("tcp", "udp"), ("tls", "tls")])
async def test_phones_register_and_call_through_it(
    site: Site, certificate: tuple[Path, Path], outer: str, inner: str
) -> None:
    """Path leads calls back through the proxy; Record-Route keeps it in them, also where the transport changes."""
    proxy = Kamailio(site.folder, *certificate, transport=inner)
    proxy.tandem = site.port_of(inner)
    async with (
        proxy as kamailio,
        site.phone("lina", 440, user="1001", transport=outer) as lina,
        site.phone("tom", 1000, user="1004", transport=outer) as tom,
    ):
        for phone, number in ((lina, "1001"), (tom, "1004")):
            await phone.register(number, site.secrets[f"extension-{number}"], kamailio.uri(transport=outer))
        (binding,) = site.server.registrar.contacts("1001", site.server.runtime.clock())
        assert len(binding.path) == 2 and INNER in binding.path[0], binding.path
        assert binding.flow.transport == inner
        lina.do("call", uri=kamailio.uri("1004", outer))
        await talk(site, lina, tom)
    assert site.heard("lina", 1000) > 1.5
    assert site.heard("tom", 440) > 1.5


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_carrier_behind_it_in_both_directions(
    open_site: Opener, tmp_path: Path, certificate: tuple[Path, Path], transport: str
) -> None:
    """Calls in and out; hold and retrieve, and the hang-up of either side, find the way along the recorded route."""
    kamailio = Kamailio(tmp_path, *certificate, transport=transport)
    async with (
        open_site(behind(kamailio)) as site,
        site.phone("carrier", 440, user=PHONE_OF_CARRIER, address=CARRIER) as carrier,
        site.phone("lina", 1000, user="1001") as lina,
    ):
        kamailio.tandem, kamailio.carrier = site.port_of(transport), f"sip:{carrier.address}"
        async with kamailio:
            await site.register(lina, "1001")
            carrier.do("call", uri=kamailio.uri("01055550101"))
            await lina.wait("incoming")
            lina.do("answer")
            await carrier.wait("state", state="CONFIRMED")
            await asyncio.sleep(1.2)
            lina.do("hold")
            await asyncio.sleep(0.8)
            lina.do("retrieve")
            await asyncio.sleep(0.8)
            lina.do("hangup")
            await carrier.wait("state", state="DISCONNECTED")
            lina.do("call", uri=site.uri("913912345678"))
            mark = len(carrier.events)
            await carrier.wait("incoming", after=mark)
            carrier.do("answer", call=1)
            await lina.wait("state", state="CONFIRMED", call=1)
            await asyncio.sleep(1.5)
            carrier.do("hangup", call=1)
            await lina.wait("state", state="DISCONNECTED", call=1)
    assert site.heard("carrier", 1000) > 1.2
    assert site.heard("lina", 440) > 1.2
    assert site.heard("carrier", 1000, call=1) > 1.0
    assert site.heard("lina", 440, call=1) > 1.0
