"""pjsip as caller and agent, on both sides of Tandem: what each party hears decides."""

from __future__ import annotations

import asyncio

import pytest

from pbx.cti import commands as cti
from tests.interop.conftest import CARRIER, Site

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("codecs", ["PCMA", "PCMU"])
async def test_extension_calls_extension(site: Site, transport: str, codecs: str) -> None:
    async with (
        site.phone("lina", 440, user="1001", transport=transport, codecs=codecs) as lina,
        site.phone("wangwei", 1000, user="1002") as wangwei,
    ):
        await site.register(lina, "1001", transport)
        await site.register(wangwei, "1002")
        lina.do("call", uri=site.uri("1002", transport))
        await wangwei.wait("incoming")
        await lina.wait("state", state="EARLY")
        wangwei.do("answer")
        await lina.wait("state", state="CONFIRMED")
        await asyncio.sleep(2)
        lina.do("hangup")
        await wangwei.wait("state", state="DISCONNECTED")
    assert site.heard("lina", 1000) > 1.5
    assert site.heard("wangwei", 440) > 1.5


async def test_a_busy_phone_and_a_cancelled_call(site: Site) -> None:
    async with site.phone("lina", 440, user="1001") as lina, site.phone("tom", 1000, user="1004") as tom:
        await site.register(lina, "1001")
        await site.register(tom, "1004")
        lina.do("call", uri=site.uri("1004"))
        await tom.wait("incoming")
        tom.do("answer", code=486)
        ended = await lina.wait("state", state="DISCONNECTED")
        assert ended["code"] == 486
        mark = len(tom.events)
        lina.do("call", uri=site.uri("1004"))
        await tom.wait("incoming", after=mark)
        await lina.wait("state", state="EARLY", call=1)
        lina.do("hangup")
        await tom.wait("state", after=mark, state="DISCONNECTED")
        lina.do("call", uri=site.uri("7999"))
        assert (await lina.wait("state", state="DISCONNECTED", call=2))["code"] == 404


async def test_hold_from_either_side_plays_music(site: Site) -> None:
    async with site.phone("caller", 440, address=CARRIER) as caller, site.phone("lina", 1000, user="1001") as lina:
        await site.register(lina, "1001")
        caller.do("call", uri=site.uri("01055550101"))
        await lina.wait("incoming")
        lina.do("answer")
        await caller.wait("state", state="CONFIRMED")
        await asyncio.sleep(1.5)
        caller.do("hold")
        await caller.wait("media", status=2)
        await asyncio.sleep(2)
        caller.do("retrieve")
        await asyncio.sleep(1.5)
        caller.do("hangup")
        await lina.wait("state", state="DISCONNECTED")
    assert 2.0 < site.heard("lina", 440) < 4.5


async def test_blind_transfer_by_refer(site: Site) -> None:
    async with (
        site.phone("caller", 440, address=CARRIER) as caller,
        site.phone("lina", 1000, user="1001") as lina,
        site.phone("tom", 700, user="1004") as tom,
    ):
        await site.register(lina, "1001")
        await site.register(tom, "1004")
        caller.do("call", uri=site.uri("01055550101"))
        await lina.wait("incoming")
        lina.do("answer")
        await caller.wait("state", state="CONFIRMED")
        await asyncio.sleep(1)
        lina.do("transfer", uri=site.uri("1004"))
        await tom.wait("incoming")
        tom.do("answer")
        await tom.wait("state", state="CONFIRMED")
        assert (await lina.wait("transfer", final=True))["code"] == 200
        await asyncio.sleep(2)
        caller.do("hangup")
        await tom.wait("state", state="DISCONNECTED")
    assert site.heard("caller", 700) > 1.5
    assert site.heard("tom", 440) > 1.5


async def test_attended_transfer_between_two_calls_of_one_phone(site: Site) -> None:
    async with (
        site.phone("caller", 440, address=CARRIER) as caller,
        site.phone("lina", 1000, user="1001") as lina,
        site.phone("tom", 700, user="1004") as tom,
    ):
        await site.register(lina, "1001")
        await site.register(tom, "1004")
        caller.do("call", uri=site.uri("01055550101"))
        await lina.wait("incoming")
        lina.do("answer")
        await caller.wait("state", state="CONFIRMED")
        lina.do("hold", call=0)
        lina.do("call", uri=site.uri("1004"))
        await tom.wait("incoming")
        tom.do("answer")
        await lina.wait("state", state="CONFIRMED", call=1)
        await asyncio.sleep(1)
        lina.do("attend", call=0, to=1)
        await lina.wait("state", state="DISCONNECTED", call=0)
        await lina.wait("state", state="DISCONNECTED", call=1)
        await asyncio.sleep(2)
        caller.do("hangup")
        await tom.wait("state", state="DISCONNECTED")
    assert site.heard("caller", 700) > 1.5
    assert site.heard("tom", 440) > 1.5


