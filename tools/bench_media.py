"""Measure the media gateway against a plain C relay: `make bench-media`, or ``python -m tools.bench_media --help``.

CPU of the whole process (engine, writer, control) in microseconds a call-second, the two alternating within a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from media.engine.pace import LATENESS_BOUNDS_US
from media.protocol import Srtp
from tools.media_bench.harness import (
    Floor,
    Gateway,
    Measurement,
    compile_tools,
    measure,
    remove_recordings,
    resident_kib,
    store_opus,
)

SetUp = Callable[[Gateway, int], Awaitable[None]]


async def set_up_pairs(gateway: Gateway, calls: int, left: str = "PCMU", right: str = "PCMU") -> None:
    for call in range(calls):
        await gateway.leg(f"a{call}", left)
        await gateway.leg(f"b{call}", right)
        await gateway.bridge(f"call{call}", [f"a{call}", f"b{call}"])


async def set_up_recorded(gateway: Gateway, calls: int) -> None:
    await set_up_pairs(gateway, calls)
    for call in range(calls):
        await gateway.record(f"a{call}")


async def set_up_prompts(gateway: Gateway, calls: int) -> None:
    for call in range(calls):
        await gateway.leg(f"a{call}", "PCMU")
        await gateway.play(f"a{call}")
    await asyncio.sleep(0.5)


async def set_up_conferences(gateway: Gateway, calls: int, size: int) -> None:
    for call in range(0, calls, size):
        names = [f"l{call + index}" for index in range(min(size, calls - call))]
        for name in names:
            await gateway.leg(name, "PCMU")
        await gateway.bridge(f"conf{call}", names)


async def set_up_whisper(gateway: Gateway, calls: int) -> None:
    await set_up_conferences(gateway, calls * 3, 3)


async def set_up_conference30(gateway: Gateway, calls: int) -> None:
    await set_up_conferences(gateway, calls, 30)


async def run_floor(folder: Path, calls: int, seconds: float, connected: bool, record: bool) -> Measurement:
    floor = Floor(folder, calls, connected, record)
    try:
        return await measure(folder, floor.pid, floor.ports, calls, seconds)
    finally:
        await floor.close()
        remove_recordings(folder)


async def run_gateway(
    folder: Path, calls: int, seconds: float, set_up: SetUp
) -> tuple[Measurement, int, dict[str, int]]:
    gateway = Gateway(folder)
    await gateway.start()
    try:
        empty = resident_kib(gateway.pid)
        await set_up(gateway, calls)
        result = await measure(folder, gateway.pid, gateway.ports, calls, seconds, gateway=gateway)
        return result, resident_kib(gateway.pid) - empty, gateway.events
    finally:
        await gateway.close()
        remove_recordings(folder)


def describe(name: str, calls: int, runs: list[Measurement]) -> dict[str, Any]:
    """Medians of the rounds in which (nearly) every packet came back in time. A round in which many did not measures
    who else used the machine; a row of nothing but such rounds is marked as starved and proves nothing."""
    whole = [run for run in runs if run.received >= 0.98 * run.sent]
    used = whole or runs
    costs = [run.us_per_call_second for run in used]
    late = [sum(counts) for counts in zip(*(run.late for run in used), strict=False)]
    return {
        "row": name,
        "calls": calls,
        "us_per_call_second": round(statistics.median(costs), 1),
        "spread": [round(min(costs), 1), round(max(costs), 1)],
        "rounds": len(used),
        "starved": not whole,
        "lost": max(run.sent - run.received for run in used),
        "p50_us": statistics.median(run.p50_us for run in used),
        "p99_us": statistics.median(run.p99_us for run in used),
        "p999_us": statistics.median(run.p999_us for run in used),
        "tick_late": {"bounds_us": LATENESS_BOUNDS_US, "counts": late},
        "tick_p999_us": late_percentile(late, 0.999),
    }


def late_percentile(counts: list[int], share: float) -> int | None:
    """The bound that so large a share of the ticks kept; None without ticks, -1 beyond the last bound."""
    total, seen = sum(counts), 0
    if not total:
        return None
    for bound, count in zip(LATENESS_BOUNDS_US, counts, strict=False):
        seen += count
        if seen >= share * total:
            return bound
    return -1


async def compare(
    folder: Path, calls: int, seconds: float, rounds: int, record: bool
) -> tuple[list[dict[str, Any]], float]:
    """Gateway and both floors in turns; rows and the ratio to the cheaper floor of each round."""
    plain: list[Measurement] = []
    connected: list[Measurement] = []
    ours: list[Measurement] = []
    memory = 0
    set_up: SetUp = set_up_recorded if record else set_up_pairs
    for _ in range(rounds):
        plain.append(await run_floor(folder, calls, seconds, False, record))
        result, memory, _ = await run_gateway(folder, calls, seconds, set_up)
        ours.append(result)
        connected.append(await run_floor(folder, calls, seconds, True, record))
    what = "relay + recording" if record else "relay"
    rows = [
        describe(f"{what}: C floor", calls, plain),
        describe(f"{what}: C floor, connected sockets", calls, connected),
        {**describe(f"{what}: gateway", calls, ours), "kib_per_call": round(memory / calls, 1)},
    ]
    for row in rows:
        row["ratio"] = round(row["us_per_call_second"] / rows[0]["us_per_call_second"], 3)
    return rows, rows[2]["ratio"]


async def set_up_g722(gateway: Gateway, calls: int) -> None:
    await set_up_pairs(gateway, calls, "PCMU", "G722")


async def set_up_opus(gateway: Gateway, calls: int) -> None:
    await set_up_pairs(gateway, calls, "PCMU", "OPUS")


async def set_up_srtp(gateway: Gateway, calls: int) -> None:
    """Both directions are encrypted on the way out; what comes in is plain, for the load speaks no SRTP."""
    keys = Srtp(suite="AES_CM_128_HMAC_SHA1_80", key=bytes(range(30)))
    for call in range(calls):
        await gateway.leg(f"a{call}", "PCMU", srtp_send=keys)
        await gateway.leg(f"b{call}", "PCMU", srtp_send=keys)
        await gateway.bridge(f"call{call}", [f"a{call}", f"b{call}"])


OTHER_ROWS: dict[str, tuple[SetUp, int]] = {
    # title -> set-up, most calls it is run with
    "prompt to N callers": (set_up_prompts, 5000),
    "3-party mix": (set_up_whisper, 300),
    "30-party conference (per party)": (set_up_conference30, 5000),
    "G.711-G.722": (set_up_g722, 200),
    "G.711-Opus": (set_up_opus, 60),
    "RTP relay, SRTP out": (set_up_srtp, 500),
}


async def linearity(folder: Path, counts: list[int], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Relayed calls from few to many, floor and gateway in turns. Compared by what a hundred packets cost that came
    through (a call-second, when none is lost): beyond the machine's limit the floor loses packets too."""
    rows = []
    for calls in counts:
        floors, ours = [], []
        for _ in range(rounds):
            floors.append(await run_floor(folder, calls, seconds, True, False))
            ours.append((await run_gateway(folder, calls, seconds, set_up_pairs))[0])
        for name, runs in (("linearity: C floor, connected sockets", floors), ("linearity: gateway", ours)):
            through = statistics.median(run.cpu_s * 1e8 / max(run.received, 1) for run in runs)
            rows.append({**describe(name, calls, runs), "us_per_100_packets": round(through, 1)})
        show(rows[-2:])
    return rows


