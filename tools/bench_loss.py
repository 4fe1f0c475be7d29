"""How speech sounds behind a bad network: the real gateway decodes, buffers, conceals; what comes out is scored.

``python -m tools.bench_loss [--seconds 12] [--json FILE]``. For every pair of loss (random) and jitter (uniform delay,
so packets also overtake each other) one call speaks through its own gateway legs, all at the same time and in real
time. The score is PESQ (ITU-T P.862) where the package ``pesq`` is installed, beside a loudness distance that needs
nothing (0: the same sound). Beside each stands what a fixed 60 ms buffer without concealment makes of the same packets.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from media import g711
from media.client import GatewayClient
from media.prompts.store import PromptStore
from media.protocol import CloseAll, Codec, ConfigureLeg, Hears, OpenLeg, SetBridge, Speech

Samples = NDArray[np.int16]

LOSSES = (0, 1, 2, 5, 10, 20)
JITTERS_MS = (0, 20, 50, 100)
FRAME = 160
FIXED_BUFFER_MS = 60
TEXTS = (
    Speech(text="Good morning, thank you for calling. Please hold on for a moment, we will be right with you."),
    Speech(text="您好，感谢您的来电，请稍候片刻，我们马上为您服务。", language="zh"),
    Speech(text="Your balance is one hundred and twenty three. Goodbye.", voice="en-us+f3"),
)


@dataclass(frozen=True)
class Score:
    """One cell of the table."""

    loss_percent: int
    jitter_ms: int
    mos: float | None
    distance: float
    plain_mos: float | None
    """A fixed buffer, silence in the holes."""
    plain_distance: float


class Line(asyncio.DatagramProtocol):
    """One party: its socket, and what it heard by RTP time."""

    def __init__(self) -> None:
        self.heard: dict[int, bytes] = {}
        self.transport: asyncio.DatagramTransport
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) == 12 + FRAME and data[1] & 0x7F == 0:
            self.heard[struct.unpack_from("!I", data, 4)[0]] = data[12:]

    def collect(self) -> Samples:
        """All that was heard on one time line."""
        if not self.heard:
            return np.zeros(FRAME, np.int16)
        first = min(self.heard)
        line = np.full((max(self.heard) - first) + FRAME, g711.SILENCE["PCMU"], np.uint8)
        for ts, payload in self.heard.items():
            line[ts - first : ts - first + FRAME] = np.frombuffer(payload, np.uint8)
        return g711.decode_ulaw(line.tobytes())


def make_speech(seconds: float, folder: Path) -> Samples:
    """Reference speech, repeated to the length wanted."""
    store = PromptStore(folder)
    pause = np.zeros(2400, np.int16)
    once = np.concatenate([part for text in TEXTS for part in (store.samples(text, 8000), pause)])
    store.close()
    count = round(seconds * 50) * FRAME
    # As G.711 carries it: what the codec costs is not the network's fault.
    return g711.decode_ulaw(g711.encode_ulaw(np.resize(once, count)))


def plan_packets(
    count: int, loss: int, jitter_ms: int, seed: int, *, in_order: bool = False
) -> list[tuple[float, int]]:
    """(time, number) of the packets that get through, in order of arrival. ``in_order``: as a queue delays them."""
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(rng.random(count) >= loss / 100)
    arrivals = np.arange(count) * 0.02 + rng.uniform(0, jitter_ms / 1000, count)
    if in_order:
        arrivals = np.maximum.accumulate(arrivals)
    return sorted((float(arrivals[n]), int(n)) for n in kept)


def play_plainly(speech: Samples, plan: Sequence[tuple[float, int]]) -> Samples:
    """The same packets through a fixed buffer; what is lost or late is silence."""
    out = np.zeros_like(speech)
    for at, n in plan:
        if at <= n * 0.02 + FIXED_BUFFER_MS / 1000:
            out[n * FRAME : (n + 1) * FRAME] = speech[n * FRAME : (n + 1) * FRAME]
    return out


# --- scores -----------------------------------------------------------------------------------------------------------


def find_pesq() -> Callable[..., float] | None:
    """The scorer of the package ``pesq``, if it is there."""
    try:
        return cast("Callable[..., float]", importlib.import_module("pesq").pesq)
    except ImportError:
        return None


def loudness(samples: Samples) -> NDArray[np.float64]:
    """Loudness in 18 bands every 20 ms (Zwicker's exponent, a floor under which nothing is heard)."""
    edges = np.unique((np.geomspace(150, 4000, 19) * 0.02).astype(int))
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.asarray(np.maximum(np.add.reduceat(power, edges, axis=1) - 1e6, 0) ** 0.23)


def loudness_distance(wanted: Samples, heard: Samples) -> float:
    """Mean difference in loudness, half a second at a time, each aligned for itself: a buffer may grow or shrink."""
    size, reach, total, weight = 4000, 2400, 0.0, 0.0
    for start in range(0, len(wanted) - size, size):
        part = wanted[start : start + size]
        reference = loudness(part)
        if reference.sum() < 1:
            continue
        low = max(start - reach, 0)
        area = heard[low : start + size + reach].astype(np.float64)
        if len(area) < size:
            break
        match = np.correlate(area, part.astype(np.float64), "valid")
        at = low + int(np.argmax(match))
        total += float(np.abs(loudness(heard[at : at + size]) - reference).sum())
        weight += float(reference.sum())
    return total / weight if weight else 1.0


def align(wanted: Samples, heard: Samples) -> Samples:
    """Cut ``heard`` so that it begins where ``wanted`` does, at most a second later: the text repeats itself."""
    size = 1 << (len(wanted) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)[:8000]))
    return np.concatenate([heard[lag:], np.zeros(len(wanted), np.int16)])[: len(wanted)]


