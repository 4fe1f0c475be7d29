"""A customer asks to be called, hangs up and is called: pjsip phones, the shipped flow, a trunk, by what both hear."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("pjsua2", reason="its wheels stop at CPython 3.12")

from pbx.cti import commands as cti
from tests.interop.conftest import CARRIER, Opener
from tests.interop.flow_caller import until
from tools.demo import stage

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("first", ["agent", "customer"])
async def test_a_customer_is_called_back(open_site: Opener, first: str) -> None:
    ports: list[int] = []

    def change(folder: Path) -> None:
        with stage.Edited(folder / "trunks.yaml") as trunks:
            ports.append(trunks["trunks"]["carrier-a"]["port"])
        with stage.Edited(folder / "queues.yaml") as queues:
            queues["queues"]["support"]["callback"]["first"] = first
        with stage.Edited(folder / "routes.yaml") as routes:
            routes["inbound"].insert(0, {"did": "+861055550177", "to": "queue:support"})

    async with (
        open_site(change) as site,
        site.phone("customer", 440, user="13912345678", address=CARRIER, options=("--port", str(ports[0]))) as customer,
        site.phone("lina", 1000, user="1001") as lina,
    ):
        await site.register(lina, "1001")
        site.execute(cti.SetAgentState(state="log_on", agent="8001"))
        callbacks = site.server.runtime.switch.exchange.callbacks
        customer.do("call", uri=site.uri("01055550177"))
        await customer.wait("state", state="CONFIRMED")
        await asyncio.sleep(1.0)
        customer.do("digits", digits="5")
        await asyncio.sleep(2.0)
        customer.do("digits", digits="1")
        assert await until(lambda: bool(callbacks.kept), 10)
        customer.do("hangup")
        await customer.wait("state", state="DISCONNECTED")
        site.execute(cti.SetAgentState(state="ready", agent="8001"))
        mark = len(customer.events)
        if first == "agent":
            await lina.wait("incoming")
            lina.do("answer")
        await customer.wait("incoming", after=mark)
        customer.do("answer", call=1)
        if first == "customer":
            await lina.wait("incoming")
            lina.do("answer")
        await lina.wait("state", state="CONFIRMED")
        await customer.wait("state", state="CONFIRMED", call=1)
        await asyncio.sleep(2.0)
        assert not callbacks.kept
        lina.do("hangup")
        await customer.wait("state", state="DISCONNECTED", call=1)
    assert site.heard("lina", 440) > 1.2
    assert site.heard("customer", 1000, call=1) > 1.2