async def test_click_to_dial_consult_conference_and_supervision(site: Site) -> None:
    """By desktop commands alone; the phones only answer."""
    async with (
        site.phone("caller", 440, address=CARRIER) as caller,
        site.phone("lina", 1000, user="1001") as lina,
        site.phone("tom", 700, user="1004") as tom,
        site.phone("boss", 1500, user="1003") as boss,
    ):
        for phone, number in ((lina, "1001"), (tom, "1004"), (boss, "1003")):
            await site.register(phone, number)
        caller.do("call", uri=site.uri("01055550101"))
        await lina.wait("incoming")
        lina.do("answer")
        await caller.wait("state", state="CONFIRMED")
        site.execute(cti.SetAgentState(state="log_on", agent="8001"))
        call = site.only_call()
        mine = next(leg.id for leg in call.live() if leg.device == "extension:1001")
        site.execute(cti.ConsultationCall(call=call.id, leg=mine, destination="1004"))
        await tom.wait("incoming")
        tom.do("answer")
        await tom.wait("state", state="CONFIRMED")
        await asyncio.sleep(1.5)
        site.execute(cti.AlternateCall(call=call.id, leg=mine))
        await asyncio.sleep(1.0)
        site.execute(cti.AlternateCall(call=call.id, leg=mine))
        site.execute(cti.ConferenceCall(call=call.id, leg=mine))
        await asyncio.sleep(1.5)
        call.legs[mine].agent = "8001"
        site.execute(cti.SilentMonitor(call=call.id, agent="8001", device="1003"))
        await boss.wait("incoming")
        boss.do("answer")
        await boss.wait("state", state="CONFIRMED")
        await asyncio.sleep(1.5)
        assert site.heard("lina", 1500) == 0
        site.execute(cti.Whisper(call=call.id, agent="8001", device="1003"))
        await asyncio.sleep(1.5)
        caller.do("hangup")
        await asyncio.sleep(0.5)
        lina.do("hangup")
        await tom.wait("state", state="DISCONNECTED")
    from tools import listen

    heard = {name: listen.load(site.folder / f"{name}-heard-0.wav") for name in ("caller", "lina", "tom", "boss")}

    def share(name: str, hz: float) -> float:
        sound = heard[name]
        return listen.tone_share(sound.channels[0], sound.rate, hz)

    assert share("caller", 700) > 0.02, "the conference joined the caller and the one consulted"
    assert share("boss", 440) > 0.02 and share("boss", 1000) > 0.02
    assert share("lina", 1500) > 0.002, "the whisper reached the agent"
    assert share("caller", 1500) < 0.001 and share("tom", 1500) < 0.001, "and nobody else"


@pytest.mark.parametrize(("transport", "srtp"), [("udp", True), ("tcp", False), ("tls", True)])
async def test_what_a_phone_may_do_in_a_call(site: Site, transport: str, srtp: bool) -> None:
    """100rel, re-INVITE, UPDATE, digits both ways by RFC 4733 and INFO, hold, with and without SRTP."""
    options = ("--prack", *(["--srtp"] if srtp else []))
    async with (
        site.phone("lina", 440, user="1001", transport=transport, options=options) as lina,
        site.phone("tom", 1000, user="1004") as tom,
    ):
        await site.register(lina, "1001", transport)
        await site.register(tom, "1004")
        lina.do("call", uri=site.uri("1004", transport))
        await tom.wait("incoming")
        await lina.wait("state", state="EARLY")
        tom.do("answer")
        await lina.wait("state", state="CONFIRMED")
        await tom.wait("state", state="CONFIRMED")
        await asyncio.sleep(0.5)
        lina.do("digits", digits="1")
        await tom.wait("digit", digit="1")
        lina.do("digits", digits="2", info=True)
        await tom.wait("digit", digit="2")
        tom.do("digits", digits="3")
        await lina.wait("digit", digit="3")
        lina.do("reinvite")
        await asyncio.sleep(0.4)
        lina.do("update")
        await asyncio.sleep(0.4)
        lina.do("hold")
        await site.until(lambda: site.facts("Held"))
        lina.do("retrieve")
        await site.until(lambda: site.facts("Retrieved"))
        await asyncio.sleep(1.0)
        lina.do("hangup")
        await tom.wait("state", state="DISCONNECTED")
        legs = [fact.leg for fact in site.facts("Offered")]
        ladder = site.server.edge.trace(legs, {"messages": "yes"})["text"]
    for wanted in ("PRACK sip:", "UPDATE sip:", "INFO sip:", "Session-Expires:", *(["a=crypto:"] if srtp else [])):
        assert wanted in ladder, ladder[-4000:]
    assert not [event for event in (*lina.events, *tom.events) if event["event"] == "error"]
    assert site.heard("lina", 1000) > 1.5
    assert site.heard("tom", 440) > 1.5