def score_mos(pesq: Callable[..., float] | None, wanted: Samples, heard: Samples) -> float | None:
    if pesq is None:
        return None
    try:
        return round(float(pesq(8000, wanted, heard, "nb")), 2)
    except Exception as error:  # the package raises its own classes, all meaning that no score can be given
        print(f"no score: {error}", file=sys.stderr)
        return None


# --- the run ----------------------------------------------------------------------------------------------------------


async def open_line() -> Line:
    loop = asyncio.get_running_loop()
    _, line = await loop.create_datagram_endpoint(Line, local_addr=("127.0.0.1", 0))
    return line


async def open_leg(client: GatewayClient, name: str, line: Line) -> int:
    """A PCMU leg for a party; the gateway's port."""
    opened = await client.request(OpenLeg(id=client.next_id(), leg=name, call=name[:-2]))
    await client.request(
        ConfigureLeg(
            id=client.next_id(),
            leg=name,
            remote_address="127.0.0.1",
            remote_port=line.port,
            codecs=(Codec(name="PCMU", payload_type=0),),
        )
    )
    return int(opened.port)


async def run_cell(client: GatewayClient, speech: Samples, plan: Sequence[tuple[float, int]], name: str) -> Samples:
    """Speak through the gateway as the plan says; what the other party heard."""
    speaker, listener = await open_line(), await open_line()
    port = await open_leg(client, f"{name}-a", speaker)
    listener_port = await open_leg(client, f"{name}-b", listener)
    listener.transport.sendto(struct.pack("!BBHII", 0x80, 0, 1, 0, 2) + b"\xff" * FRAME, ("127.0.0.1", listener_port))
    # Any gain makes it a mix, so the gateway has to decode; this little does not change a code word.
    matrix = (Hears(listener=f"{name}-b", source=f"{name}-a", gain_db=0.001),)
    await client.request(SetBridge(id=client.next_id(), bridge=name, matrix=matrix))
    payload = g711.encode_ulaw(speech)
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.2
    for at, n in plan:
        await asyncio.sleep(max(start + at - loop.time(), 0))
        packet = struct.pack("!BBHII", 0x80, 0, n & 0xFFFF, n * FRAME, 0x5EED)
        speaker.transport.sendto(packet + payload[n * FRAME : (n + 1) * FRAME], ("127.0.0.1", port))
    await asyncio.sleep(0.5)
    for line in (speaker, listener):
        line.transport.close()
    return listener.collect()