async def run(given: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-", dir=given.folder) as name:
        folder = Path(name)
        compile_tools(folder)
        store_opus(folder)
        for calls in given.calls:
            for record in (False, True):
                found, ratio = await compare(folder, calls, given.seconds, given.rounds, record)
                rows += found
                show(found)
                print(f"  ratio to the floor: {ratio}")
        rows += await linearity(folder, given.linear, given.seconds, given.rounds)
        if given.others:
            for title, (set_up, most) in OTHER_ROWS.items():
                if given.only and not any(word in title for word in given.only):
                    continue
                for calls in sorted({min(calls, most) for calls in given.other_calls}):
                    runs = [await run_gateway(folder, calls, given.seconds, set_up) for _ in range(given.rounds)]
                    results = [result for result, _, _ in runs]
                    row = {**describe(title, calls, results), "kib_per_call": round(runs[-1][1] / calls, 1)}
                    rows.append(row)
                    show([row])
    return rows


def late_text(bound_us: int | None) -> str:
    if bound_us is None:
        return ""
    return "  ticks p99.9 > 100 ms late" if bound_us < 0 else f"  ticks p99.9 <= {bound_us / 1000:g} ms late"


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['row']:<46} {row['calls']:>5} calls {row['us_per_call_second']:>8.1f} us/call-s"
            f"  x{row.get('ratio', 0):<6} lost {row['lost']:<6} p50 {row['p50_us']:>6.0f} p99 {row['p99_us']:>6.0f}"
            f" p99.9 {row['p999_us']:>6.0f} us  {row.get('kib_per_call', '')}"
            f"{late_text(row['tick_p999_us'])}"
            f"{'  ' + str(row['us_per_100_packets']) + ' us/100 packets' if 'us_per_100_packets' in row else ''}"
            f"{'  STARVED: not a measurement' if row['starved'] else ''}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="*", default=[200, 500, 1000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--linear", type=int, nargs="*", default=[50, 100, 200, 500, 1000, 2000], metavar="CALLS")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="of the others, those with such a word")
    parser.add_argument("--others", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--other-calls", type=int, nargs="*", default=[200, 990])
    parser.add_argument("--folder", default=None, help="where recordings are written while measuring")
    parser.add_argument("--json", type=Path, default=Path("var/bench/media.json"))
    given = parser.parse_args()
    rows = asyncio.run(run(given))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()}
    given.json.write_text(json.dumps({**machine, "rows": rows}, indent=2) + "\n")
    print(f"written to {given.json}")


if __name__ == "__main__":
    main()
