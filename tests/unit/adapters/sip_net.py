"""What the tests of the SIP sockets share: transports that remember, peers on raw sockets, certificates."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

from pbx.adapters.connections import StreamLimits
from pbx.adapters.transport import SipListener, SipTransports
from pbx.sip.commands import Flow

LIMIT = 10.0


def make_message(text: str = "", body: bytes = b"") -> bytes:
    head = f"MESSAGE sip:a@b SIP/2.0\r\nCall-ID: {text}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Recorder:
    """Transports with everything they reported."""

    def __init__(self, *listeners: SipListener, **options: object) -> None:
        self.packets: list[tuple[bytes, Flow]] = []
        self.closed: list[Flow] = []
        self._changed = asyncio.Event()
        self.transports = SipTransports(listeners, self._on_packet, self._on_closed, **options)  # type: ignore[arg-type]

    def _on_packet(self, data: bytes, flow: Flow) -> None:
        self.packets.append((data, flow))
        self._changed.set()

    def _on_closed(self, flow: Flow) -> None:
        self.closed.append(flow)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def next_packet(self) -> tuple[bytes, Flow]:
        await self.until(lambda: bool(self.packets))
        return self.packets.pop(0)

    async def next_closed(self) -> Flow:
        await self.until(lambda: bool(self.closed))
        return self.closed.pop(0)

    def flow_to(self, other: Recorder, listener: str) -> Flow:
        host, port = other.transports.listener_address(listener)
        return Flow(next(iter(self.transports._specs.values())).transport, host, port)

    async def __aenter__(self) -> Recorder:
        await self.transports.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transports.stop()


class UdpPeer(asyncio.DatagramProtocol):
    """A bare UDP socket."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received.put_nowait(data)

    async def read(self) -> bytes:
        return await asyncio.wait_for(self.received.get(), LIMIT)


def make_certificate(folder: Path, name: str, kind: str = "rsa") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and localhost; (chain, key)."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    algorithm = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-out", chain, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def quick(**options: float) -> StreamLimits:
    return StreamLimits(**options)  # type: ignore[arg-type]
