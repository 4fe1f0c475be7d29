"""Throw hostile packets at a media engine: ``python -m tools.fuzz_media --seconds 60 --seed 1``.

One engine in this process holds legs of every codec: relayed, mixed, recorded, with players and detectors. Packets are
valid ones of the right peer, mutated: headers, lengths, numbers, timestamps, payload types, events, RTCP. Fails
(exit status 1) when the engine stops answering or memory grows. Build the engine with AddressSanitizer and UBSan and
preload their run times to find what only they see; docs/performance.md says how.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

from media.codecs.coders import open_coder
from media.control.routing import LegView, compile_routes
from media.engine.core import Engine
from media.engine.handover import Clip
from media.engine.terms import CodecSpec, LegSetup
from media.protocol import Hears

CODECS = (
    CodecSpec(0, 0, 8000, 1, 8000, ""),
    CodecSpec(1, 8, 8000, 1, 8000, ""),
    CodecSpec(2, 9, 8000, 1, 16000, ""),
    CodecSpec(3, 111, 48000, 2, 16000, ""),
    CodecSpec(4, 97, 16000, 1, 16000, ""),
)
DETECTORS = ("talk", "dtmf", "fax", "progress", "answering_machine")


class Target:
    """An engine with ten legs and sockets that are their peers."""

    def __init__(self, folder: Path, first_port: int) -> None:
        self.engine = Engine(first_port, first_port + 99, "127.0.0.1", drain_s=0.2)
        self.engine.coder_factory = open_coder
        self.engine.start()
        self.peers: list[tuple[socket.socket, int]] = []
        views = {}
        for number in range(1, 11):
            codec = CODECS[number % len(CODECS)]
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            port = self.engine.open_leg(number, "ipv4", number, 1, 1)
            self.engine.configure_leg(number, self._setup(codec, peer.getsockname()[1], number % 2 == 0))
            self.peers.append((peer, port))
            views[str(number)] = LegView(number, codec.kind, codec.kind, codec.clock_rate, codec.channels)
        for number in (1, 4, 7):
            self.engine.set_ears(number, CODECS[number % len(CODECS)].pcm_rate, DETECTORS)
        pairs = [(str(x), str(y)) for x in range(1, 7) for y in range(1, 7) if x != y]
        pairs += [("7", "8"), ("8", "7"), ("9", "9"), ("10", "10")]
        self.engine.set_routes(compile_routes(tuple(Hears(listener=x, source=y) for x, y in pairs), views))
        for recorder, leg in enumerate((1, 5, 9), 1):
            fd = os.open(folder / f"{leg}.wav", os.O_RDWR | os.O_CREAT, 0o600)
            law = CODECS[leg % len(CODECS)].kind
            wide = law > 1
            self.engine.start_recording(recorder, leg, fd, "pcm16", -1 if wide else law, 16000 if wide else 8000)
        self.engine.play(2, 1, [(Clip(bytes(64000), None, True), 0)], True, True, True, "0123", False, False, 32)

    @staticmethod
    def _setup(codec: CodecSpec, port: int, mux: bool) -> LegSetup:
        return LegSetup(
            remote_address="127.0.0.1",
            remote_port=port,
            codecs=(codec, *(other for other in CODECS if other != codec)),
            dtmf_payload_type=101,
            cn_payload_type=13,
            send=True,
            receive=True,
            ptime_ms=20,
            rtcp_mux=mux,
            srtp_send=None,
            srtp_receive=None,
            lock_source=True,
            timeout_ms=500,
            detect=frozenset(),
            remote_changed=True,
        )


class Mutator:
    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._seq = 0
        self._ts = 0

    def packet(self) -> bytes:
        """One datagram, anywhere between right and nonsense."""
        chance = self._chance
        self._seq += 1
        self._ts += 160
        kind = chance.random()
        if kind < 0.1:
            return chance.randbytes(chance.choice((0, 1, 2, 11, 12, 13, 40, 1500, 8000)))
        if kind < 0.25:
            return self._report()
        payload_type = chance.choice((0, 8, 9, 13, 97, 101, 101, 111, chance.getrandbits(7)))
        size = chance.choice((0, 1, 3, 4, 80, 160, 160, 160, 240, 640, 700, 1300, 1450, 2000))
        payload = chance.randbytes(size)
        if payload_type == 101:
            payload = struct.pack("!BBH", chance.getrandbits(5), chance.getrandbits(8), chance.getrandbits(16))
        seq = self._seq if chance.random() < 0.8 else chance.getrandbits(16)
        ts = self._ts if chance.random() < 0.8 else chance.getrandbits(32)
        ssrc = 7 if chance.random() < 0.97 else chance.getrandbits(32)
        first = 0x80 if chance.random() < 0.8 else chance.getrandbits(8)
        second = payload_type | (chance.getrandbits(1) << 7)
        packet = bytearray(struct.pack("!BBHII", first, second, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload)
        if chance.random() < 0.1 and packet:
            packet[chance.randrange(len(packet))] = chance.getrandbits(8)
        return bytes(packet[: chance.randrange(len(packet) + 1)]) if chance.random() < 0.05 else bytes(packet)

    def _report(self) -> bytes:
        chance = self._chance
        out = b""
        for _ in range(chance.randrange(1, 4)):
            body = chance.randbytes(4 * chance.randrange(0, 12))
            length = len(body) // 4 if chance.random() < 0.8 else chance.getrandbits(16)
            out += struct.pack("!BBH", 0x80 | chance.getrandbits(5), chance.choice((200, 201, 202, 203, 204)), length)
            out += body
        return out


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def run(seconds: float, seed: int, first_port: int) -> tuple[int, int, int]:
    """Packets sent, packets that came back, and KiB the process grew by after warming up."""
    mutator = Mutator(seed)
    chance = random.Random(seed + 1)
    sent = returned = 0
    with tempfile.TemporaryDirectory() as name:
        target = Target(Path(name), first_port)
        end = time.monotonic() + seconds
        warm = time.monotonic() + min(2.0, seconds / 3)
        before = 0
        while (now := time.monotonic()) < end:
            if not before and now > warm:
                before = resident_kib()
            peer, port = chance.choice(target.peers)
            for _ in range(chance.randrange(1, 12)):
                peer.sendto(mutator.packet(), ("127.0.0.1", port + (chance.random() < 0.1)))
                sent += 1
            for other, _ in target.peers:
                try:
                    while other.recv(2048):
                        returned += 1
                except BlockingIOError:
                    continue
            target.engine.drain(now)
            # Below the flood limit, most of the time.
            time.sleep(0.002)
        grown = resident_kib() - before
        stats = [target.engine.stats(number) for number in range(1, 11)]
        target.engine.stop()
        for other, _ in target.peers:
            other.close()
    if not returned or not any(stat["packets_received"] for stat in stats):
        raise SystemExit("the engine does not answer")
    return sent, returned, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=31000)
    given = parser.parse_args()
    sent, returned, grown = run(given.seconds, given.seed, given.port)
    print(f"{sent} packets sent, {returned} came back, resident memory grew by {grown} KiB")
    if grown > 4096:
        sys.exit("memory grew")


if __name__ == "__main__":
    main()
