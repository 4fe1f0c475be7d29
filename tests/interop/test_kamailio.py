"""Kamailio in front: as the proxy that phones register through, as a carrier's border, and as a provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import CARRIER, Opener, Site
from tests.interop.kamailio import INNER, PASSWORD, Kamailio
from tools.demo.stage import Edited
from tools.phones import Phone

pytestmark = pytest.mark.interop
PHONE_OF_CARRIER = "13912345678"


def behind(kamailio: Kamailio, **other: object) -> Callable[[Path], None]:
    """A change of configuration: the trunk carrier-a stands behind Kamailio."""

    def change(config: Path) -> None:
        with Edited(config / "trunks.yaml") as trunks:
            # A plain copy: without the comments behind the keys, which would not fit other values.
            trunks["trunks"]["carrier-a"] = dict(trunks["trunks"]["carrier-a"]) | {
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


async def test_every_first_copy_is_lost_and_the_call_is_held_all_the_same(
    open_site: Opener, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """INVITE, 200, ACK, re-INVITE and BYE are all sent again, by both ends, and nothing is done twice."""
    kamailio = Kamailio(tmp_path, *certificate, lossy=True)
    async with (
        open_site(behind(kamailio)) as site,
        site.phone("carrier", 440, user=PHONE_OF_CARRIER, address=CARRIER) as carrier,
        site.phone("lina", 1000, user="1001") as lina,
    ):
        kamailio.tandem, kamailio.carrier = site.port, f"sip:{carrier.address}"
        async with kamailio:
            await site.register(lina, "1001")
            lina.do("call", uri=site.uri("913912345678"))
            await talk(site, lina, carrier, 2.5)
    assert site.heard("carrier", 1000) > 1.2
    assert site.heard("lina", 440) > 1.2
    assert [event["event"] for event in carrier.events].count("incoming") == 1
    # The legs' answers, each once though each was sent twice.
    assert len(site.facts("Established")) == 2


@pytest.mark.parametrize("fault", ["503", "silent"])
async def test_calls_go_on_to_the_next_trunk(
    open_site: Opener, tmp_path: Path, certificate: tuple[Path, Path], fault: str
) -> None:
    """A proxy that refuses, and one whose carrier never answers (408 after two seconds of its own)."""
    kamailio = Kamailio(tmp_path, *certificate, refuse=503 if fault == "503" else 0)
    second = Kamailio(tmp_path, *certificate)

    def change(config: Path) -> None:
        behind(kamailio, fail_over_on=[408, 503])(config)
        with Edited(config / "trunks.yaml") as trunks:
            trunks["trunks"]["carrier-b"] = {"host": INNER, "port": second.inner["udp"], "health": {"interval": "0s"}}

    async with (
        open_site(change) as site,
        site.phone("carrier", 440, user=PHONE_OF_CARRIER, address=CARRIER) as carrier,
        site.phone("lina", 1000, user="1001") as lina,
    ):
        kamailio.tandem = second.tandem = site.port
        second.carrier = f"sip:{carrier.address}"
        await site.register(lina, "1001")
        async with kamailio, second:
            lina.do("call", uri=site.uri("913912345678"))
            await talk(site, lina, carrier, 0.5)
    assert [fact.device for fact in site.facts("Originated")] == ["trunk:carrier-a", "trunk:carrier-b"]
    (failed,) = site.facts("Failed")
    assert failed.status == {"503": 503, "silent": 408}[fault]


@pytest.mark.parametrize("transport", ["udp", "tls"])
async def test_tandem_registers_at_it_as_at_a_provider(
    open_site: Opener, tmp_path: Path, certificate: tuple[Path, Path], transport: str
) -> None:
    """Registration and calls by digest; what the provider sends to the registered contact is the trunk's call."""
    kamailio = Kamailio(tmp_path, *certificate, transport=transport, registrar=True)
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(PASSWORD)

    def change(config: Path) -> None:
        registration = {"username": "861055550101", "secret": {"file": str(tmp_path / "password")}}
        numbers_in = {"form": "e164", "rules": [{"match": "86(\\d+)", "replace": "+86\\1"}]}
        behind(kamailio, registration=registration, networks=[], numbers_in=numbers_in)(config)

    async with kamailio, open_site(change) as site:
        async with (
            site.phone("carrier", 440, user=PHONE_OF_CARRIER, address=CARRIER) as carrier,
            site.phone("lina", 1000, user="1001") as lina,
        ):
            await site.register(lina, "1001")
            await carrier.register(PHONE_OF_CARRIER, PASSWORD, kamailio.uri())
            await site.until(lambda: site.facts("TrunkStateChanged")[-1].state == "up")
            carrier.do("call", uri=kamailio.uri("861055550101"))
            await talk(site, carrier, lina, 1.5)
            mark = len(carrier.events)
            lina.do("call", uri=site.uri("913912345678"))
            await carrier.wait("incoming", after=mark)
            carrier.do("answer", call=1)
            await lina.wait("state", state="CONFIRMED", call=1)
            await asyncio.sleep(1.5)
            carrier.do("hangup", call=1)
            await lina.wait("state", state="DISCONNECTED", call=1)
        assert [fact.device for fact in site.facts("Offered")] == ["trunk:carrier-a", "extension:1001"]
    for call in (0, 1):
        assert site.heard("carrier", 1000, call) > 1.0
        assert site.heard("lina", 440, call) > 1.0


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_it_is_restarted_under_a_call(site: Site, certificate: tuple[Path, Path], transport: str) -> None:
    """Its connections end. The phone stays registered, the call goes on, and its end finds the way."""
    kamailio = Kamailio(site.folder, *certificate, transport=transport)
    kamailio.tandem = site.port_of(transport)
    async with site.phone("lina", 440, user="1001") as lina, site.phone("tom", 1000, user="1004") as tom:
        async with kamailio:
            await lina.register("1001", site.secrets["extension-1001"], kamailio.uri())
            await site.register(tom, "1004")
            tom.do("call", uri=site.uri("1001"))
            await lina.wait("incoming")
            lina.do("answer")
            await tom.wait("state", state="CONFIRMED")
        async with kamailio:
            assert site.server.registrar.contacts("1001", site.server.runtime.clock())
            tom.do("hangup")
            await lina.wait("state", state="DISCONNECTED")
            tom.do("call", uri=site.uri("1001"))
            await lina.wait("incoming", call=1)
            lina.do("answer", call=1)
            await tom.wait("state", state="CONFIRMED", call=1)
            await asyncio.sleep(1.2)
            tom.do("hangup", call=1)
            await lina.wait("state", state="DISCONNECTED", call=1)
    assert site.heard("lina", 1000, 1) > 0.8
    assert site.heard("tom", 440, 1) > 0.8
