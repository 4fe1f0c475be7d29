"""A telephone for tests: sends and collects RTP on 127.0.0.1 at the pace of a real one, judged by what it hears."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from media import g711

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class RtpPacket:
    payload_type: int
    marker: bool
    seq: int
    ts: int
    ssrc: int
    payload: bytes
    arrival: float

    @classmethod
    def parse(cls, data: bytes, arrival: float) -> RtpPacket:
        first, second, seq, ts, ssrc = struct.unpack_from("!BBHII", data)
        assert first == 0x80
        return cls(second & 0x7F, bool(second >> 7), seq, ts, ssrc, data[12:], arrival)


def tone(hz: float, seconds: float, rate: int = 8000, level: float = 8000.0) -> Samples:
    t = np.arange(int(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def share(samples: Samples, hz: float, rate: int = 8000) -> float:
    """How much of the energy is at `hz` (0 to 1)."""
    if len(samples) == 0:
        return 0.0
    x = samples.astype(np.float64) - samples.mean()
    energy = float(np.sum(x * x))
    if energy < len(x) * 100.0:
        return 0.0
    t = np.arange(len(x)) / rate
    amplitude = abs(np.sum(x * np.exp(-2j * np.pi * hz * t)))
    return float(2 * amplitude * amplitude / (len(x) * energy))


class Phone(asyncio.DatagramProtocol):
    """Sends a tone in G.711 and keeps every packet that comes."""

    def __init__(self, hz: float = 0.0, law: str = "PCMU", dtmf: int = 101) -> None:
        self.hz = hz
        self.law = law
        self.dtmf = dtmf
        self.packets: list[RtpPacket] = []
        self.transport: asyncio.DatagramTransport
        self.port = 0
        self.remote: tuple[str, int] = ("127.0.0.1", 0)
        self.seq = 1000 + int(hz) % 100
        self.ts = 160 * 77
        self.ssrc = 0x1000 + int(hz)
        self.payload_type = {"PCMU": 0, "PCMA": 8}[law]
        self.muted = False
        self.level = 8000.0
        self.seal: Callable[[bytes], bytes] = bytes
        """Applied to every packet sent, as SRTP does."""
        self.unseal: Callable[[bytes], bytes] = bytes
        self._position = 0
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, hz: float = 0.0, law: str = "PCMU", dtmf: int = 101) -> Phone:
        loop = asyncio.get_running_loop()
        _, phone = await loop.create_datagram_endpoint(lambda: cls(hz, law, dtmf), local_addr=("127.0.0.1", 0))
        return phone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(RtpPacket.parse(self.unseal(data), asyncio.get_running_loop().time()))

    def send(self, payload_type: int, payload: bytes, *, marker: bool = False, ts: int | None = None) -> None:
        header = struct.pack(
            "!BBHII",
            0x80,
            payload_type | (marker << 7),
            self.seq & 0xFFFF,
            (self.ts if ts is None else ts) & 0xFFFFFFFF,
            self.ssrc,
        )
        self.transport.sendto(self.seal(header + payload), self.remote)
        self.seq += 1

    def next_frame(self) -> bytes:
        t = (np.arange(160) + self._position) / 8000
        self._position += 160
        samples = (self.level * np.sin(2 * np.pi * self.hz * t)).astype(np.int16)
        return g711.encode_ulaw(samples) if self.law == "PCMU" else g711.encode_alaw(samples)

    async def talk(self, seconds: float) -> None:
        """Send the tone for so long, 50 packets a second."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for count in range(round(seconds * 50)):
            if not self.muted:
                self.send(self.payload_type, self.next_frame())
            self.ts += 160
            await asyncio.sleep(max(0.0, start + (count + 1) * 0.02 - loop.time()))

    def press(self, code: int, *, packets: int = 4, ends: int = 3, begin: int = 0) -> None:
        """One RFC 4733 digit: updates from number `begin` on, then `ends` end packets, all at once."""
        ts = self.ts
        for count in range(begin, packets):
            self.send(self.dtmf, struct.pack("!BBH", code, 10, 160 * (count + 1)), marker=count == 0, ts=ts)
        for _ in range(ends):
            self.send(self.dtmf, struct.pack("!BBH", code, 0x8A, 160 * packets), ts=ts)
        self.ts += 160 * packets

    def audio(self, payload_type: int | None = None) -> list[RtpPacket]:
        wanted = self.payload_type if payload_type is None else payload_type
        return [packet for packet in self.packets if packet.payload_type == wanted]

    def heard(self, last: float | None = None) -> Samples:
        """What came, decoded; the last so many seconds of it."""
        data = b"".join(packet.payload for packet in self.audio())
        samples = g711.decode_ulaw(data) if self.law == "PCMU" else g711.decode_alaw(data)
        return samples if last is None else samples[-int(last * 8000) :]

    def close(self) -> None:
        self.transport.close()