async def run(seconds: float, losses: Sequence[int], jitters: Sequence[int], *, in_order: bool = False) -> list[Score]:
    """All cells at the same time."""
    with tempfile.TemporaryDirectory(prefix="tandem-loss-") as place:
        folder = Path(place)
        speech = make_speech(seconds, folder / "cache")
        control = f"unix:{folder}/media.sock"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media.gateway", "--control", control, "--rtp", "31000-33000",
            "--address", "127.0.0.1", "--recordings", str(folder / "rec"), "--cache", str(folder / "cache"),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            client = await connect(control)
            cells = [(loss, jitter) for loss in losses for jitter in jitters]
            count = len(speech) // FRAME
            plans = [
                plan_packets(count, loss, jitter, seed=loss * 1000 + jitter, in_order=in_order)
                for loss, jitter in cells
            ]
            heard = await asyncio.gather(
                *(run_cell(client, speech, plan, f"c{index}") for index, plan in enumerate(plans))
            )
            await client.request(CloseAll(id=client.next_id()))
            client.close()
        finally:
            process.terminate()
            await process.wait()
    pesq = find_pesq()
    scores = []
    for (loss, jitter), plan, sound in zip(cells, plans, heard, strict=True):
        plain = play_plainly(speech, plan)
        scores.append(
            Score(
                loss,
                jitter,
                score_mos(pesq, speech, align(speech, sound)),
                round(loudness_distance(speech, align(speech, sound)), 3),
                score_mos(pesq, speech, plain),
                round(loudness_distance(speech, plain), 3),
            )
        )
    return scores


async def connect(control: str) -> GatewayClient:
    """Wait for the gateway to listen. :raises TimeoutError: it does not within 10 s."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await GatewayClient.connect(control, on_event=lambda _: None)
            except OSError:
                await asyncio.sleep(0.05)


def table(scores: Sequence[Score]) -> str:
    """Markdown: gateway against plain buffer, by loss and jitter."""

    def cell(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    jitters = sorted({score.jitter_ms for score in scores})
    lines = ["| loss | " + " | ".join(f"jitter {j} ms" for j in jitters) + " |", "|---" * (len(jitters) + 1) + "|"]
    for loss in sorted({score.loss_percent for score in scores}):
        row = [score for score in scores if score.loss_percent == loss]
        cells = [
            f"{cell(s.mos)} ({cell(s.plain_mos)})"
            if s.mos is not None
            else f"{cell(s.distance)} ({cell(s.plain_distance)})"
            for s in sorted(row, key=lambda s: s.jitter_ms)
        ]
        lines.append(f"| {loss} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_loss", description="Speech quality on a bad network.")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--losses", type=int, nargs="+", default=LOSSES, metavar="PERCENT")
    parser.add_argument("--jitters", type=int, nargs="+", default=JITTERS_MS, metavar="MS")
    parser.add_argument("--in-order", action="store_true", help="delay packets as a queue does: none overtakes another")
    parser.add_argument("--json", type=Path, help="write the scores here too")
    options = parser.parse_args(arguments)
    scores = asyncio.run(run(options.seconds, options.losses, options.jitters, in_order=options.in_order))
    what = "PESQ MOS" if scores[0].mos is not None else "loudness distance (0: the same sound; install `pesq` for MOS)"
    print(f"{what}; in brackets: fixed {FIXED_BUFFER_MS} ms buffer without concealment\n")
    print(table(scores))
    if options.json:
        content: list[dict[str, Any]] = [asdict(score) for score in scores]
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
