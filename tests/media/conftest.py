"""A gateway of the test's own, in the test's process: real sockets, real engine threads."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from media.client import GatewayClient
from media.gateway import Gateway, GatewayOptions
from media.protocol import AnyEvent, Codec, ConfigureLeg, Hears, LegOpened, OpenLeg, SetBridge
from tests.media.phone import Phone

PCMU = Codec(name="PCMU", payload_type=0)
PCMA = Codec(name="PCMA", payload_type=8)
E = TypeVar("E")


def free_range(ports: int = 80) -> tuple[int, int]:
    """A port range that is free now and that no other test process picks."""
    base = 20000 + (os.getpid() * 211) % 20000
    for first in range(base, 60000, ports):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", first))
            except OSError:
                continue
            return first, first + ports - 1
    raise RuntimeError("no free port range")


def make_options(folder: Path, **changes: Any) -> GatewayOptions:
    first, last = free_range()
    values: dict[str, Any] = {
        "control": f"unix:{folder}/gw.sock",
        "first_port": first,
        "last_port": last,
        "address": "127.0.0.1",
        "address6": "::1",
        "advertise": "",
        "recordings": folder / "recordings",
        "cache": folder / "cache",
        "prompt_roots": (folder,),
        "voices": None,
        "capacity": 100,
        "token": "",
        "drain_s": 0.2,
    }
    return GatewayOptions(**{**values, **changes})


class Bench:
    """A client with its events, and short words for what tests do all the time."""

    def __init__(self, client: GatewayClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.events: list[AnyEvent] = []
        self._news = asyncio.Event()
        self.ports: dict[str, int] = {}

    def take(self, event: AnyEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def do(self, kind: Callable[..., Any], **fields: Any) -> Any:
        return await self.client.request(kind(id=self.client.next_id(), **fields))

    async def leg(self, name: str, phone: Phone | None, *, codecs: tuple[Codec, ...] = (PCMU,), **more: Any) -> None:
        """Open and configure a leg whose far end is the phone."""
        opened = await self.do(OpenLeg, leg=name, call=name)
        assert isinstance(opened, LegOpened)
        self.ports[name] = opened.port
        more.setdefault("dtmf_payload_type", 101)
        await self.do(
            ConfigureLeg,
            leg=name,
            remote_address="127.0.0.1",
            remote_port=phone.port if phone is not None else 0,
            codecs=codecs,
            **more,
        )
        if phone is not None:
            phone.remote = ("127.0.0.1", opened.port)

    async def join(self, bridge: str, *pairs: tuple[str, str] | tuple[str, str, float]) -> None:
        """Set the matrix: (listener, source[, gain])."""
        matrix = tuple(Hears(listener=p[0], source=p[1], gain_db=p[2] if len(p) > 2 else 0.0) for p in pairs)
        await self.do(SetBridge, bridge=bridge, matrix=matrix)

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type[E], count: int = 1, timeout_s: float = 15.0) -> E:
        """The `count`-th event of a kind."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.seen(kind)) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            found = f"{len(self.seen(kind))} of {count} {kind.__name__}"
            raise AssertionError(f"{found}; there were {self.events}") from None
        return self.seen(kind)[count - 1]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    options = make_options(tmp_path)
    gateway = Gateway(options)
    await gateway.start()
    made: list[Bench] = []
    early: list[AnyEvent] = []
    client = await GatewayClient.connect(
        options.control, on_event=lambda event: made[0].take(event) if made else early.append(event)
    )
    made.append(Bench(client, tmp_path))
    for event in early:
        made[0].take(event)
    yield made[0]
    client.close()
    await client.wait_closed()
    await gateway.stop()


@pytest.fixture
async def phones() -> AsyncIterator[Callable[..., Any]]:
    opened: list[Phone] = []

    async def dial(hz: float = 0.0, law: str = "PCMU", dtmf: int = 101) -> Phone:
        phone = await Phone.open(hz, law, dtmf)
        opened.append(phone)
        return phone

    yield dial
    for phone in opened:
        phone.close()
