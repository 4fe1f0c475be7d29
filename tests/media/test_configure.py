"""The reply to ConfigureLeg is true: the engine works by the configuration, no packet that comes after it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from media.gateway import Gateway
from media.protocol import AnyReply, ConfigureLeg, LegOpened, LegReport, Ok, OpenLeg, QueryLeg, Refused
from tests.media.conftest import PCMU, Bench, make_options
from tests.media.phone import Phone


async def test_the_reply_waits_for_the_engine(tmp_path: Path) -> None:
    gateway = Gateway(make_options(tmp_path))
    replies: list[AnyReply] = []
    handle = gateway.dispatcher.handle
    # The engine's thread does not run yet: whatever is queued to it has not been done.
    handle(OpenLeg(id=1, leg="a", call="a"), replies.append)
    handle(ConfigureLeg(id=2, leg="a", remote_address="127.0.0.1", remote_port=9, codecs=(PCMU,)), replies.append)
    handle(ConfigureLeg(id=3, leg="nobody", remote_address="127.0.0.1", remote_port=9, codecs=(PCMU,)), replies.append)
    handle(ConfigureLeg(id=4, leg="a", remote_address="127.0.0.1", remote_port=9, codecs=(PCMU,)), replies.append)
    gateway.dispatcher.pump()
    assert [type(reply) for reply in replies] == [LegOpened, Refused]
    gateway.engine.start()
    try:
        async with asyncio.timeout(15):
            while len(replies) < 4:
                gateway.dispatcher.pump()
                await asyncio.sleep(0.001)
        assert replies[2:] == [Ok(id=2), Ok(id=4)]
    finally:
        await asyncio.get_running_loop().run_in_executor(None, gateway.engine.stop)


async def test_no_packet_after_the_reply_is_dropped(bench: Bench, phones: Callable[..., Any]) -> None:
    for count in range(30):
        phone: Phone = await phones(400)
        # Replies when the leg is configured; the packet leaves in the same turn of the loop.
        await bench.leg(f"l{count}", phone)
        phone.send(0, phone.next_frame())
    for count in range(30):
        for _ in range(200):
            report: LegReport = await bench.do(QueryLeg, leg=f"l{count}")
            if report.stats.packets_received == 1:
                break
            await asyncio.sleep(0.02)
        assert report.stats.packets_received == 1
